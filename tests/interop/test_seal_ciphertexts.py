"""One secret key in two libraries: what SEAL encrypts, we decrypt, and the other way round; exact operations
give the same bits.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import seal
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.native import NativeEngine
from hetorch.engine.random import keystream
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.params import ParameterSet, Security
from tests.engine import noise
from tests.interop.seal_bridge import (
    SealBridge,
    coefficients_of_row,
    first_root,
    our_slots,
    rows_of,
    smallest_root,
)

SCALE = 2.0**40


@dataclasses.dataclass(frozen=True)
class Pair:
    """SEAL and hetorch with the same primes and the same secret key."""

    bridge: SealBridge
    seal_key: seal.SecretKey
    our_key: SecretKey
    encoder: seal.CKKSEncoder
    encryptor: seal.Encryptor
    decryptor: seal.Decryptor
    evaluator: seal.Evaluator
    engine: NativeEngine

    @property
    def parameters(self) -> ParameterSet:
        return self.bridge.parameters

    def values(self, seed: int) -> NDArray[np.float64]:
        """In SEAL's order of slots; our_slots gives ours."""
        return np.random.default_rng(seed).uniform(-1, 1, self.parameters.slot_count)

    def seal_encrypt(self, values: NDArray[np.float64]) -> seal.Ciphertext:
        return self.encryptor.encrypt_symmetric(self.encoder.encode(values, SCALE))

    def seal_decrypt(self, ciphertext: seal.Ciphertext) -> NDArray[np.float64]:
        """The slots in our order."""
        return our_slots(np.array(self.encoder.decode(self.decryptor.decrypt(ciphertext))))


# Vector kernels in two ring degrees, and the 60-bit chain that SEAL's and TenSEAL's users write (portable kernels).
CHAINS = {
    "2^13": (1 << 13, [49, 40, 40], 49),
    "2^14": (1 << 14, [48, 40, 40, 40, 40], 48),
    "2^13-60bit": (1 << 13, [60, 40, 40], 60),
    "2^14-60bit": (1 << 14, [60, 40, 40], 60),
}


@pytest.fixture(scope="module", params=sorted(CHAINS))
def pair(request: pytest.FixtureRequest) -> Pair:
    n, bits, special = CHAINS[request.param]
    parameters = ParameterSet.from_bits(n, bits, [special], security=Security.NONE)
    assert parameters.is_simd == (special < 50)
    bridge = SealBridge.over(parameters)
    key = seal.KeyGenerator(bridge.context).secret_key()
    return Pair(
        bridge,
        key,
        bridge.our_key(key),
        seal.CKKSEncoder(bridge.context),
        seal.Encryptor(bridge.context, key),
        seal.Decryptor(bridge.context, key),
        seal.Evaluator(bridge.context),
        NativeEngine(parameters),
    )


def test_seals_ciphertext_decrypts_here(pair: Pair) -> None:
    values = pair.values(1)
    ours = pair.bridge.to_ours(pair.seal_encrypt(values))
    assert ours.scale == SCALE and ours.level == pair.parameters.max_level
    # SEAL's error has the standard deviation 3.2 (its noise_standard_deviation), as ours; the encoding is
    # rounded the same.
    noise.assert_error(pair.our_key.decrypt(ours), our_slots(values), noise.fresh(pair.parameters) / SCALE)


def test_our_ciphertext_decrypts_in_seal(pair: Pair) -> None:
    values = pair.values(2)
    template = pair.seal_encrypt(values)
    secret_key = pair.bridge.to_seal(pair.our_key.encrypt(our_slots(values), scale=SCALE), template)
    noise.assert_error(pair.seal_decrypt(secret_key), our_slots(values), noise.fresh(pair.parameters) / SCALE)


def test_both_decrypt_to_the_same_numbers(pair: Pair) -> None:
    # The same polynomial, decoded twice: only the transforms in doubles differ.
    theirs = pair.seal_encrypt(pair.values(3))
    noise.assert_error(pair.our_key.decrypt(pair.bridge.to_ours(theirs)), pair.seal_decrypt(theirs), 0.0)


