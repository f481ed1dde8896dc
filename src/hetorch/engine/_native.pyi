"""The CKKS core without secret keys."""

from collections.abc import Callable, Sequence
import enum
from typing import Annotated

import numpy
from numpy.typing import NDArray


class Context:
    def __init__(self, ring_degree: int, modulus_chain: Sequence[int], special_primes: Sequence[int], digit_size: int, slot_generator: int = 5, families: Sequence[tuple[int, int]] = []) -> None:
        """
        families: shapes (special primes, digit size) of families of switching keys beside the main one.
        """

    @property
    def slot_count(self) -> int: ...

    @property
    def max_level(self) -> int: ...

    @property
    def kernel_path(self) -> str: ...

class Plaintext:
    @property
    def level(self) -> int: ...

    @property
    def scale(self) -> float: ...

    def row(self, row: int) -> Annotated[NDArray[numpy.uint64], dict(shape=(None,))]: ...

class Ciphertext:
    @property
    def level(self) -> int: ...

    @property
    def scale(self) -> float: ...

    @property
    def size(self) -> int: ...

    @property
    def seeded(self) -> bool: ...

    def row(self, part: int, row: int) -> Annotated[NDArray[numpy.uint64], dict(shape=(None,))]: ...

class PublicKey:
    pass

class SwitchingKey:
    @property
    def level(self) -> int: ...

    @property
    def family(self) -> tuple[int, int]:
        """
        The shape of the key's family: its number of special primes and its digit size.
        """

    @property
    def bytes(self) -> int:
        """The memory of the packed key in bytes."""

class KeyEnd(enum.Enum):
    """The ends of a switching key."""

    DENSE = 0

    DENSE_SQUARED = 1

    SPARSE = 2

    SPARSE_SCALED = 3

class EvaluationKeys:
    def __init__(self, relinearisation: SwitchingKey | None, galois: Sequence[tuple[int, SwitchingKey]], others: Sequence[tuple[KeyEnd, KeyEnd, int, SwitchingKey]] = []) -> None:
        """
        others: (from, to, Galois element, key); a key of a name that exists is added if it is of another family.
        """

    @property
    def relinearisation(self) -> SwitchingKey | None: ...

    def galois_elements(self) -> list[int]: ...

    def galois(self, element: int) -> SwitchingKey: ...

def encode(context: Context, values: Annotated[NDArray[numpy.complex128], dict(shape=(None,), order='C', device='cpu', writable=False)], level: int, scale: float) -> Plaintext: ...

def lift(context: Context, coefficients: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], level: int, scale: float) -> Plaintext: ...

def decode(context: Context, plaintext: Plaintext) -> Annotated[NDArray[numpy.complex128], dict(shape=(None,))]: ...

def encrypt(context: Context, message: Plaintext, public_key: PublicKey, random: bytes) -> Ciphertext: ...

def array_of_reals(numbers: Sequence[float]) -> NDArray[numpy.float64] | None: ...

def ciphertext_of_rows(context: Context, level: int, parts: int, scale: float, rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', writable=False)]) -> Ciphertext: ...

def plaintext_of_rows(context: Context, scale: float, rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Plaintext:
    """Make a plaintext of (level + 1, ring_degree) residues."""

def public_key_of_rows(context: Context, rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)]) -> PublicKey:
    """
    Make a public key of (2, max_level + 1, ring_degree) residues, b then a; with the rows of the special primes too, an extended key.
    """

def switching_key_of_rows(context: Context, level: int, rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)]) -> SwitchingKey:
    """
    Make a switching key of (digits, 2, level + 1 + special primes, ring_degree) residues, b then a.
    """

def plaintext_rows(plaintext: Plaintext) -> NDArray[numpy.uint64]: ...

def ciphertext_rows(ciphertext: Ciphertext) -> NDArray[numpy.uint64]:
    """Return (parts, level + 1, ring_degree) residues."""

def public_key_rows(public_key: PublicKey) -> NDArray[numpy.uint64]: ...

def switching_key_rows(key: SwitchingKey) -> NDArray[numpy.uint64]: ...

