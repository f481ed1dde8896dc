"""
The part of the core that holds secret keys, and the secrets of training together.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray

import hetorch.engine._native


class RoundSecret:
    """A secret of one round, as its transform."""

    def __init__(self, coefficients: Annotated[NDArray[numpy.int64], dict(shape=(2048), order='C', device='cpu', writable=False)]) -> None: ...

    def wipe(self) -> None: ...

class RoundTag:
    """The tag of an encrypted update, which grows as its blocks are added."""

    def __init__(self, random: bytes | bytearray | memoryview, blocks: int) -> None: ...

    @staticmethod
    def random_bytes(blocks: int) -> int: ...

    def add_packed(self, packed: bytes | bytearray | memoryview, first: int) -> None: ...

    def value(self) -> tuple[int, int]: ...

    def wipe(self) -> None: ...

def gaussian_blocks(random: bytes | bytearray | memoryview) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]:
    """
    Return (count, 2048) discrete Gaussian numbers, of 8 random bytes each.
    """

def uniform_blocks(random: bytes | bytearray | memoryview) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]:
    """Return (count, 2048) uniform residues, of 11880 random bytes a block."""

def weighted_sum(rows: Annotated[NDArray[numpy.int64], dict(shape=(None, 2048), order='C', device='cpu', writable=False)], weights: Sequence[int]) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]:
    """Return the sum (1, 2048) of the rows, each times its weight, modulo q."""

def encrypt_blocks(out: bytearray | memoryview, integers: Annotated[NDArray[numpy.int64], dict(shape=(None, 2048), order='C', device='cpu', writable=False)], secret: RoundSecret, uniform: bytes | bytearray | memoryview, random: bytes | bytearray | memoryview, tag: RoundTag, first: int, shift: int) -> None:
    """Encrypt blocks of integers to `out`, and add them to the tag."""

def decrypt_blocks(out: Annotated[NDArray[numpy.int64], dict(shape=(None, 2048), order='C', device='cpu')], packed: bytes | bytearray | memoryview, secret: RoundSecret, uniform: bytes | bytearray | memoryview, shift: int, error_bound: int) -> bool:
    """Decrypt blocks to `out`; return False if an error is above its bound."""

class SecretKey:
    def __init__(self, context: hetorch.engine._native.Context, random: bytes) -> None: ...

    @staticmethod
    def from_coefficients(context: hetorch.engine._native.Context, coefficients: Annotated[NDArray[numpy.int8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> SecretKey: ...

    @staticmethod
    def sparse(context: hetorch.engine._native.Context, random: bytes, weight: int, spacing: int = 1) -> SecretKey:
        """
        Make a key with `weight` nonzero coefficients, at multiples of `spacing`, from 24 random bytes for each.
        """

    @staticmethod
    def from_rows(context: hetorch.engine._native.Context, rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> SecretKey: ...

    def coefficients(self, context: hetorch.engine._native.Context) -> Annotated[NDArray[numpy.int8], dict(shape=(None,))]: ...

def make_relinearisation_key(context: hetorch.engine._native.Context, secret_key: SecretKey, level: int, seed: bytes, uniform: Callable[[int, int], object], errors: Callable[[int, int], object], family: tuple[int, int] | None = None) -> hetorch.engine._native.SwitchingKey: ...

def make_switching_key(context: hetorch.engine._native.Context, from_key: SecretKey, to_key: SecretKey, element: int, level: int, seed: bytes, uniform: Callable[[int, int], object], errors: Callable[[int, int], object], family: tuple[int, int] | None = None) -> hetorch.engine._native.SwitchingKey:
    """
    Make the key that switches from a secret to the inverse automorphism of a secret: a Galois key if both are one.
    """

def make_scaled_key(context: hetorch.engine._native.Context, sparse_key: SecretKey, dense_key: SecretKey, element: int, seed: bytes, uniform: Callable[[int, int], object], errors: Callable[[int, int], object], family: tuple[int, int] | None) -> hetorch.engine._native.SwitchingKey:
    """
    Make the key of one digit from the sparse secret over the last special prime to the inverse automorphism of the dense one, over all primes.
    """

def make_public_key(context: hetorch.engine._native.Context, secret_key: SecretKey, seed: bytes, uniform: Callable[[int, int], object], error: bytes, extended: bool = False) -> hetorch.engine._native.PublicKey: ...

def encrypt(context: hetorch.engine._native.Context, secret_key: SecretKey, message: hetorch.engine._native.Plaintext, seed: bytes, uniform: Callable[[int, int], object], error: bytes) -> hetorch.engine._native.Ciphertext: ...

def decrypt(context: hetorch.engine._native.Context, secret_key: SecretKey, ciphertext: hetorch.engine._native.Ciphertext) -> hetorch.engine._native.Plaintext: ...
