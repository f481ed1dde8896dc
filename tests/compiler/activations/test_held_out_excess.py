from __future__ import annotations

import numpy as np

from hetorch.compiler.activations.held_out_excess import halves


def test_inputs_are_parted_where_they_differ_most() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(100, 3, 4)) * 0.1
    upper = np.sort(random.permutation(100)[:50])
    inputs[upper] += np.linspace(1, 2, 12).reshape(3, 4)
    first, second = halves(inputs)
    assert np.array_equal(upper, first) or np.array_equal(upper, second)
    assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(100))
