"""Objects that SEAL wrote are read, objects that we wrote are read by SEAL, with both builds of it as judges."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import seal
from tenseal import sealapi

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.errors import InputError, MissingPackageError, ParameterError
from hetorch.interop.seal_format import (
    SealParameters,
    dump_ciphertext,
    dump_galois_keys,
    dump_plaintext,
    dump_public_key,
    dump_relin_keys,
    load_ciphertext,
    load_galois_keys,
    load_plaintext,
    load_public_key,
    load_relin_keys,
)
from hetorch.interop.seal_format.parameters import key_parms_id
from hetorch.interop.seal_format.secret_key import (
    dump_secret_key,
    dump_seeded_galois_keys,
    dump_seeded_relin_keys,
    encrypt_seeded,
    load_secret_key,
    make_public_key,
)
from hetorch.params import ParameterSet, Security
from tests.engine import noise
from tests.interop.seal_format.peers import SCALE, SealPython, TensealSeal, loaded, parameters, saved

PARAMETERS = parameters()
VALUES = np.random.default_rng(0).uniform(-1, 1, PARAMETERS.slot_count)
STEPS = (1, -3, 64)
ELEMENTS = sorted(
    {galois_element(s, PARAMETERS.ring_degree, 3) for s in STEPS} | {2 * PARAMETERS.ring_degree - 1}
)
# A key switch in a ring of 2^10 with P about q_0: some thousand roundings, below 2^-12 at scale 2^30. What goes wrong
# in a format (order, level, digit, sign) is off by 1 at least.
CLOSE = 2.0**-12


@pytest.fixture(scope="module")
def python_side() -> SealPython:
    return SealPython(PARAMETERS)


@pytest.fixture(scope="module")
def tenseal_side() -> TensealSeal:
    return TensealSeal(PARAMETERS)


@pytest.fixture(scope="module", params=["seal-python", "tenseal"])
def side(request: pytest.FixtureRequest, python_side: SealPython, tenseal_side: TensealSeal) -> Any:
    return python_side if request.param == "seal-python" else tenseal_side


def ciphertext_of(side: Any, data: bytes) -> Any:
    empty = seal.Ciphertext() if isinstance(side, SealPython) else sealapi.Ciphertext()
    return loaded(empty, side.context, data)


def values_in(side: Any, data: bytes) -> Any:
    return side.decrypt(ciphertext_of(side, data))[: PARAMETERS.slot_count]


def test_parameters_and_their_hashes(side: Any) -> None:
    own = SealParameters.of(PARAMETERS)
    assert SealParameters.load(saved(side.settings)) == own
    assert own.to_parameter_set(Security.NONE) == PARAMETERS
    assert np.frombuffer(key_parms_id(PARAMETERS), "<u8").tolist() == list(
        side.context.key_parms_id() if isinstance(side, TensealSeal) else side.secret.parms_id()
    )
    assert np.frombuffer(own.parms_id(1), "<u8").tolist() == list(side.context.last_parms_id())


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
def test_parameters_in_each_compression(tenseal_side: TensealSeal, compression: str) -> None:
    data = SealParameters.of(PARAMETERS).dump(compression)
    assert SealParameters.load(data) == SealParameters.of(PARAMETERS)
    again = loaded(sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS), None, data)
    assert [m.value() for m in again.coeff_modulus()] == list(SealParameters.of(PARAMETERS).coeff_modulus)


def test_what_seal_cannot_have_is_refused() -> None:
    for special, size in ((2, 1), (2, 2)):
        wide = ParameterSet.from_bits(
            1 << 10, [40] * 4, [40] * special, digit_size=size, security=Security.NONE
        )
        with pytest.raises(ParameterError, match="digit_size=1"):
            SealParameters.of(wide)
    with pytest.raises(ParameterError, match="not CKKS"):
        SealParameters(1, 1024, PARAMETERS.modulus_chain, 65537).to_parameter_set()
    with pytest.raises(ParameterError, match="at least two"):
        SealParameters(2, 1024, PARAMETERS.modulus_chain[:1]).to_parameter_set()
    with pytest.raises(InputError, match="compression 'brotli'"):
        SealParameters.of(PARAMETERS).dump("brotli")


def test_secret_keys_both_ways(side: Any) -> None:
    key = load_secret_key(PARAMETERS, saved(side.secret))
    again = loaded(
        seal.SecretKey() if isinstance(side, SealPython) else sealapi.SecretKey(),
        side.context,
        dump_secret_key(key),
    )
    assert saved(again) == saved(side.secret)
    own = SecretKey.generate(PARAMETERS)
    read = load_secret_key(PARAMETERS, dump_secret_key(own, compression="zlib"))
    np.testing.assert_array_equal(read.coefficients(), own.coefficients())
    assert set(own.coefficients().tolist()) == {-1, 0, 1}


def test_a_ciphertext_of_seal_is_read(side: Any) -> None:
    key = load_secret_key(PARAMETERS, saved(side.secret))
    ciphertext = load_ciphertext(PARAMETERS, saved(side.encrypt(VALUES)))
    assert (ciphertext.level, ciphertext.scale, ciphertext.size) == (PARAMETERS.max_level, SCALE, 2)
    noise.assert_error(key.decrypt(ciphertext), VALUES, noise.fresh(PARAMETERS) / SCALE)


def test_a_seeded_ciphertext_of_seal_is_read(tenseal_side: TensealSeal) -> None:
    key = load_secret_key(PARAMETERS, saved(tenseal_side.secret))
    ciphertext = load_ciphertext(PARAMETERS, tenseal_side.encrypt_seeded(VALUES))
    noise.assert_error(key.decrypt(ciphertext), VALUES, noise.fresh(PARAMETERS) / SCALE)


@pytest.mark.parametrize("level", range(PARAMETERS.max_level + 1))
def test_a_ciphertext_of_ours_is_read_at_each_level(side: Any, level: int) -> None:
    key = load_secret_key(PARAMETERS, saved(side.secret))
    modes = ["none"] if isinstance(side, SealPython) else ["none", "zlib", "zstd"]
    ciphertext = key.encrypt(VALUES, scale=SCALE, level=level)
    expected = key.decrypt(ciphertext)
    for mode in modes:
        data = dump_ciphertext(PARAMETERS, ciphertext, compression=mode)
        assert np.max(np.abs(values_in(side, data) - expected)) < 1e-9
        again = load_ciphertext(PARAMETERS, data)
        np.testing.assert_array_equal(_native.ciphertext_rows(again), _native.ciphertext_rows(ciphertext))
        assert (again.level, again.scale) == (level, SCALE)
        seeded = encrypt_seeded(key, VALUES, scale=SCALE, level=level, compression=mode)
        assert len(seeded) < 0.6 * len(data)
        noise.assert_error(values_in(side, seeded), VALUES, noise.fresh(PARAMETERS) / SCALE)
        noise.assert_error(
            key.decrypt(load_ciphertext(PARAMETERS, seeded)), VALUES, noise.fresh(PARAMETERS) / SCALE
        )


def test_a_product_of_three_parts(python_side: SealPython) -> None:
    key = load_secret_key(PARAMETERS, saved(python_side.secret))
    theirs = python_side.encrypt(VALUES)
    ours = load_ciphertext(PARAMETERS, saved(python_side.evaluator.multiply(theirs, theirs)))
    assert ours.size == 3 and ours.scale == SCALE**2
    assert np.max(np.abs(key.decrypt(ours) - VALUES**2)) < CLOSE
    assert np.max(np.abs(values_in(python_side, dump_ciphertext(PARAMETERS, ours)) - VALUES**2)) < CLOSE


def test_plaintexts_both_ways(side: Any) -> None:
    plaintext = load_plaintext(PARAMETERS, saved(side.encoded(VALUES)))
    ours = NativeEngine(PARAMETERS).encode(VALUES, level=PARAMETERS.max_level, scale=SCALE)
    assert (plaintext.scale, plaintext.level) == (ours.scale, ours.level)
    here = _native.decode(core_context(PARAMETERS), plaintext).real
    noise.assert_error(here, VALUES, noise.encoding(PARAMETERS) / SCALE)
    again = loaded(
        seal.Plaintext() if isinstance(side, SealPython) else sealapi.Plaintext(),
        side.context,
        dump_plaintext(PARAMETERS, ours),
    )
    decode = side.encoder.decode if isinstance(side, SealPython) else side.encoder.decode_double
    noise.assert_error(np.array(decode(again)), VALUES, noise.encoding(PARAMETERS) / SCALE)


def test_public_keys_both_ways(tenseal_side: TensealSeal) -> None:
    key = load_secret_key(PARAMETERS, saved(tenseal_side.secret))
    theirs = load_public_key(PARAMETERS, saved(tenseal_side.public))
    bound = noise.fresh_public(PARAMETERS) / SCALE
    encrypted = encrypt_with_public_key(PARAMETERS, theirs.native(), VALUES, scale=SCALE)
    noise.assert_error(key.decrypt(encrypted), VALUES, bound)
    again = load_public_key(PARAMETERS, dump_public_key(theirs, compression="zstd"))
    np.testing.assert_array_equal(again.rows, theirs.rows)
    ours = make_public_key(key)
    for seeded in (False, True):
        public = loaded(sealapi.PublicKey(), tenseal_side.context, dump_public_key(ours, seeded=seeded))
        ciphertext = sealapi.Ciphertext()
        sealapi.Encryptor(tenseal_side.context, public).encrypt(tenseal_side.encoded(VALUES), ciphertext)
        noise.assert_error(key.decrypt(load_ciphertext(PARAMETERS, saved(ciphertext))), VALUES, bound)
        noise.assert_error(
            key.decrypt(encrypt_with_public_key(PARAMETERS, ours.native(), VALUES, scale=SCALE)),
            VALUES,
            bound,
        )
    native = encrypt_with_public_key(PARAMETERS, key.public_key(), VALUES, scale=SCALE)
    noise.assert_error(key.decrypt(native), VALUES, bound)
    with pytest.raises(InputError, match="no seed"):
        dump_public_key(theirs, seeded=True)


@pytest.mark.parametrize("seeded", [False, True])
def test_keys_of_seal_switch_here(tenseal_side: TensealSeal, seeded: bool) -> None:
    key = load_secret_key(PARAMETERS, saved(tenseal_side.secret))
    if seeded:
        relin = load_relin_keys(PARAMETERS, saved(tenseal_side.generator.create_relin_keys()))
    else:
        whole = sealapi.RelinKeys()
        tenseal_side.generator.create_relin_keys(whole)
        relin = load_relin_keys(PARAMETERS, saved(whole))
    galois = load_galois_keys(PARAMETERS, saved(tenseal_side.galois_keys(ELEMENTS)))
    assert sorted(galois) == ELEMENTS and relin.level == PARAMETERS.max_level
    check_keys(key, relin, galois)
    some = load_galois_keys(PARAMETERS, saved(tenseal_side.galois_keys(ELEMENTS)), elements=[ELEMENTS[0], 7])
    assert list(some) == ELEMENTS[:1]


def check_keys(key: SecretKey, relin: _native.SwitchingKey, galois: dict[int, _native.SwitchingKey]) -> None:
    engine = NativeEngine(PARAMETERS, evaluation_keys=_native.EvaluationKeys(relin, list(galois.items())))
    for level in range(1, PARAMETERS.max_level + 1):
        ciphertext = key.encrypt(VALUES, scale=SCALE, level=level)
        for step in STEPS:
            turned = key.decrypt(engine.rotate(ciphertext, step))
            assert np.max(np.abs(turned - np.roll(VALUES, -step))) < CLOSE
        imaginary = key.encrypt(VALUES * np.complex128(1j), scale=SCALE, level=level)
        conjugated = key.decrypt_complex(engine.conjugate(imaginary))
        assert np.max(np.abs(conjugated + 1j * VALUES)) < CLOSE
        assert np.max(np.abs(key.decrypt(engine.multiply(ciphertext, ciphertext)) - VALUES**2)) < CLOSE


@pytest.mark.parametrize("seeded", [False, True])
def test_keys_of_ours_switch_in_seal(python_side: SealPython, seeded: bool) -> None:
    key = load_secret_key(PARAMETERS, saved(python_side.secret))
    top = PARAMETERS.max_level
    if seeded:
        relin_data, galois_data = dump_seeded_relin_keys(key), dump_seeded_galois_keys(key, ELEMENTS)
        check_keys(key, load_relin_keys(PARAMETERS, relin_data), load_galois_keys(PARAMETERS, galois_data))
    else:
        keys = key.evaluation_keys(EvaluationKeySpec(top, tuple((e, top) for e in ELEMENTS)))
        assert keys.relinearisation is not None
        relin_data = dump_relin_keys(PARAMETERS, keys.relinearisation)
        galois_data = dump_galois_keys(PARAMETERS, {e: keys.galois(e) for e in ELEMENTS})
    relin = loaded(seal.RelinKeys(), python_side.context, relin_data)
    galois = loaded(seal.GaloisKeys(), python_side.context, galois_data)
    theirs = python_side.encrypt(VALUES)
    for step in STEPS:
        turned = python_side.decrypt(python_side.evaluator.rotate_vector(theirs, step, galois))
        assert np.max(np.abs(turned - np.roll(VALUES, -step))) < CLOSE
    product = python_side.evaluator.relinearize(python_side.evaluator.multiply(theirs, theirs), relin)
    assert np.max(np.abs(python_side.decrypt(product) - VALUES**2)) < CLOSE


def test_keys_keep_their_bits(tenseal_side: TensealSeal) -> None:
    """Read and written again, uncompressed, SEAL's keys are the same bytes (SEAL 4.3 writes them compressed)."""
    keys = load_galois_keys(PARAMETERS, saved(tenseal_side.galois_keys(ELEMENTS)))
    data = dump_galois_keys(PARAMETERS, keys)
    again = load_galois_keys(PARAMETERS, data)
    for element in ELEMENTS:
        np.testing.assert_array_equal(
            _native.switching_key_rows(again[element]), _native.switching_key_rows(keys[element])
        )
    assert dump_galois_keys(PARAMETERS, again) == data
    with pytest.raises(ParameterError, match="another library"):
        _native.dump_switching_key(core_context(PARAMETERS), keys[ELEMENTS[0]])
    with pytest.raises(InputError, match="Galois elements are odd"):
        dump_galois_keys(PARAMETERS, {4: keys[ELEMENTS[0]]})