def test_our_key_decrypts_in_seal(pair: Pair) -> None:
    # The other way round: the key begins here. Its coefficients are the words of its keystream, times 3, high
    # half, minus 1.
    seed = bytes(range(32))
    n = pair.parameters.ring_degree
    words = np.frombuffer(keystream(seed, 8 * n, domain=b"secret key"), dtype="<u8")
    coefficients = np.array([(int(w) * 3 >> 64) - 1 for w in words])
    values = pair.values(4)
    ours = SecretKey.generate(pair.parameters, seed).encrypt(our_slots(values), scale=SCALE)
    decryptor = seal.Decryptor(pair.bridge.context, pair.bridge.seal_key(coefficients))
    theirs = pair.bridge.to_seal(ours, pair.seal_encrypt(values))
    seen = our_slots(np.array(pair.encoder.decode(decryptor.decrypt(theirs))))
    noise.assert_error(seen, our_slots(values), noise.fresh(pair.parameters) / SCALE)


def test_public_key_ciphertext_decrypts_in_seal(pair: Pair) -> None:
    values = pair.values(5)
    ours = encrypt_with_public_key(pair.parameters, pair.our_key.public_key(), our_slots(values), scale=SCALE)
    theirs = pair.bridge.to_seal(ours, pair.seal_encrypt(values))
    noise.assert_error(
        pair.seal_decrypt(theirs), our_slots(values), noise.fresh_public(pair.parameters) / SCALE
    )


def test_rows_are_transforms_of_coefficients(pair: Pair) -> None:
    # Our rows against the definition in Python integers, with our root; SEAL's root is another one.
    n, q = pair.parameters.ring_degree, pair.parameters.modulus_chain[0]
    coefficients = np.random.default_rng(6).integers(-1000, 1000, n)
    plaintext = _native.lift(core_context(pair.parameters), coefficients.astype(np.float64), 0, 1.0)
    assert coefficients_of_row(plaintext.row(0), q, first_root(n, q)) == [int(c) % q for c in coefficients]
    assert smallest_root(n, q)[0] <= first_root(n, q)


def test_exact_operations_have_the_same_bits(pair: Pair) -> None:
    # Sums, products and rescaling (division rounded to the nearest: no ties, the primes are odd) leave no freedom.
    a, b = pair.seal_encrypt(pair.values(7)), pair.seal_encrypt(pair.values(8))
    x, y = pair.bridge.to_ours(a), pair.bridge.to_ours(b)
    core = pair.engine._core
    checks = [
        (pair.evaluator.add(a, b), pair.engine.add(x, y)),
        (pair.evaluator.sub(a, b), pair.engine.subtract(x, y)),
        (pair.evaluator.negate(a), pair.engine.negate(x)),
        (pair.evaluator.multiply(a, b), core.multiply_raw(x, y)),
        (pair.evaluator.square(a), core.multiply_raw(x, x)),
        (pair.evaluator.mod_switch_to_next(a), pair.engine.drop_level(x, x.level - 1)),
        (pair.evaluator.rescale_to_next(a), pair.engine.rescale(x)),
        (
            pair.evaluator.rescale_to_next(pair.evaluator.multiply(a, b)),
            core.rescale(core.multiply_raw(x, y)),
        ),
    ]
    for theirs, ours in checks:
        assert theirs.scale() == ours.scale
        np.testing.assert_array_equal(pair.bridge.rows(theirs), rows_of(ours))


def test_encodings_differ_by_rounding_only(pair: Pair) -> None:
    values = pair.values(9)
    theirs = pair.seal_encrypt(values)
    product = pair.evaluator.multiply_plain(theirs, pair.encoder.encode(values, SCALE))
    ours = pair.engine.multiply_plaintext(
        pair.bridge.to_ours(theirs),
        pair.engine.encode(our_slots(values), level=pair.parameters.max_level, scale=SCALE),
    )
    assert product.scale() == ours.scale
    deviation = noise.encoding(pair.parameters) / SCALE
    noise.assert_error(pair.our_key.decrypt(ours), pair.seal_decrypt(product), deviation)
