"""Arrays in files: .npy, .npz (one array) and .csv (one sample a line), read without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hetorch.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".npy", ".npz", ".csv")


def load_array(path: Path) -> NDArray[np.generic]:
    """The array of a file; InputError if it is no such file or holds no numbers."""
    import numpy as np

    _check_suffix(path)
    try:
        if path.suffix == ".csv":
            return np.loadtxt(path, delimiter=",", ndmin=2)
        with path.open("rb") as file:  # numpy leaves a file open when it is broken
            # Anything else numpy takes for a pickle, and advises to open it as one.
            if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise InputError(f"{path} is no {path.suffix} file: it does not begin as one")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = list(loaded.files)
            if len(names) != 1:
                raise InputError(
                    f"{path} holds {len(names)} arrays ({', '.join(names[:5])}); one is expected"
                )
            return np.asarray(loaded[names[0]])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError:
        raise
    except Exception as error:  # numpy raises ValueError, EOFError, BadZipFile and more on broken files
        reason = "it holds Python objects, which are not opened" if "pickle" in str(error) else error
        raise InputError(f"{path} is no readable {path.suffix} file of numbers: {reason}") from None


def save_array(path: Path, array: NDArray[np.float64]) -> None:
    """Write an array in the format of the suffix; InputError if that is not possible."""
    import numpy as np

    _check_suffix(path)
    try:
        if path.suffix == ".npy":
            np.save(path, array, allow_pickle=False)
        elif path.suffix == ".npz":
            np.savez(path, outputs=array)
        else:
            np.savetxt(path, np.atleast_2d(array.reshape(array.shape[0], -1)), delimiter=",", fmt="%.17g")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def fit_samples(array: NDArray[np.generic], input_shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Rows of numbers (from .csv) as samples of the model's shape; anything else stays as it is."""
    size = 1
    for extent in input_shape:
        size *= extent
    if (
        array.ndim == 2
        and array.shape[1:] != input_shape
        and array.shape != input_shape
        and array.shape[1] == size
    ):
        return array.reshape(array.shape[0], *input_shape)
    return array


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} has none of the known endings {', '.join(SUFFIXES)}")
