"""Inputs: accepted, or refused before anything is encrypted."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from hetorch.errors import InputError, InputRangeWarning
from hetorch.plan.columns import Columns
from hetorch.plan.features import Category, Number
from hetorch.plan.inputs import beyond_range, to_array, to_samples

SHAPE = (2, 3)
RANGE = (-1.0, 1.0)


@pytest.mark.parametrize(
    "value",
    [
        np.ones(SHAPE),
        np.ones(SHAPE, dtype=np.float32),
        np.ones(SHAPE, dtype=np.uint8),
        np.ones(SHAPE, dtype=bool),
        torch.ones(SHAPE),
        torch.ones(SHAPE, requires_grad=True),
        torch.ones(SHAPE, dtype=torch.int64),
        torch.ones(SHAPE, dtype=torch.bfloat16),
        torch.ones(SHAPE, dtype=torch.float16),
        [[1, 1, 1], [1.0, 1, 1]],
    ],
)
def test_arrays_tensors_and_lists_are_samples(value: object) -> None:
    samples, single = to_samples(value, SHAPE, RANGE)
    assert single
    assert samples.dtype == np.float64
    assert np.array_equal(samples, np.ones((1, *SHAPE)))


@pytest.mark.parametrize("value", [None, {"x": 1.0}, torch.utils.data.DataLoader([1.0])])  # type: ignore[arg-type]
def test_what_is_no_array_is_named(value: object) -> None:
    with pytest.raises(InputError, match=rf"of type {type(value).__name__} .* give an array"):
        to_samples(value, SHAPE, RANGE)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_batch_is_told_by_its_shape(count: int) -> None:
    samples, single = to_samples(torch.zeros(count, *SHAPE), SHAPE, RANGE)
    assert not single
    assert samples.shape == (count, *SHAPE)


def test_the_input_stays_as_it_is() -> None:
    value = np.ones(SHAPE)
    to_array(value)[0, 0] = 7
    assert value[0, 0] == 1


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (2, 3, 1), (1, 1, 2, 3)])
def test_a_wrong_shape_names_both_that_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3\) or a batch of shape \(n, 2, 3\)"):
        to_samples(np.zeros(shape), SHAPE, RANGE)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        to_samples(np.zeros((0, *SHAPE)), SHAPE, RANGE, fewest=1)
    samples, single = to_samples(np.zeros((0, *SHAPE)), SHAPE, RANGE)
    assert samples.shape == (0, *SHAPE) and not single


@pytest.mark.parametrize(
    "value", [np.zeros(SHAPE, dtype=complex), "text", [["a"]], [[1, 2], [3]], None, object()]
)
def test_what_is_no_array_of_real_numbers_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        to_samples(value, SHAPE, RANGE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_located(bad: float) -> None:
    batch = np.zeros((2, *SHAPE))
    batch[1, 0, 2] = bad
    with pytest.raises(InputError, match=r"index \(1, 0, 2\)"):
        to_samples(batch, SHAPE, RANGE)
    with pytest.raises(InputError, match=r"index \(0, 2\)"):
        to_samples(batch[1], SHAPE, RANGE)


def test_outside_the_calibrated_range_warns_and_goes_on() -> None:
    value = np.full(SHAPE, 2.0)
    with pytest.warns(InputRangeWarning, match=r"2\.\.2, the model was calibrated for -1\.\.1"):
        samples, _ = to_samples(value, SHAPE, RANGE)
    assert samples.max() == 2


def test_rounding_at_the_ends_of_the_range_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_samples(np.full(SHAPE, 1 + 5e-7), SHAPE, RANGE)
        to_samples(np.full(SHAPE, 1e9), SHAPE, None)


@pytest.mark.parametrize("constant", [3.0, -3.0, 0.0])
def test_a_range_without_a_width_warns_of_any_other_value(constant: float) -> None:
    only = (constant, constant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_samples(np.full(SHAPE, constant), SHAPE, only)
        to_samples(np.full(SHAPE, constant * (1 + 5e-7)), SHAPE, only)
    with pytest.warns(
        InputRangeWarning, match=r"it leaves that range, which has no width, in 1 of 2 samples"
    ):
        to_samples(np.stack([np.full(SHAPE, constant), np.full(SHAPE, constant + 1)]), SHAPE, only)


def test_values_on_which_nothing_can_be_computed_are_located() -> None:
    batch = np.zeros((2, *SHAPE))
    batch[1, 0, 2] = 1e30
    sentence = r"1e\+30 at {}; nothing can be computed .* calibrated for -1\.\.1"
    with pytest.raises(InputError, match=sentence.format(r"index \(1, 0, 2\), in sample 1")):
        to_samples(batch, SHAPE, RANGE, largest=1e6)
    with pytest.raises(InputError, match=sentence.format(r"index \(0, 2\)")):
        to_samples(-batch[1], SHAPE, RANGE, largest=1e6)
    with pytest.raises(InputError, match="what its parameters can hold"):
        to_samples(batch, SHAPE, None, largest=1e6)


@pytest.mark.parametrize("low", [0.0, -255.0])
def test_an_input_of_another_unit_is_told(low: float) -> None:
    pixels = np.linspace(0.0, 1.0, 6).reshape(SHAPE)
    with pytest.warns(
        InputRangeWarning, match=r"spans 0\.\.1, .*calibrated for .*255: if the .* another unit"
    ):
        to_samples(pixels, SHAPE, (low, 255.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_samples(np.zeros(SHAPE), SHAPE, (low, 255.0))  # a black image
        to_samples(pixels * 3, SHAPE, (low, 255.0))
        to_samples(pixels, SHAPE, None)


def test_how_far_samples_leave_the_range() -> None:
    samples = np.array([[0.0, 1.0], [-3.0, 0.0], [0.0, 1.5], [1 + 1e-7, 0.0]])
    np.testing.assert_allclose(beyond_range(samples, (-1.0, 1.0)), [0, 1, 0.25, 0])
    assert not beyond_range(samples, None).any()
    with pytest.warns(InputRangeWarning, match=r"up to 100\.0% of its width in 2 of 4 samples.*meaningless"):
        to_samples(samples, (2,), (-1.0, 1.0))
    with pytest.warns(InputRangeWarning, match=r"up to 2\.5% of its width.*less exact at worst"):
        to_samples(np.array([1.05, 0.0]), (2,), (-1.0, 1.0))


def test_an_excess_of_a_thousandth_of_the_width_is_within() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_samples(np.array([0.0, 1.0]), (2,), (6.8e-06, 0.999992))
        to_samples(np.array([-0.0009, 1.0009]), (2,), (0.0, 1.0))
    with pytest.warns(InputRangeWarning, match=r"by up to 0\.2% of its width"):
        to_samples(np.array([0.0, 1.002]), (2,), (0.0, 1.0))


def test_a_model_without_polynomials_is_told_of_none() -> None:
    with pytest.warns(InputRangeWarning, match="has no activations") as caught:
        to_samples(np.array([0.0, 9.0]), (2,), (-1.0, 1.0), polynomials=False)
    assert "polynomial" not in str(caught[0].message) and "meaningless" not in str(caught[0].message)


def test_values_of_a_table_are_named_in_its_own_unit() -> None:
    columns = Columns(
        ("town", "age"), 2, (Category(0, ("Ulm",), (0,), True, (1.0,), (0.0,)), Number(1, -0.01, 0.5))
    )
    x = np.asarray(columns.read({"town": ["Ulm"] * 3, "age": [20, 30, 250]}))
    with pytest.warns(
        InputRangeWarning,
        match=r"250 in column age, row 2, .* for -50\.\.150: .* 50\.0% of its width in 1 of 3",
    ):
        to_samples(x, (2,), (-1.0, 1.0), source=columns.source)
    with pytest.raises(InputError, match=r"250 in column age, row 2; .* calibrated for -50\.\.150: "):
        to_samples(x, (2,), (-1.0, 1.0), largest=1.5, source=columns.source)
    with pytest.raises(InputError, match=r"250 in column age; "):
        to_samples(x[2], (2,), (-1.0, 1.0), largest=1.5, source=columns.source)
