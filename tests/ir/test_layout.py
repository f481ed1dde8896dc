from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import InputError, PlanError
from hetorch.ir.layout import UNUSED, Layout


@given(st.integers(0, 2**31), st.integers(1, 16), st.integers(4, 7))
def test_unpack_undoes_pack(seed: int, size: int, log_slots: int) -> None:
    generator = np.random.default_rng(seed)
    slots = 1 << log_slots
    index = generator.integers(-1, size, slots)
    index[generator.permutation(slots)[:size]] = np.arange(size)
    layout = Layout((size,), slots, index[None, :].astype(np.int32))
    x = generator.standard_normal(size)
    packed = layout.pack(x)
    assert packed[0].shape == (slots,)
    assert np.all(packed[0][index == UNUSED] == 0)
    np.testing.assert_allclose(layout.unpack(packed), x, rtol=1e-14)


def test_unpack_averages_replicas_and_ignores_unused_slots() -> None:
    layout = Layout((2,), 8, np.array([[0, 1, -1, 0, 1, -1, -1, 0]], dtype=np.int32))
    slots = np.array([1.0, 10.0, 99.0, 2.0, 20.0, 99.0, np.nan, 6.0])
    np.testing.assert_array_equal(layout.unpack([slots]), [3.0, 15.0])


@pytest.mark.filterwarnings("error")
def test_values_without_bound_are_unpacked_without_a_word() -> None:
    """A polynomial far outside its range makes such; a warning about sums of replicas tells nobody anything."""
    layout = Layout((2,), 4, np.array([[0, 1, 0, 1]], dtype=np.int32))
    assert np.array_equal(layout.unpack([np.array([1.5e308, 1.0, 1.5e308, 3.0])]), [np.inf, 2.0])


def test_period_is_found_and_rebuilt() -> None:
    block = np.array([0, 1, 2, -1], dtype=np.int32)
    layout = Layout.periodic((3,), 32, block)
    assert layout.period == 4
    assert Layout.periodic((3,), 32, layout.block) == layout
    assert hash(Layout.periodic((3,), 32, layout.block)) == hash(layout)


def test_two_ciphertexts() -> None:
    layout = Layout((8,), 4, np.arange(8, dtype=np.int32).reshape(2, 4))
    packed = layout.pack(np.arange(8.0))
    assert len(packed) == 2
    np.testing.assert_array_equal(layout.unpack(packed), np.arange(8.0))


@pytest.mark.parametrize(
    ("shape", "slots", "index", "message"),
    [
        ((2,), 4, [[0, 2, 1, 0]], "expected -1..1"),
        ((2,), 4, [[0, 0, 0, 0]], "lacks slots"),
        ((2,), 3, [[0, 1, 1]], "power of two"),
        ((2,), 4, [[0, 1]], "expected"),
    ],
)
def test_malformed_maps_are_refused(
    shape: tuple[int, ...], slots: int, index: list[list[int]], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        Layout(shape, slots, np.array(index, dtype=np.int32))


def test_wrong_samples_are_refused() -> None:
    layout = Layout.periodic((2, 2), 8, np.arange(4))
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        layout.pack(np.zeros(4))
    with pytest.raises(InputError, match="NaN"):
        layout.pack(np.array([[1.0, np.nan], [0, 0]]))
    with pytest.raises(InputError, match="expected 1 array of"):
        layout.unpack([np.zeros(4)])


def test_the_map_cannot_be_changed() -> None:
    layout = Layout.periodic((2,), 4, [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        layout.index_of_slot[0, 0] = 1
