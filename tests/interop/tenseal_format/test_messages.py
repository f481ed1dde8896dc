"""TenSEAL's own bytes are read and written again bit for bit; ours are read by TenSEAL."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest
import tenseal as ts
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import InputError, WireError
from hetorch.interop.seal_format import SealParameters
from hetorch.interop.tenseal_format import (
    AUTO_MOD_SWITCH,
    AUTO_RELIN,
    AUTO_RESCALE,
    SYMMETRIC,
    BfvTensorMessage,
    BfvVectorMessage,
    CkksTensorMessage,
    CkksVectorMessage,
    ContextMessage,
    PrivateMessage,
    dump_plain_tensor,
    load_plain_tensor,
)
from hetorch.interop.tenseal_format.context import NO_SCALE

SCALE = 2.0**40


@pytest.fixture(scope="module")
def context() -> ts.Context:
    made = ts.context(ts.SCHEME_TYPE.CKKS, 4096, -1, [40, 20, 40])
    made.global_scale = SCALE
    made.generate_galois_keys()
    return made


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("rest", [False, True])
def test_contexts(context: ts.Context, secret: bool, rest: bool) -> None:
    data = context.serialize(
        save_public_key=rest, save_secret_key=secret, save_galois_keys=rest, save_relin_keys=rest
    )
    message = ContextMessage.load(data)
    assert message.dump() == data
    assert message.global_scale == SCALE and message.auto_flags == AUTO_RELIN | AUTO_RESCALE | AUTO_MOD_SWITCH
    assert (len(message.public_key) > 0) == rest
    assert (len(message.galois_keys) > 0) == (len(message.relin_keys) > 0) == (rest and not secret)
    assert (message.private is not None) == secret
    if message.private is not None:
        assert message.private.galois_keys_generated == message.private.relin_keys_generated == rest
    assert SealParameters.load(message.encryption_parameters).ring_degree == 4096


def test_repr_shows_no_secret_key() -> None:
    message = ContextMessage(b"parameters", private=PrivateMessage(b"the secret key"))
    assert "secret" not in repr(message) and "private=PrivateMessage(" in repr(message)


def test_a_symmetric_context_without_scale() -> None:
    made = ts.context(
        ts.SCHEME_TYPE.CKKS, 4096, -1, [40, 20, 40], encryption_type=ts.ENCRYPTION_TYPE.SYMMETRIC
    )
    made.auto_rescale = False
    data = made.serialize(save_secret_key=True)
    message = ContextMessage.load(data)
    assert message.dump() == data
    assert message.global_scale == NO_SCALE and message.encryption_type == SYMMETRIC
    assert message.auto_flags == AUTO_RELIN | AUTO_MOD_SWITCH


@pytest.mark.parametrize("count", [1, 3, 2048, 5000])
def test_ckks_vectors(context: ts.Context, count: int) -> None:
    values = np.linspace(-1, 1, count)
    data = ts.ckks_vector(context, values.tolist(), SCALE).serialize()
    message = CkksVectorMessage.load(data)
    assert message.dump() == data
    assert sum(message.sizes) == count and message.scale == SCALE
    again = CkksVectorMessage(message.sizes, tuple(map(bytes, message.ciphertexts)), message.scale)
    seen = np.array(ts.ckks_vector_from(context, again.dump()).decrypt())
    assert np.max(np.abs(seen - values)) < 1e-4


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 2)])
def test_ckks_tensors(context: ts.Context, shape: tuple[int, ...], batch: bool) -> None:
    data = ts.ckks_tensor(context, np.ones(shape), batch=batch).serialize()
    message = CkksTensorMessage.load(data)
    assert message.dump() == data
    assert message.batch_size == (shape[0] if batch else None)
    assert message.shape == (shape[1:] if batch else shape)
    seen = ts.ckks_tensor_from(context, message.dump()).decrypt()
    assert seen.shape == list(shape) and np.max(np.abs(np.array(seen.tolist()) - 1)) < 1e-4


@pytest.mark.filterwarnings("ignore::hetorch.errors.LegacySecurityWarning")
def test_bfv() -> None:
    context = ts.context(ts.SCHEME_TYPE.BFV, 4096, 1032193)
    vector = ts.bfv_vector(context, [1, 2, 3]).serialize()
    message = BfvVectorMessage.load(vector)
    assert message.dump() == vector and message.sizes == (3,)
    for batch in (False, True):
        tensor = ts.bfv_tensor(context, [[1, 2], [3, 4]], batch).serialize()
        found = BfvTensorMessage.load(tensor)
        assert found.dump() == tensor and found.batch_size == (2 if batch else None)
    assert SealParameters.load(ContextMessage.load(context.serialize()).encryption_parameters).scheme == 1


@pytest.mark.parametrize("values", [[1.0, -2.5], [[1.0, 2.0], [3.0, 1e-7]], [1e20, 0.1, 123456789.125]])
def test_plain_tensors_of_doubles(values: list[float]) -> None:
    array = np.array(values)
    data = ts.plain_tensor(values).serialize()
    np.testing.assert_array_equal(load_plain_tensor(data), array)
    again = ts.plain_tensor_from(dump_plain_tensor(array))
    np.testing.assert_array_equal(np.array(again.tolist()), array)


def test_plain_tensors_of_integers() -> None:
    values = [[1, -2], [2**40, 0]]
    data = ts.plain_tensor(values, dtype="int").serialize()
    array = load_plain_tensor(data, integers=True)
    assert array.dtype == np.int64 and array.tolist() == values
    assert dump_plain_tensor(array) == data
    with pytest.raises(InputError, match="NaN"):
        dump_plain_tensor(np.array([np.nan]))
    with pytest.raises(InputError, match="doubles or 64-bit"):
        dump_plain_tensor(np.zeros(2, dtype=np.float32))  # type: ignore[arg-type]


# Broken bytes.

BROKEN = {
    "an unknown field": b"\x32\x00",
    "a group": b"\x0b",
    "a number where bytes belong": b"\x08\x01",
    "field 0": b"\x02\x00",
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f\x00",
    "a length of 2^64 - 1": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a number of more than 64 bits": b"\x0a" + b"\xff" * 9 + b"\x02",
    "a number without end": b"\x0a" + b"\xff" * 20,
    "nothing after a key": b"\x0a",
}
LOADERS = (
    ContextMessage.load,
    CkksVectorMessage.load,
    CkksTensorMessage.load,
    BfvVectorMessage.load,
    BfvTensorMessage.load,
)


@pytest.mark.fuzz
@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", BROKEN)
def test_broken_fields(load: object, name: str) -> None:
    assert callable(load)
    with pytest.raises(WireError, match="TenSEAL's"):
        load(BROKEN[name])


@pytest.mark.fuzz
@given(data=st.binary(max_size=200))
def test_anything(data: bytes) -> None:
    for load in (*LOADERS, load_plain_tensor):
        try:
            load(data)
        except WireError as error:
            assert len(str(error)) < 400


@pytest.mark.fuzz
@given(draw=st.data())
def test_flips_and_cuts(draw: st.DataObject) -> None:
    ciphertext = bytes(range(64))
    for message in (
        CkksVectorMessage((3, 300), (ciphertext, ciphertext), SCALE),
        CkksTensorMessage((2, 1), (ciphertext, ciphertext), SCALE, 4),
        ContextMessage(ciphertext, ciphertext, global_scale=SCALE, encryption_type=SYMMETRIC),
    ):
        data = bytearray(message.dump())
        assert type(message).load(data) == message
        for _ in range(draw.draw(st.integers(1, 3))):
            data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
        with contextlib.suppress(WireError):
            type(message).load(bytes(data[: draw.draw(st.integers(0, len(data)))]))


@pytest.mark.fuzz
@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1, 2**32 - 1), (1 << 21, 0)])
def test_tensors_without_entries_have_bounded_axes(shape: tuple[int, ...]) -> None:
    for data, load in (
        (CkksTensorMessage(shape, (), 1.0).dump(), CkksTensorMessage.load),
        (BfvTensorMessage(shape, ()).dump(), BfvTensorMessage.load),
    ):
        with pytest.raises(WireError, match="at most 1048576 entries"):
            load(data)
    assert CkksTensorMessage.load(CkksTensorMessage((3, 0, 2), (), 1.0).dump()).shape == (3, 0, 2)


@pytest.mark.fuzz
def test_what_does_not_fit_together() -> None:
    one = bytes(64)
    for broken in (
        CkksVectorMessage((1, 2), (one,), SCALE),
        CkksVectorMessage((1,), (one,), float("nan")),
        CkksVectorMessage((1,), (one,), -1.0),
        CkksVectorMessage((1,), (b"short",), SCALE),
        CkksTensorMessage((2, 2), (one,), SCALE),
        CkksTensorMessage((2**31, 2**31, 2**31), (one,), SCALE),
        CkksTensorMessage((1,) * 32, (one,), SCALE),
        CkksTensorMessage((0, 2**32 - 1, 2**32 - 1, 2**32 - 1), (), SCALE),
        BfvTensorMessage((2**32 - 1, 0), ()),
        ContextMessage(one, encryption_type=2),
        ContextMessage(one, global_scale=float("inf")),
        ContextMessage(b""),
    ):
        with pytest.raises(WireError):
            type(broken).load(broken.dump())
    once = ContextMessage(one).dump()
    with pytest.raises(WireError, match="occurs twice"):
        ContextMessage.load(once + once)


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "[",
        "[" * 100_000,
        "[1,[2]]",
        "[[1],[2,3]]",
        '["a"]',
        "[1e999]",
        "[NaN]",
        "[]",
        "{}",
        "[null]",
        "[" + "1," * 20_000 + '"' + "x" * 20_000 + '"]',  # 1.6 GB as a numpy array of texts
    ],
)
def test_broken_plain_tensors(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(WireError, match="plain tensor"):
        load_plain_tensor(text.encode())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * len(text) + (1 << 20)
