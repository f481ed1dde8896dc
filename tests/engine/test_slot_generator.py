"""slot_generator=3 is SEAL's order of slots: the same ciphertext, the same values slot for slot, the same rotations."""

from __future__ import annotations

import numpy as np
import pytest
import seal
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import ParameterError
from hetorch.params import ParameterSet, Security
from tests.engine import noise
from tests.interop.seal_bridge import SealBridge

N = 1 << 12
SCALE = 2.0**40
STEPS = {1: 2, 7: 2, 2: 2, -4: 2, 1000: 1}


def parameters(ring_degree: int = N, slot_generator: int = 3) -> ParameterSet:
    return ParameterSet.from_bits(
        ring_degree, [49, 40, 40], [49], security=Security.NONE, slot_generator=slot_generator
    )


def complex_values(count: int, seed: int = 0) -> NDArray[np.complex128]:
    draw = np.random.default_rng(seed)
    return draw.uniform(-1, 1, count) + 1j * draw.uniform(-1, 1, count)


class Owner:
    """One secret key in SEAL and here, in SEAL's order of slots."""

    def __init__(self) -> None:
        self.parameters = parameters()
        self.bridge = SealBridge.over(self.parameters)
        generator = seal.KeyGenerator(self.bridge.context)
        secret = generator.secret_key()
        self.galois = seal.GaloisKeys()
        generator.create_galois_keys([s for s in STEPS if s != 1000] + [1000], self.galois)
        self.encoder = seal.CKKSEncoder(self.bridge.context)
        self.encryptor = seal.Encryptor(self.bridge.context, secret)
        self.decryptor = seal.Decryptor(self.bridge.context, secret)
        self.evaluator = seal.Evaluator(self.bridge.context)
        self.key = self.bridge.our_key(secret)
        spec = EvaluationKeySpec.from_rotations(STEPS, N, None, slot_generator=3)
        conjugation = (2 * N - 1, 2)
        spec = EvaluationKeySpec(None, tuple(sorted((*spec.galois, conjugation))))
        self.engine = NativeEngine(self.parameters, evaluation_keys=self.key.evaluation_keys(spec))


@pytest.fixture(scope="module")
def owner() -> Owner:
    return Owner()


def test_a_ciphertext_of_seal_decodes_slot_for_slot(owner: Owner) -> None:
    values = complex_values(owner.parameters.slot_count)
    ciphertext = owner.encryptor.encrypt_symmetric(owner.encoder.encode_complex(list(values), SCALE))
    seen = owner.key.decrypt_complex(owner.bridge.to_ours(ciphertext))
    error = noise.fresh(owner.parameters) / SCALE
    noise.assert_error(seen.real, values.real, error)
    noise.assert_error(seen.imag, values.imag, error)


def test_a_ciphertext_of_ours_decodes_in_seal(owner: Owner) -> None:
    values = complex_values(owner.parameters.slot_count, 1)
    template = owner.encryptor.encrypt_symmetric(owner.encoder.encode(0.5, SCALE))
    public = encrypt_with_public_key(owner.parameters, owner.key.public_key(), values, scale=SCALE)
    for ciphertext, error in (
        (owner.key.encrypt(values, scale=SCALE), noise.fresh(owner.parameters) / SCALE),
        (public, noise.fresh_public(owner.parameters) / SCALE),
    ):
        there = owner.decryptor.decrypt(owner.bridge.to_seal(ciphertext, template))
        seen = np.array(owner.encoder.decode_complex(there))
        noise.assert_error(seen.real, values.real, error)
        noise.assert_error(seen.imag, values.imag, error)


@pytest.mark.parametrize("steps", STEPS)
def test_rotations_are_those_of_seal(owner: Owner, steps: int) -> None:
    """Ours on SEAL's ciphertext against SEAL's on the same: both against numpy's roll."""
    values = complex_values(owner.parameters.slot_count, 2)
    theirs = owner.encryptor.encrypt_symmetric(owner.encoder.encode_complex(list(values), SCALE))
    ours = owner.engine.drop_level(owner.bridge.to_ours(theirs), STEPS[steps])
    rotated = owner.key.decrypt_complex(owner.engine.rotate(ours, steps))
    seal_rotated = owner.evaluator.rotate_vector(theirs, steps, owner.galois)
    seal_values = np.array(owner.encoder.decode_complex(owner.decryptor.decrypt(seal_rotated)))
    # A key switch adds less than 2^-20 here (scale 2^40, noise of some thousand roundings); a wrong order is off by 1.
    assert np.max(np.abs(rotated - np.roll(values, -steps))) < 2**-20
    assert np.max(np.abs(rotated - seal_values)) < 2**-18


