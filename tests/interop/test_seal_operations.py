"""Rotation, multiplication and rescaling on the same ciphertexts, each library with switching keys of its own."""

from __future__ import annotations

import numpy as np
import pytest
import seal
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import Ciphertext, NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet, Security
from tests.engine import noise
from tests.interop.seal_bridge import SealBridge, our_rotation, our_slots

STEPS = (1, 7, 2, -4, 1000)
# Ring degree, bits of the chain, of the special prime and of the scale. The last three are what TenSEAL's tutorials
# ask for, and twice as long.
CHAINS = {
    "2^13": (1 << 13, [49, 40, 40], 49, 40),
    "2^14": (1 << 14, [48, 40, 40, 40], 48, 40),
    "2^13-60bit": (1 << 13, [60, 40, 40], 60, 40),
    "2^14-60bit": (1 << 14, [60, *[40] * 6], 60, 40),
    "2^13-26bit": (1 << 13, [31, *[26] * 6], 31, 26),
    "2^13-21bit": (1 << 13, [40, *[21] * 6], 40, 21),
}

Noise = float | NDArray[np.float64]


class Sides:
    """The same secret key on both sides; inputs are encrypted by SEAL and handed to both."""

    def __init__(self, n: int, bits: list[int], special: int, scale_bits: int) -> None:
        self.scale = 2.0**scale_bits
        self.parameters = ParameterSet.from_bits(n, bits, [special], security=Security.NONE)
        self.bridge = SealBridge.over(self.parameters)
        generator = seal.KeyGenerator(self.bridge.context)
        key = generator.secret_key()
        self.relinearisation = generator.create_relin_keys()
        self.galois = seal.GaloisKeys()
        generator.create_galois_keys([*STEPS, 0], self.galois)  # step 0 is the conjugation
        self.encoder = seal.CKKSEncoder(self.bridge.context)
        self.encryptor = seal.Encryptor(self.bridge.context, key)
        self.decryptor = seal.Decryptor(self.bridge.context, key)
        self.evaluator = seal.Evaluator(self.bridge.context)
        self.key: SecretKey = self.bridge.our_key(key)
        top = self.parameters.max_level
        elements = sorted({galois_element(our_rotation(s, n)[0], n) for s in STEPS} | {2 * n - 1})
        spec = EvaluationKeySpec(top, tuple((e, top) for e in elements))
        self.engine = NativeEngine(self.parameters, evaluation_keys=self.key.evaluation_keys(spec))

    def inputs(self, seed: int) -> tuple[NDArray[np.float64], seal.Ciphertext, Ciphertext]:
        values = np.random.default_rng(seed).uniform(-1, 1, self.parameters.slot_count)
        theirs = self.encryptor.encrypt_symmetric(self.encoder.encode(values, self.scale))
        return values, theirs, self.bridge.to_ours(theirs)

    def compare(
        self,
        theirs: seal.Ciphertext,
        ours: Ciphertext,
        exact: NDArray[np.float64],
        input_error: float,
        own: Noise,
        seal_own: NDArray[np.float64],
    ) -> None:
        """`exact` in SEAL's order. Both against the exact result, and against each other: the error of the
        inputs is the same there, so that the difference is what the libraries add themselves: `own` and
        `seal_own` (our order).
        """
        assert ours.scale == theirs.scale() and ours.level + 1 == theirs.coeff_modulus_size()
        seal_values = our_slots(np.array(self.encoder.decode(self.decryptor.decrypt(theirs))))
        our_values = self.key.decrypt(ours)
        noise.assert_error(our_values, our_slots(exact), np.hypot(input_error, own))
        noise.assert_error(our_values, seal_values, np.hypot(own, seal_own))
        # And what is ours decrypts there.
        back = self.decryptor.decrypt(self.bridge.to_seal(ours, theirs))
        noise.assert_error(our_slots(np.array(self.encoder.decode(back))), our_values, 0.0)

    def seal_switching(self, level: int) -> NDArray[np.float64]:
        """Return noise.switching for SEAL, whose digits are not centred: uniform in [0, q_i), they have the mean
        q_i / 2 in every coefficient, which is (q_i / 2) * 2 / (1 - zeta_j) at slot j: large where zeta_j is
        near 1.
        """
        p = self.parameters
        n = p.ring_degree
        angles = np.pi / n * np.array([pow(5, j, 2 * n) for j in range(n // 2)])
        means = 1 / np.abs(1 - np.exp(1j * angles)) ** 2
        ratio = sum(q * q for q in p.modulus_chain[: level + 1]) / p.special_primes[0] ** 2
        variance = n * noise.SIGMA**2 * ratio * (n / 12 + means) + noise.division(p) ** 2
        result: NDArray[np.float64] = np.sqrt(variance)
        return result

    def rotate(self, ciphertext: Ciphertext, steps: int) -> Ciphertext:
        """SEAL's rotation by `steps`, done here."""
        ours, conjugated = our_rotation(steps, self.parameters.ring_degree)
        rotated = self.engine.rotate(ciphertext, ours)
        return self.engine.conjugate(rotated) if conjugated else rotated


@pytest.fixture(scope="module", params=sorted(CHAINS))
def sides(request: pytest.FixtureRequest) -> Sides:
    return Sides(*CHAINS[request.param])


# SEAL switches keys with digits of one prime and one special prime, rounded: the model of noise.switching with
# digit_size 1.


@pytest.mark.parametrize("steps", STEPS)
def test_rotation(sides: Sides, steps: int) -> None:
    p = sides.parameters
    values, theirs, ours = sides.inputs(steps % 100)
    sides.compare(
        sides.evaluator.rotate_vector(theirs, steps, sides.galois),
        sides.rotate(ours, steps),
        np.roll(values, -steps),
        noise.fresh(p) / sides.scale,
        # Odd steps take two key switches here, the rotation's and the conjugation's.
        np.sqrt(2 if steps % 2 else 1) * noise.switching(p, p.max_level) / sides.scale,
        sides.seal_switching(p.max_level) / sides.scale,
    )


def test_rotation_at_a_lower_level(sides: Sides) -> None:
    p = sides.parameters
    values, theirs, ours = sides.inputs(50)
    theirs = sides.evaluator.mod_switch_to_next(theirs)
    sides.compare(
        sides.evaluator.rotate_vector(theirs, 2, sides.galois),
        sides.rotate(sides.engine.drop_level(ours, p.max_level - 1), 2),
        np.roll(values, -2),
        noise.fresh(p) / sides.scale,
        noise.switching(p, p.max_level - 1) / sides.scale,
        sides.seal_switching(p.max_level - 1) / sides.scale,
    )


def test_conjugation(sides: Sides) -> None:
    p = sides.parameters
    values, _, _ = sides.inputs(51)
    slots = values + 1j * values[::-1]
    theirs = sides.encryptor.encrypt_symmetric(sides.encoder.encode_complex(list(slots), sides.scale))
    ours = sides.engine.conjugate(sides.bridge.to_ours(theirs))
    deviation = float(np.hypot(noise.fresh(p), noise.switching(p, p.max_level))) / sides.scale
    noise.assert_error(sides.key.decrypt_complex(ours), our_slots(slots.conj()), deviation)
    result = sides.decryptor.decrypt(sides.evaluator.complex_conjugate(theirs, sides.galois))
    seal_deviation = np.hypot(noise.fresh(p), sides.seal_switching(p.max_level)) / sides.scale
    noise.assert_error(
        our_slots(np.array(sides.encoder.decode_complex(result))), our_slots(slots.conj()), seal_deviation
    )


def test_multiplication_and_rescale(sides: Sides) -> None:
    p = sides.parameters
    x, their_x, our_x = sides.inputs(52)
    y, their_y, our_y = sides.inputs(53)
    theirs = sides.evaluator.relinearize(sides.evaluator.multiply(their_x, their_y), sides.relinearisation)
    ours = sides.engine.multiply(our_x, our_y)
    fresh = noise.fresh(p) / sides.scale
    input_error = noise.product(1, fresh, 1, fresh)
    switching = noise.switching(p, p.max_level) / sides.scale**2
    seal_switching = sides.seal_switching(p.max_level) / sides.scale**2
    sides.compare(theirs, ours, x * y, input_error, switching, seal_switching)
    rescaled = sides.scale**2 / p.modulus_chain[-1]
    sides.compare(
        sides.evaluator.rescale_to_next(theirs),
        sides.engine.rescale(ours),
        x * y,
        input_error,
        float(np.hypot(switching, noise.division(p) / rescaled)),
        np.hypot(seal_switching, noise.division(p) / rescaled),
    )


def test_a_chain_of_operations(sides: Sides) -> None:
    # ((x y) rotated) squared, down to the last levels.
    p = sides.parameters
    x, their_x, our_x = sides.inputs(54)
    y, their_y, our_y = sides.inputs(55)
    e, theirs = sides.evaluator, their_x
    theirs = e.rescale_to_next(e.relinearize(e.multiply(their_x, their_y), sides.relinearisation))
    theirs = e.rotate_vector(theirs, -4, sides.galois)
    theirs = e.rescale_to_next(e.relinearize(e.square(theirs), sides.relinearisation))
    ours = sides.engine.rescale(sides.engine.multiply(our_x, our_y))
    middle = ours.scale
    ours = sides.rotate(ours, -4)
    ours = sides.engine.rescale(sides.engine.multiply(ours, ours))
    top = p.max_level
    fresh = noise.fresh(p) / sides.scale
    steps, _ = our_rotation(-4, p.ring_degree)

    def added(first: Noise, second: Noise) -> NDArray[np.float64]:
        """The key switch of the product, moved by the rotation, its rescale, the rotation; squaring a value
        below 1 doubles all that; then the second product's key switch and rescale.
        """
        moved = np.roll(np.broadcast_to(first, p.slot_count), -steps) / sides.scale**2
        before = np.sqrt(moved**2 + (noise.division(p) / middle) ** 2 + (second / middle) ** 2)
        result: NDArray[np.float64] = np.sqrt(
            (2 * before) ** 2 + (second / middle**2) ** 2 + (noise.division(p) / ours.scale) ** 2
        )
        return result

    sides.compare(
        theirs,
        ours,
        np.roll(x * y, 4) ** 2,
        2 * noise.product(1, fresh, 1, fresh),
        added(noise.switching(p, top), noise.switching(p, top - 1)),
        added(sides.seal_switching(top), sides.seal_switching(top - 1)),
    )
