"""Any bytes for a context, a vector or a tensor give an object that computes, or an error of TenSEAL's types."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hetorch.tenseal as ts
from hetorch.interop.tenseal_format import CkksTensorMessage, CkksVectorMessage

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore::UserWarning")]


@lru_cache(maxsize=1)
def context() -> ts.Context:
    made = ts.context(ts.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[39, 28, 39])
    made.global_scale = 2.0**28
    return made


@lru_cache(maxsize=1)
def samples() -> dict[str, bytes]:
    return {
        "public context": context().serialize(),
        "private context": context().serialize(save_secret_key=True),
        "vector": ts.ckks_vector(context(), [1.0, 2.0]).serialize(),
        "tensor": ts.ckks_tensor(context(), [[1.0], [2.0]], batch=True).serialize(),
    }


def use_context(data: bytes) -> None:
    made = ts.context_from(data)
    if made.is_private() or made.has_public_key():
        ts.ckks_vector(made, [1.0], 2.0**10)


def use_vector(data: bytes) -> None:
    vector = ts.ckks_vector_from(context(), data)
    for operation in (lambda: vector + 1, lambda: vector * vector, lambda: vector.polyval([1, 1])):
        attempted(operation)
    vector.decrypt()


def use_tensor(data: bytes) -> None:
    tensor = ts.ckks_tensor_from(context(), data)
    for operation in (lambda: tensor + 1, lambda: tensor * tensor, tensor.transpose, lambda: tensor.sum(0)):
        attempted(operation)
    tensor.decrypt()


def attempted(operation: Callable[[], object]) -> bool:
    """Return True if it worked; an error has one of the types that TenSEAL raises, and no other."""
    try:
        operation()
    except (ValueError, RuntimeError) as error:
        assert type(error) in (ValueError, RuntimeError)
        return False
    return True


USES: dict[str, Callable[[bytes], None]] = {
    "public context": use_context,
    "private context": use_context,
    "vector": use_vector,
    "tensor": use_tensor,
}


@pytest.mark.parametrize("kind", USES)
def test_sound_bytes_are_used(kind: str) -> None:
    USES[kind](samples()[kind])


@pytest.mark.parametrize("kind", USES)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_flips_and_cuts(kind: str, draw: st.DataObject) -> None:
    data = bytearray(samples()[kind])
    end = min(len(data), draw.draw(st.sampled_from([40, 200, len(data)])))
    for at in draw.draw(st.lists(st.integers(0, end - 1), min_size=1, max_size=3)):
        data[at] ^= draw.draw(st.integers(1, 255))
    cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    attempted(lambda: USES[kind](bytes(data[:cut])))


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1.0, 2.0**27, 2.0**60, 2.0**999])
def test_scales_that_are_not_the_ciphertexts(scale: float) -> None:
    ciphertexts = CkksVectorMessage.load(samples()["vector"]).ciphertexts
    attempted(lambda: use_vector(CkksVectorMessage((2,), ciphertexts, scale).dump()))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (1,) * 31, (1,) * 32, (0, 2**32 - 1, 2**32 - 1)])
@pytest.mark.parametrize("batch", [None, 1, 2048, 2049, 2**32 - 1])
def test_shapes_and_batches(shape: tuple[int, ...], batch: int | None) -> None:
    ciphertexts: Any = CkksTensorMessage.load(samples()["tensor"]).ciphertexts[: int(0 not in shape)]
    data = CkksTensorMessage(shape, ciphertexts, 2.0**28, batch).dump()
    fits = len(shape) <= 31 and np.prod(np.maximum(shape, 1), dtype=object) == 1
    read = attempted(lambda: ts.ckks_tensor_from(context(), data))
    assert read is (fits and (batch is None or batch <= 2048))
    attempted(lambda: use_tensor(data))