def test_conjugation(owner: Owner) -> None:
    values = complex_values(owner.parameters.slot_count, 3)
    conjugated = owner.engine.conjugate(owner.key.encrypt(values, scale=SCALE))
    assert np.max(np.abs(owner.key.decrypt_complex(conjugated) - values.conj())) < 2**-20


@pytest.mark.parametrize("period", [1, 2, 4, 64, N // 2])
def test_linear_transforms_follow_the_order(period: int) -> None:
    """Against the definition in numpy, periodic diagonals included: these are kept compressed in the core."""
    here = parameters()
    slots = here.slot_count
    draw = np.random.default_rng(period)
    giants = np.array([0, 0, 64, 64], dtype=np.int32)
    babies = np.array([0, 3, 0, 3], dtype=np.int32)
    zeros = np.zeros(4, dtype=np.int32)
    transform = DiagonalTransform(slots, 1, 1, zeros, zeros, giants, babies, draw.uniform(-1, 1, (4, period)))
    rotations = dict.fromkeys(transform.rotations, 2)
    spec = EvaluationKeySpec.from_rotations(rotations, N, None, slot_generator=3)
    key = SecretKey.generate(here)
    engine = NativeEngine(here, evaluation_keys=key.evaluation_keys(spec))
    values = draw.uniform(-1, 1, slots)
    prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    (result,) = engine.linear_transform(prepared, [key.encrypt(values, scale=SCALE)])
    (expected,) = transform.apply([values])
    assert np.max(np.abs(key.decrypt(result) - expected)) < 2**-20
    # The engine without cryptography asks for the same keys.
    clear = CleartextEngine(here, key_spec=spec, noise=False)
    clear_prepared = clear.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    (clear_result,) = clear.linear_transform(clear_prepared, [clear.encrypt(values, scale=SCALE)])
    np.testing.assert_allclose(clear.decrypt(clear_result), expected, atol=1e-12)


@pytest.mark.parametrize("ring_degree", [1 << 10, 1 << 13])
def test_every_slot_has_its_root(ring_degree: int) -> None:
    """By the definition: the coefficients of an encoded vector, evaluated at zeta^(3^j)."""
    here = parameters(ring_degree)
    slots = here.slot_count
    coefficients = np.random.default_rng(0).integers(-(2**20), 2**20, ring_degree).astype(np.float64)

    decoded = _native.decode(
        core_context(here), _native.lift(core_context(here), coefficients, here.max_level, 1.0)
    )
    # All values at odd powers of zeta with one transform: a_k zeta^k, then the values at zeta^(2i + 1).
    zeta = np.exp(1j * np.pi * np.arange(ring_degree) / ring_degree)
    at_odd = np.fft.ifft(coefficients * zeta) * ring_degree
    exponents = np.array([pow(3, j, 2 * ring_degree) for j in range(slots)])
    np.testing.assert_allclose(decoded, at_odd[(exponents - 1) // 2], atol=1e-3)


def test_the_parameter_set_knows_the_generator() -> None:
    default, seals = parameters(slot_generator=5), parameters()
    assert "slot_generator" not in default.to_json() and seals.to_json()["slot_generator"] == 3
    assert default.fingerprint() != seals.fingerprint()
    assert ParameterSet.from_json(seals.to_json()) == seals
    assert ParameterSet.from_json(default.to_json()) == default
    assert galois_element(2, N, 3) == 9
    for wrong in (0, 1, 4, 7, -3):
        with pytest.raises(ParameterError, match="slot_generator must be 5, or 3"):
            parameters(slot_generator=wrong)
    with pytest.raises(ParameterError, match="slot_generator must be an integer"):
        ParameterSet.from_json({**default.to_json(), "slot_generator": "3"})