class LinearTransform:
    @staticmethod
    def prepare(context: Context, outputs: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], inputs: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], giants: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], babies: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], input_count: int, output_count: int, level: int, input_scale: float, output_scale: float, coefficients: bool = False, imaginary: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, family: tuple[int, int] | None = None) -> LinearTransform: ...

    @property
    def level(self) -> int: ...

    @property
    def bytes(self) -> int: ...

class WeightedSums:
    @staticmethod
    def prepare(context: Context, outputs: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], inputs: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], input_count: int, output_count: int, level: int, input_scale: float, output_scale: float) -> WeightedSums: ...

    @property
    def level(self) -> int: ...

    @property
    def bytes(self) -> int: ...

class Evaluator:
    def __init__(self, context: Context, keys: EvaluationKeys | None) -> None: ...

    def add(self, arg0: Ciphertext, arg1: Ciphertext, /) -> Ciphertext: ...

    def subtract(self, arg0: Ciphertext, arg1: Ciphertext, /) -> Ciphertext: ...

    def negate(self, arg: Ciphertext, /) -> Ciphertext: ...

    def add_plaintext(self, arg0: Ciphertext, arg1: Plaintext, /) -> Ciphertext: ...

    def multiply_plaintext(self, arg0: Ciphertext, arg1: Plaintext, /) -> Ciphertext: ...

    def multiply(self, arg0: Ciphertext, arg1: Ciphertext, /) -> Ciphertext: ...

    def multiply_raw(self, arg0: Ciphertext, arg1: Ciphertext, /) -> Ciphertext: ...

    def relinearise(self, arg: Ciphertext, /) -> Ciphertext: ...

    def rescale(self, arg: Ciphertext, /) -> Ciphertext: ...

    def drop_level(self, arg0: Ciphertext, arg1: int, /) -> Ciphertext: ...

    def rotate(self, arg0: Ciphertext, arg1: int, /) -> Ciphertext: ...

    def rotate_many(self, ciphertext: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]: ...

    def conjugate(self, arg: Ciphertext, /) -> Ciphertext: ...

    def relinearise_rescale(self, a: Ciphertext) -> Ciphertext: ...

    def add_constant(self, a: Ciphertext, value: float) -> Ciphertext: ...

    def add_values(self, a: Ciphertext, values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Ciphertext: ...

    def sum_of_weights(self, ciphertexts: Sequence[Ciphertext], weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], scale: float) -> Ciphertext: ...

    def sum_of_values(self, ciphertexts: Sequence[Ciphertext], values: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: float) -> Ciphertext: ...

    def sum_of_products(self, a: Sequence[Ciphertext], b: Sequence[Ciphertext]) -> Ciphertext: ...

    def negate_each(self, a: Sequence[Ciphertext]) -> list[Ciphertext]: ...

    def add_each(self, a: Sequence[Ciphertext], b: Sequence[Ciphertext]) -> list[Ciphertext]: ...

    def subtract_each(self, a: Sequence[Ciphertext], b: Sequence[Ciphertext]) -> list[Ciphertext]: ...

    def add_constants(self, a: Sequence[Ciphertext], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> list[Ciphertext]: ...

    def sums_of_weights(self, ciphertexts: Sequence[Ciphertext], weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], terms: int, scale: float, rescale: bool) -> list[Ciphertext]: ...

    def sums_of_products(self, a: Sequence[Ciphertext], b: Sequence[Ciphertext], terms: int, relinearise: bool, rescale: bool) -> list[Ciphertext]: ...

    def linear_transform(self, arg0: LinearTransform, arg1: Sequence[Ciphertext], /) -> list[Ciphertext]: ...

    def weighted_sums(self, arg0: WeightedSums, arg1: Sequence[Ciphertext], /) -> list[Ciphertext]: ...

    def polynomial(self, arg0: Ciphertext, arg1: Sequence[float], arg2: float, /) -> Ciphertext: ...

