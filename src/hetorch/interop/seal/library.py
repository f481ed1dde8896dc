"""SEAL's own objects, made from native ones: the context of a parameter set, and a client's keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from hetorch.engine import _native
from hetorch.errors import LevelError, ParameterError, PlanUseError
from hetorch.interop.seal.limits import LARGEST_RING
from hetorch.interop.seal_format import SealParameters, dump_galois_keys, dump_relin_keys
from hetorch.optional_packages import require
from hetorch.params import ParameterSet
from hetorch.quantities import count_text

RECOMPILE = 'compile the model with engine="seal"'


@dataclass(frozen=True, slots=True, eq=False)
class SealLibrary:
    """The module `seal` and its objects for one parameter set. SEAL's evaluator keeps no state."""

    module: Any
    context: Any
    evaluator: Any


@dataclass(frozen=True, slots=True, eq=False)
class SealKeys:
    """One client's evaluation keys in SEAL's form.

    `levels` holds the highest level of each Galois element, `relinearisation_level` that of the relinearisation key
    (-1 without one). SEAL knows only keys for the whole chain: native keys are filled up with zeros above their level,
    where SEAL would compute nonsense.
    """

    galois: Any
    levels: MappingProxyType[int, int]
    relinearisation: Any
    relinearisation_level: int


@lru_cache(maxsize=16)
def seal_library(parameters: ParameterSet) -> SealLibrary:
    """Return SEAL with these parameters, the same object for equal sets.

    SEAL's own security check is off, because a ParameterSet has been checked already.

    Raises:
        MissingPackageError: seal-python is not installed.
        PlanUseError: SEAL does not have such parameters, with several special primes,
            digits of more than one prime, or a ring above 2^15.
    """
    seal = require("seal", "the engine 'seal'")
    if parameters.ring_degree > LARGEST_RING:
        raise PlanUseError(
            f"SEAL has rings up to 2^15, the plan's is 2^{parameters.ring_degree.bit_length() - 1}; "
            "use the engine 'native' or compile with a smaller ring_degree"
        )
    try:
        seal_parameters = SealParameters.of(parameters)
    except ParameterError:
        raise PlanUseError(
            f"the plan has {count_text(len(parameters.special_primes), 'special prime')} and digits of "
            f"{parameters.digit_size} "
            f"primes, SEAL's key switching has one special prime and digits of one; {RECOMPILE}"
        ) from None
    settings = seal.EncryptionParameters(seal.scheme_type.ckks)
    settings.load_bytes(seal_parameters.dump())
    context = seal.SEALContext(settings, True, seal.sec_level_type.none)
    if not context.parameters_set() or not context.using_keyswitching():
        raise PlanUseError(f"SEAL refuses the plan's parameters: {context.parameter_error_message()}")
    return SealLibrary(seal, context, seal.Evaluator(context))


def seal_keys(parameters: ParameterSet, keys: _native.EvaluationKeys | None) -> SealKeys:
    """Convert a client's keys through SEAL's own format, which takes about 2 ms a megabyte."""
    library = seal_library(parameters)
    elements = [] if keys is None else keys.galois_elements()
    native = {} if keys is None else {element: keys.galois(element) for element in elements}
    galois = None
    if native:
        galois = library.context.from_galois_str(dump_galois_keys(parameters, native))
    relinearisation, level = None, -1
    if keys is not None and keys.relinearisation is not None:
        level = keys.relinearisation.level
        relinearisation = library.context.from_relin_str(dump_relin_keys(parameters, keys.relinearisation))
    levels = MappingProxyType({element: key.level for element, key in native.items()})
    return SealKeys(galois, levels, relinearisation, level)


@contextmanager
def seal_errors(operation: str) -> Iterator[None]:
    """Turn exceptions of SEAL into LevelError, or PlanUseError where the result would be transparent: a ciphertext that
    does not depend on the input."""
    try:
        yield
    except (ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, LevelError):
            raise
        if "transparent" in str(error):
            raise PlanUseError(
                f"{operation}: the result does not depend on the encrypted input, and SEAL makes no such ciphertexts; "
                "use the engine 'native'"
            ) from None
        raise LevelError(f"{operation}: SEAL says: {error}") from None


class LazyKeys:
    """A client's keys, which the first thread that uses them converts."""

    def __init__(self, parameters: ParameterSet, keys: _native.EvaluationKeys | None) -> None:
        self._parameters = parameters
        self._native = keys
        self._lock = threading.Lock()
        self._converted: SealKeys | None = None

    def get(self) -> SealKeys:
        """Return the keys in SEAL's form."""
        with self._lock:
            if self._converted is None:
                self._converted = seal_keys(self._parameters, self._native)
            return self._converted
