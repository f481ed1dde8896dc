"""The record of a backend: an engine, with everything that compiler, runtime and server must know about it.

No other code distinguishes between engines. The known backends are listed in `hetorch.interop.backends`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.params import ParameterSet
from hetorch.params.parameter_set import DEFAULT_SLOT_GENERATOR

if TYPE_CHECKING:  # A record is light: naming the backends loads neither numpy nor the compiled core.
    from hetorch.engine.native import Ciphertext, EvaluationKeys, NativeEngine

E = TypeVar("E")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Backend(Generic[E, C]):
    """An implementation E of `hetorch.engine.protocol.Engine` with its own ciphertexts C.

    `name` is the value of the option `engine`, and `summary` its help text. Clients send native ciphertexts and keys to
    every backend.

    The runtime and the server use:
        make                     function that returns the engine for parameters and evaluation keys (None: the engine
                                 only encodes weights)
        take, give               functions that convert a native ciphertext to the engine's and back
        plaintext_bytes          function that returns the bytes in memory of one encoded diagonal or bias at a level;
                                 None if weights have the native form (hetorch.plan.memory)
        converted_key_bytes      function that returns the bytes of the keys in the engine's own form, which are in
                                 memory beside the native ones; None if the engine uses the native ones. A conversion
                                 takes time, so a server keeps the engines of its last clients
        takes_encrypted_weights  True if plans may have weights that are ciphertexts
        bootstraps               True if plans may bootstrap (BootstrappingEngine)

    The compiler uses:
        bootstraps               True if plans may bootstrap
        largest_ring             largest ring degree that a plan may have
        digit_size               number of primes in a key-switching digit; None if the compiler chooses
        special_prime_count      number of primes of P; None if the compiler chooses
        checks_every_scale       True if no value may have a scale at or above the modulus of its level; False if that
                                 is refused for products of two ciphertexts alone
        slot_generator           generator of the order of the slots, as in ParameterSet
    """

    name: str
    summary: str
    make: Callable[[ParameterSet, EvaluationKeys | None], E]
    take: Callable[[E, Ciphertext], C]
    give: Callable[[E, C], Ciphertext]
    plaintext_bytes: Callable[[ParameterSet, int], int] | None
    converted_key_bytes: Callable[[ParameterSet, EvaluationKeySpec], int] | None
    takes_encrypted_weights: bool
    bootstraps: bool
    largest_ring: int
    digit_size: int | None
    special_prime_count: int | None
    checks_every_scale: bool
    slot_generator: int


AnyBackend = Backend[Any, Any]


def _make_native(parameters: ParameterSet, keys: EvaluationKeys | None) -> NativeEngine:
    from hetorch.engine.native import NativeEngine

    return NativeEngine(parameters, evaluation_keys=keys)


NATIVE = Backend(
    name="native",
    summary="hetorch's own core",
    make=_make_native,
    take=lambda engine, ciphertext: ciphertext,
    give=lambda engine, ciphertext: ciphertext,
    plaintext_bytes=None,
    converted_key_bytes=None,
    takes_encrypted_weights=True,
    bootstraps=True,
    largest_ring=1 << 16,
    digit_size=None,
    special_prime_count=None,
    checks_every_scale=False,
    slot_generator=DEFAULT_SLOT_GENERATOR,
)
