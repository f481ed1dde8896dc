"""CKKS operations against SEAL: same ring, same number and size of data primes, one run.

SEAL has one special prime and one digit for each prime; ours are chosen for the chain (the security table holds for
both). SEAL works on one thread always.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from benchmarks.measure import Row, compare
from benchmarks.output import arguments, rows_for_each_thread_count, write
from hetorch.engine import _native
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.engine.transform import DiagonalTransform
from hetorch.params import ParameterSet

PRIME_BITS = 40
SCALE = 2.0**PRIME_BITS


@dataclass(frozen=True, slots=True)
class Size:
    """A ring, its data primes, and the digits and special primes that hetorch uses with them."""

    log2_n: int
    primes: int
    digit_size: int
    special_bits: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"N=2^{self.log2_n}, {self.primes} primes"


SIZES = (
    Size(13, 3, 1, (45,)),
    Size(14, 8, 2, (45, 45)),
    Size(15, 15, 5, (45,) * 5),
    Size(16, 24, 12, (45,) * 12),
)


class Seal:
    """A SEAL context of one size with its keys and one encrypted vector."""

    def __init__(self, size: Size, values: np.ndarray) -> None:
        import seal

        parameters = seal.EncryptionParameters(seal.scheme_type.ckks)
        parameters.set_poly_modulus_degree(1 << size.log2_n)
        bits = [PRIME_BITS] * (size.primes + 1)
        parameters.set_coeff_modulus(seal.CoeffModulus.Create(1 << size.log2_n, bits))
        self.context = seal.SEALContext(parameters, True, seal.sec_level_type.none)
        generator = seal.KeyGenerator(self.context)
        self.galois = seal.GaloisKeys()
        generator.create_galois_keys([1], self.galois)
        self.relin = generator.create_relin_keys()
        self.encoder = seal.CKKSEncoder(self.context)
        self.evaluator = seal.Evaluator(self.context)
        self.encryptor = seal.Encryptor(self.context, generator.create_public_key())
        self.decryptor = seal.Decryptor(self.context, generator.secret_key())
        self.plaintext = self.encoder.encode(values, SCALE)
        self.ciphertext = self.encryptor.encrypt(self.plaintext)


class Ours:
    """The same with hetorch, and the keys of sixteen rotations."""

    def __init__(self, size: Size, values: np.ndarray) -> None:
        n = 1 << size.log2_n
        self.parameters = ParameterSet.from_bits(
            n, [PRIME_BITS] * size.primes, size.special_bits, digit_size=size.digit_size
        )
        self.key = SecretKey.generate(self.parameters)
        level = self.parameters.max_level
        self.rotations = list(range(1, 17))
        spec = EvaluationKeySpec.from_rotations(dict.fromkeys(self.rotations, level), n, level)
        self.engine = NativeEngine(self.parameters, evaluation_keys=self.key.evaluation_keys(spec))
        self.public_key = self.key.public_key()
        self.ciphertext = self.key.encrypt(values, scale=SCALE)
        count = len(self.rotations)
        zeros = np.zeros(count, dtype=np.int32)
        steps = np.array(self.rotations, dtype=np.int32)
        hoisted = DiagonalTransform(n // 2, 1, 1, zeros, zeros, zeros, steps, np.ones((count, n // 2)))
        self.hoisted = self.engine.prepare_transform(
            hoisted, level=level, input_scale=SCALE, output_scale=SCALE
        )


def measure_size(size: Size, threads: int) -> list[Row]:
    """All rows of one ring."""
    values = np.random.default_rng(1).uniform(-1, 1, 1 << (size.log2_n - 1))
    seal, ours = Seal(size, values), Ours(size, values)
    engine, level = ours.engine, ours.parameters.max_level
    peer = ("SEAL", version("seal-python"), threads)
    theirs_product = seal.evaluator.multiply(seal.ciphertext, seal.ciphertext)

    def seal_multiply() -> None:
        product = seal.evaluator.multiply(seal.ciphertext, seal.ciphertext)
        seal.evaluator.relinearize_inplace(product, seal.relin)

    rows = [
        compare(
            f"rotate, {size.label}",
            *peer,
            lambda: seal.evaluator.rotate_vector(seal.ciphertext, 1, seal.galois),
            lambda: engine.rotate(ours.ciphertext, 1),
        ),
        compare(
            f"multiply + relinearise, {size.label}",
            *peer,
            seal_multiply,
            lambda: engine.multiply(ours.ciphertext, ours.ciphertext),
        ),
    ]
    if size.log2_n != 14:
        return rows
    product = engine.multiply(ours.ciphertext, ours.ciphertext)
    relinearised = seal.evaluator.relinearize(theirs_product, seal.relin)
    return [
        *rows,
        compare(
            f"rescale, {size.label}",
            *peer,
            lambda: seal.evaluator.rescale_to_next(relinearised),
            lambda: engine.rescale(product),
        ),
        compare(
            f"encode, {size.label}",
            *peer,
            lambda: seal.encoder.encode(values, SCALE),
            lambda: engine.encode(values, level=level, scale=SCALE),
        ),
        compare(
            f"encode + encrypt (public key), {size.label}",
            *peer,
            lambda: seal.encryptor.encrypt(seal.encoder.encode(values, SCALE)),
            lambda: encrypt_with_public_key(ours.parameters, ours.public_key, values, scale=SCALE),
        ),
        compare(
            f"decrypt + decode, {size.label}",
            *peer,
            lambda: seal.encoder.decode(seal.decryptor.decrypt(seal.ciphertext)),
            lambda: ours.key.decrypt(ours.ciphertext),
        ),
        compare(
            f"16 rotations and products in one linear map, {size.label}",
            *peer,
            lambda: [
                seal.evaluator.multiply_plain(
                    seal.evaluator.rotate_vector(seal.ciphertext, 1, seal.galois), seal.plaintext
                )
                for _ in ours.rotations
            ],
            lambda: engine.linear_transform(ours.hoisted, [ours.ciphertext]),
            repetitions=5,
        ),
    ]


def main() -> None:
    """Print the table; `--rows` measures with this process's threads and writes JSON."""
    options = arguments(__doc__ or "")
    if options.rows:
        threads = _native.thread_count()
        rows = [row for size in SIZES for row in measure_size(size, threads)]
        print(json.dumps([row.to_json() for row in rows]))
        return
    write("CKKS operations", rows_for_each_thread_count("benchmarks.engine", (1, 2)), options.json)


if __name__ == "__main__":
    main()