def test_a_key_for_a_lower_level_works_there(python_side: SealPython) -> None:

    key = load_secret_key(PARAMETERS, saved(python_side.secret))
    element = galois_element(1, PARAMETERS.ring_degree, 3)
    keys = key.evaluation_keys(EvaluationKeySpec(None, ((element, 1),)))
    data = dump_galois_keys(PARAMETERS, {element: keys.galois(element)})
    galois = loaded(seal.GaloisKeys(), python_side.context, data)
    low = ciphertext_of(python_side, dump_ciphertext(PARAMETERS, key.encrypt(VALUES, scale=SCALE, level=1)))
    turned = python_side.decrypt(python_side.evaluator.rotate_vector(low, 1, galois))
    assert np.max(np.abs(turned - np.roll(VALUES, -1))) < CLOSE


def test_without_the_package_zstandard(monkeypatch: pytest.MonkeyPatch) -> None:
    data = SealParameters.of(PARAMETERS).dump("zstd")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingPackageError, match=r"hetorch\[seal\]"):
        SealParameters.load(data)
    with pytest.raises(MissingPackageError, match=r"hetorch\[seal\]"):
        SealParameters.of(PARAMETERS).dump("zstd")
    assert SealParameters.load(SealParameters.of(PARAMETERS).dump("zlib")) == SealParameters.of(PARAMETERS)