class Bootstrap:
    @staticmethod
    def prepare(context: Context, slots: int, to_coefficients: Sequence[int], to_slots: Sequence[int], babies: tuple[int, int], low_family: tuple[int, int], input_scale: float, output_scale: float, message_ratio: float, range: float, cosine: Sequence[float], doublings: int) -> Bootstrap: ...

    @property
    def input_level(self) -> int: ...

    @property
    def output_level(self) -> int: ...

    @property
    def reduction_level(self) -> int:
        """The level of the input of reduce()."""

    @property
    def reduction_scale(self) -> float:
        """The scale of the input of reduce()."""

    @property
    def bytes(self) -> int: ...

    def key_links(self) -> list[tuple[KeyEnd, KeyEnd, int, tuple[int, int], int]]:
        """The keys that it needs: (from, to, Galois element, family, level)."""

    def apply(self, evaluator: Evaluator, ciphertext: Ciphertext, bound: float = 1.0) -> Ciphertext: ...

    def to_coefficients(self, evaluator: Evaluator, ciphertext: Ciphertext, bound: float = 1.0) -> Ciphertext: ...

    def raise_modulus(self, evaluator: Evaluator, ciphertext: Ciphertext) -> Ciphertext: ...

    def to_slots(self, evaluator: Evaluator, ciphertext: Ciphertext) -> Ciphertext: ...

    def reduce(self, evaluator: Evaluator, ciphertext: Ciphertext, bound: float = 1.0) -> Ciphertext: ...

def packed_key_bytes(context: Context, level: int, family: tuple[int, int] | None = None) -> int: ...

def pack_switching_key(context: Context, key: SwitchingKey) -> bytes: ...

def map_switching_key(context: Context, data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], offset: int, level: int, family: tuple[int, int] | None = None) -> SwitchingKey:
    """
    Return the key at `offset` of read-only bytes, which stay in use as long as the key.
    """

def ciphertext_bytes(context: Context, level: int, parts: int, seeded: bool) -> int: ...

def dump_ciphertext(context: Context, ciphertext: Ciphertext) -> bytes: ...

def load_ciphertext(context: Context, data: bytes, expand: Callable[[bytes, int, int], bytes]) -> Ciphertext: ...

def switching_key_bytes(context: Context, level: int, family: tuple[int, int] | None = None) -> int: ...

def dump_switching_key(context: Context, key: SwitchingKey) -> bytes: ...

def load_switching_key(context: Context, data: bytes, level: int, expand: Callable[[bytes, int, int], bytes], family: tuple[int, int] | None = None) -> SwitchingKey: ...

def public_key_bytes(context: Context) -> int: ...

def dump_public_key(context: Context, key: PublicKey) -> bytes: ...

def load_public_key(context: Context, data: bytes, expand: Callable[[bytes, int, int], bytes]) -> PublicKey: ...

def pack_blocks(residues: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]) -> bytes:
    """Pack blocks of 2048 residues of 45 bits."""

def unpack_blocks(packed: bytes | bytearray | memoryview) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]:
    """Return (count, 2048) residues; WireError unless all are below q."""

def add_blocks(total: Annotated[NDArray[numpy.int64], dict(shape=(None, 2048), order='C', device='cpu')], packed: bytes | bytearray | memoryview) -> None:
    """
    Add packed blocks to sums (count, 2048), which are not reduced; a WireError leaves them as they were.
    """

def pack_sums(out: bytearray | memoryview, total: Annotated[NDArray[numpy.int64], dict(shape=(None, 2048), order='C', device='cpu')]) -> None:
    """Pack the residues of at most 2^15 added blocks."""

class PoolStatistics:
    @property
    def in_use(self) -> int:
        """Bytes of all buffers of ring elements that exist."""

    @property
    def peak(self) -> int:
        """The most that in_use was since reset_pool_peak()."""

    @property
    def held(self) -> int:
        """Bytes of free memory that the pool keeps for later."""

def pool_statistics() -> PoolStatistics: ...

def reset_pool_peak() -> None: ...

def trim_pool() -> None:
    """Give the free memory that the pool keeps back to the system."""

def pool_memory(size: int) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """
    Return memory of the pool, with unspecified contents. It goes back when nothing refers to it, so secrets in it are overwritten before.
    """

def thread_count() -> int:
    """
    Return the number of threads that work on an operation in this process.
    """

def kernel_paths() -> list[str]:
    """
    Return the names of the kernel paths that this machine can run, from the slowest to the fastest.
    """

def selected_kernel_path() -> str:
    """
    Return the name of the kernel path that primes below 2^50 take in this process.
    """
