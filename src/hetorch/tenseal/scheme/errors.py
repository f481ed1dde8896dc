"""Exceptions as TenSEAL raises them: its type, its text, and hetorch's advice in a note."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, LevelError, WireError


def refusal(kind: type[Exception], text: str, advice: str | None = None) -> Exception:
    """Return the exception that TenSEAL raises for the same call.

    Programs that were written for TenSEAL compare types and texts, so both are exactly TenSEAL's: a built-in type, and
    no word more. hetorch's own words, the values seen and the remedy, go into a note, which a traceback shows.

    Args:
        kind: the built-in type.
        text: TenSEAL's text, or hetorch's where TenSEAL refuses nothing.
        advice: the note.
    """
    error = kind(text)
    if advice is not None:
        error.add_note(advice)
    return error


@contextmanager
def encoding_errors(values: NDArray[np.float64]) -> Iterator[None]:
    """Raise SEAL's errors for the core's while `values` are encoded."""
    try:
        yield
    except (LevelError, InputError) as error:
        if not np.all(np.isfinite(values)):
            raise refusal(ValueError, "values must be finite") from None
        raise refusal(ValueError, "encoded values are too large", str(error)) from None


_ENDINGS = (" incompatible function arguments.", " incompatible constructor arguments.")


def incompatible(function: str, advice: str | None = None) -> Exception:
    """Return the TypeError of pybind11 for arguments that a compiled function of TenSEAL does not take.

    Its text begins as TenSEAL's does. TenSEAL's goes on with C++ signatures, for which hetorch has no counterpart.
    """
    ending = _ENDINGS[function == "__init__"]
    return refusal(TypeError, f"{function}():{ending}", advice)


def renamed(error: TypeError, function: str) -> Exception:
    """Return the same error for the in-place form of an operation, `function`, if it is one of `incompatible`."""
    if not str(error).endswith(_ENDINGS):
        return error
    return incompatible(function, "\n".join(getattr(error, "__notes__", [])) or None)


class CiphertextError(WireError):
    """A ciphertext inside well-formed bytes is malformed or of other parameters; callers see it as a `refusal`."""
