"""Key files in the kernels' form: the mapped keys are those that were uploaded, and a damaged file is refused."""

from __future__ import annotations

import gc
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.engine.backend import NATIVE
from hetorch.engine.codec import load_evaluation_keys
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import EvaluationKeys
from hetorch.engine.packed_keys import map_evaluation_keys, pack_evaluation_keys, packed_file_bytes
from hetorch.engine.secret import SecretKey
from hetorch.errors import WireError
from hetorch.params.insecure import insecure_small
from tests.engine.key_blobs import blob_of, fresh_blob

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")
PARAMETERS = insecure_small(1 << 10, 2)
SPEC = EvaluationKeySpec.from_rotations({1: 2, 3: 1}, 1 << 10, relinearisation_level=2)


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(PARAMETERS)


@pytest.fixture(scope="module")
def upload(secret: SecretKey) -> bytes:
    return fresh_blob(secret, SPEC)


@pytest.fixture(scope="module")
def key_id(upload: bytes) -> str:
    return hashlib.sha256(upload).hexdigest()


@pytest.fixture
def packed(upload: bytes, key_id: str, tmp_path: Path) -> Path:
    path = tmp_path / "some.keys"
    path.write_bytes(
        b"".join(pack_evaluation_keys(PARAMETERS, SPEC, io.BytesIO(upload), len(upload), key_id))
    )
    return path


def mapped() -> int:
    """Return the number of mappings of key files in this process, as the system counts them."""
    gc.collect()
    return sum("some.keys" in line for line in Path("/proc/self/maps").read_text().splitlines())


def rotated(keys: EvaluationKeys, secret: SecretKey) -> NDArray[np.float64]:
    engine = NATIVE.make(PARAMETERS, keys)
    values = np.arange(PARAMETERS.slot_count) / PARAMETERS.slot_count
    ciphertext = secret.encrypt(values, level=2, scale=2.0**30)
    return secret.decrypt(engine.rotate(ciphertext, 1))


def test_mapped_keys_are_the_uploaded_ones(
    secret: SecretKey, upload: bytes, packed: Path, key_id: str
) -> None:
    assert packed.stat().st_size == packed_file_bytes(PARAMETERS, SPEC)
    keys = map_evaluation_keys(PARAMETERS, SPEC, packed, key_id)
    assert blob_of(PARAMETERS, SPEC, keys) == upload
    expected = np.roll(np.arange(PARAMETERS.slot_count) / PARAMETERS.slot_count, -1)
    parsed = load_evaluation_keys(PARAMETERS, SPEC, upload)
    for each in (keys, parsed):
        # 2^30 / 2^10 slots leaves far more than 10 bits above the noise of one key switch
        assert np.abs(rotated(each, secret) - expected).max() < 2.0**-10


def test_the_mapping_lives_as_long_as_one_of_the_keys(packed: Path, key_id: str) -> None:
    assert mapped() == 0
    keys = map_evaluation_keys(PARAMETERS, SPEC, packed, key_id)
    packed.unlink()
    one = keys.relinearisation
    del keys
    assert mapped() == 1
    assert one is not None and one.level == 2
    del one
    assert mapped() == 0


@pytest.mark.fuzz
def test_every_damaged_file_is_refused(packed: Path, key_id: str) -> None:
    whole = packed.read_bytes()
    numbers = np.random.default_rng(0)
    places = {
        0,
        4,
        5,
        8,
        16,
        48,
        80,
        127,
        128,
        129,
        130,
        len(whole) - 1,
        *numbers.integers(0, len(whole), 40).tolist(),
    }
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(numbers.integers(8))
        packed.write_bytes(damaged)
        with pytest.raises(WireError):
            map_evaluation_keys(PARAMETERS, SPEC, packed, key_id)
    for length in (0, 1, 63, 64, len(whole) // 2, len(whole) - 1):
        packed.write_bytes(whole[:length])
        with pytest.raises(WireError):
            map_evaluation_keys(PARAMETERS, SPEC, packed, key_id)
    packed.write_bytes(whole + b"\0")
    with pytest.raises(WireError):
        map_evaluation_keys(PARAMETERS, SPEC, packed, key_id)
    assert mapped() == 0


def test_keys_of_another_spec_or_other_parameters_are_refused(packed: Path, key_id: str) -> None:
    other = EvaluationKeySpec.from_rotations({1: 2, 2: 1}, 1 << 10, relinearisation_level=2)
    assert packed_file_bytes(PARAMETERS, other) == packed.stat().st_size
    for spec, name in ((other, key_id), (SPEC, "ab" * 32)):
        with pytest.raises(WireError, match="other keys"):
            map_evaluation_keys(PARAMETERS, spec, packed, name)


@pytest.mark.fuzz
def test_every_damaged_upload_is_refused(upload: bytes, key_id: str) -> None:
    numbers = np.random.default_rng(1)
    for place in numbers.integers(0, len(upload), 40).tolist():
        damaged = bytearray(upload)
        damaged[place] ^= 1
        with pytest.raises(WireError):
            list(pack_evaluation_keys(PARAMETERS, SPEC, io.BytesIO(damaged), len(damaged), key_id))
    for length in (0, 40, len(upload) - 1):
        with pytest.raises(WireError):
            list(pack_evaluation_keys(PARAMETERS, SPEC, io.BytesIO(upload[:length]), length, key_id))
        with pytest.raises(WireError):  # the file ends before the length that it had
            list(pack_evaluation_keys(PARAMETERS, SPEC, io.BytesIO(upload[:length]), len(upload), key_id))
