"""Whole bootstraps on small rings: values, noise, levels and scales, also in a row; and what goes wrong must not."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetorch.engine import _native
from hetorch.engine.bootstrap_noise import (
    bootstrap_noise,
    message_noise,
    multiples_probability,
    reduction_noise,
)
from hetorch.engine.bootstrapping import COSINE_16, BootstrapKeySpec, KeyEnd, KeyLink
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import KeyMissingError, LevelError, ParameterError, SecurityError
from hetorch.params import ParameterSet
from hetorch.params.bootstrap_set import SPARSE_FAMILY
from tests.engine.bootstrap_case import SCALE, Case, irwin_hall, small_set

ROOT = Path(__file__).parents[2]
SETS = {
    "full": small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2)),
    "quarter": small_set(1 << 12, (5, 4), (5, 4), babies=(8, 2)),
}


@pytest.fixture(scope="module", params=sorted(SETS))
def case(request: pytest.FixtureRequest) -> Case:
    return Case.make(SETS[request.param])


def test_level_scale_and_values(case: Case) -> None:
    values = case.values(1)
    result = case.engine.bootstrap(case.prepared, case.encrypt(values))
    assert (result.level, result.scale, result.size) == (case.bootstrap_set.output_level, SCALE, 2)
    assert result.level - case.bootstrap_set.input_level == case.bootstrap_set.user_levels == 2
    found = case.key.decrypt_complex(result)
    deviation = bootstrap_noise(case.prepared)
    assert np.abs(found.real - case.expected(values)).max() < 16 * deviation
    # The distortion is that of the sine.
    assert np.abs(case.expected(values) - values).max() < (2 * math.pi / 256) ** 2 / 6
    assert np.abs(found.imag).max() < 16 * deviation


def test_noise_is_the_predicted_one(case: Case) -> None:
    # 8 bootstraps of 2^11 slots: a root mean square of that many is good to 2 percent, and tails double that.
    core, errors, before, within = case.prepared.core, [], [], []
    for seed in range(8):
        values = case.values(seed)
        low = core.to_coefficients(case.evaluator, case.encrypt(values))
        slots = core.to_slots(case.evaluator, core.raise_modulus(case.evaluator, low))
        found = case.key.decrypt(core.reduce(case.evaluator, slots))
        y = case.key.decrypt(slots) * COSINE_16.range
        part = (y - np.round(y)) * 256
        errors.append(found - case.expected(values))
        before.append(part - values)
        within.append(found - np.sin(2 * np.pi * part / 256) * 256 / (2 * np.pi))
    assert np.std(errors) == pytest.approx(bootstrap_noise(case.prepared), rel=0.2)
    reduction = math.sqrt(
        sum(multiples_probability(k) * reduction_noise(case.prepared, k) ** 2 for k in range(-16, 17))
    )
    assert np.std(within) == pytest.approx(reduction, rel=0.2)
    # Rounded diagonals are not in this part of the prediction.
    assert message_noise(case.prepared) < np.std(before) < 1.5 * message_noise(case.prepared)


def test_ten_in_a_row(case: Case) -> None:
    values = case.values(2)
    expected = values
    ciphertext = case.encrypt(values)
    deviation = bootstrap_noise(case.prepared)
    for count in range(1, 11):
        result = case.engine.bootstrap(case.prepared, ciphertext)
        assert (result.level, result.scale) == (case.bootstrap_set.output_level, SCALE)
        ciphertext = case.engine.drop_level(result, case.bootstrap_set.input_level)
        expected = case.expected(expected)
        error = case.key.decrypt(ciphertext) - expected
        # The noise of each adds up; a mean over 2^9 slots and more.
        assert np.std(error) < 1.5 * math.sqrt(count) * deviation
        assert np.abs(error).max() < 16 * math.sqrt(count) * deviation


def test_another_bound_and_computation_after_it() -> None:
    boot = small_set(1 << 10, (3, 3, 3), (3, 3, 3))
    case = Case.make(boot, bound=5.5)
    values = case.values(3, bound=5.5)
    result = case.engine.bootstrap(case.prepared, case.encrypt(values))
    deviation = bootstrap_noise(case.prepared)
    assert np.abs(case.key.decrypt(result) - case.expected(values)).max() < 16 * deviation
    square = case.engine.rescale(case.engine.multiply(result, result))
    assert square.level == boot.output_level - 1
    expected = case.expected(values) ** 2
    assert np.abs(case.key.decrypt(square) - expected).max() < 2 * 5.5 * 16 * deviation + 2.0**-20


@pytest.mark.parametrize("size", [1.5, 4.0])
def test_values_beyond_the_bound_are_distorted_and_no_more(case: Case, size: float) -> None:
    # The sine goes on; the series is not fitted there, and its error grows slowly.
    values = size * np.sign(case.values(4))
    found = case.key.decrypt(case.engine.bootstrap(case.prepared, case.encrypt(values)))
    assert np.abs(found - case.expected(values)).max() < 2.0**-9
    assert np.abs(found - values).max() < 1.1 * (2 * math.pi * size / 256) ** 2 / 6 * size + 2.0**-9


def test_a_multiple_out_of_range_is_lost(case: Case) -> None:
    # Beyond |I| = 16 the series leaves its range, and soon nothing of the message is left.
    core = case.prepared.core
    for multiple, size in ((18.0, 0.1), (24.0, 1.0)):
        y = np.full(case.bootstrap_set.parameters.slot_count, multiple)
        x = case.key.encrypt(y / COSINE_16.range, scale=core.reduction_scale, level=core.reduction_level)
        assert np.abs(case.key.decrypt(core.reduce(case.evaluator, x))).min() > size


def test_multiples_out_of_range_do_not_occur() -> None:
    # 33 numbers of 1/2 at most add up to 16.5, and even |I| = 16 occurs once in 2^100 bootstraps of 2^15 slots.
    assert irwin_hall(17, 33) == 0
    assert 2 * irwin_hall(16, 33) * (1 << 16) < 2.0**-100
    assert sum(irwin_hall(k, 33) for k in range(-16, 17)) == pytest.approx(1, abs=1e-12)
    for k in range(-8, 9):
        assert multiples_probability(k) == pytest.approx(irwin_hall(k, 33), abs=1e-12)


def test_missing_keys_are_errors(case: Case) -> None:
    p = case.bootstrap_set.parameters
    ciphertext = case.encrypt(case.values(5))
    none = case.key.evaluation_keys(EvaluationKeySpec(None, ()))
    for keys in (None, none):
        with pytest.raises(KeyMissingError):
            NativeEngine(p, evaluation_keys=keys).bootstrap(case.prepared, ciphertext)
    # Without each single key.
    links = case.prepared.key_spec.links
    made = [_single_key(case, i) for i in range(len(links))]
    for left_out in range(len(links)):
        keys = _native.EvaluationKeys(None, [], [k for i, k in enumerate(made) if i != left_out])
        with pytest.raises(KeyMissingError):
            NativeEngine(p, evaluation_keys=keys).bootstrap(case.prepared, ciphertext)


def _single_key(case: Case, index: int) -> tuple[KeyEnd, KeyEnd, int, _native.SwitchingKey]:
    """Return a Galois key of the link's name, family and level; for what it is a key does not matter here."""
    link = case.prepared.key_spec.links[index]
    key = case.key.switching_key(5, link.level, lambda _, length: bytes(length), link.family)
    return link.from_end, link.to_end, link.element, key


def test_other_keys_and_parameters_are_errors(case: Case) -> None:
    other = Case.make(small_set(1 << 10, (3, 3, 3), (3, 3, 3)))
    with pytest.raises((ParameterError, LevelError)):
        other.engine.bootstrap(case.prepared, other.encrypt(other.values(6)))


def test_parameters_with_other_primes_are_an_error() -> None:
    # Of the same shape, so that nothing but the primes differs: the result would be noise.
    boot = small_set(1 << 10, (5, 4), (5, 4))
    case = Case.make(boot)
    chain = list(boot.parameters.modulus_chain)
    chain[-3], chain[-4] = chain[-4], chain[-3]
    other = dataclasses.replace(boot.parameters, modulus_chain=tuple(chain))
    key = SecretKey.generate(other)
    engine = NativeEngine(other, evaluation_keys=key.bootstrap_keys(case.prepared.key_spec))
    ciphertext = key.encrypt(case.values(6), scale=SCALE, level=boot.input_level)
    with pytest.raises(ParameterError, match="other parameters"):
        engine.bootstrap(case.prepared, ciphertext)


def test_no_key_is_made_under_a_sparse_secret_that_the_table_does_not_allow() -> None:
    # Whoever made the spec: the key holder checks it against the table.
    secure = ParameterSet.from_bits(1 << 12, [30, 30], [36], key_families=(SPARSE_FAMILY,))
    link = KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, (1, 1), 0)
    key = SecretKey.generate(secure)
    for weight, spacing in ((32, 1), (1, 1), (32, 64)):
        with pytest.raises(SecurityError, match=f"weight {weight}"):
            key.bootstrap_keys(BootstrapKeySpec((link,), weight, spacing))
    for spacing in (0, 3):
        with pytest.raises(ParameterError, match="spacing"):
            key.bootstrap_keys(BootstrapKeySpec((link,), 32, spacing))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 1}, "q_0 and one special prime"),
        ({"family": (3, 3)}, "q_0 and one special prime"),
        ({"from_end": KeyEnd.DENSE_SQUARED}, "from DENSE_SQUARED to SPARSE"),
        ({"from_end": KeyEnd.SPARSE_SCALED}, "from SPARSE_SCALED to SPARSE"),
        ({"from_end": KeyEnd.SPARSE}, "from SPARSE to SPARSE"),
        ({"to_end": KeyEnd.SPARSE_SCALED}, "from DENSE to SPARSE_SCALED"),
    ],
)
def test_no_other_key_is_made_under_the_sparse_secret(changes: dict[str, Any], message: str) -> None:
    boot = small_set(1 << 10, (5, 4), (5, 4))
    link = dataclasses.replace(KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, (1, 1), 0), **changes)
    with pytest.raises(ParameterError, match=message):
        SecretKey.generate(boot.parameters).bootstrap_keys(BootstrapKeySpec((link,), 32, 1))


def test_the_key_spec_names_a_sparse_secret_once(case: Case) -> None:
    spec = case.prepared.key_spec
    to_sparse = [link for link in spec.links if link.to_end is KeyEnd.SPARSE]
    assert [(link.level, link.family, link.from_end) for link in to_sparse] == [(0, (1, 1), KeyEnd.DENSE)]
    # One key for each diagonal of the first factor, and none else under the sparse secret.
    scaled = [link for link in spec.links if link.from_end is KeyEnd.SPARSE_SCALED]
    assert len(scaled) == 1 << case.bootstrap_set.to_slots[0]
    assert {(k.to_end, k.family, k.level) for k in scaled} == {
        (KeyEnd.DENSE, (p.special_count, p.digit_size), case.bootstrap_set.parameters.max_level)
        for p in case.bootstrap_set.parameters.key_families[-1:]
    }
    assert KeyEnd.SPARSE not in {link.from_end for link in spec.links}
    assert len({(k.from_end, k.to_end, k.element, k.family) for k in spec.links}) == len(spec.links)
    assert (spec.sparse_weight, spec.sparse_spacing) == (32, case.bootstrap_set.spacing)


def test_keys_are_made_one_by_one() -> None:
    boot = small_set(1 << 10, (5, 4), (5, 4))
    case = Case.make(boot)
    seen: list[tuple[int, int]] = []
    SecretKey.generate(boot.parameters).bootstrap_keys(
        case.prepared.key_spec, lambda done, total: seen.append((done, total))
    )
    total = len(case.prepared.key_spec.links)
    assert seen == [(i + 1, total) for i in range(total)]


def test_the_same_bits_on_every_kernel_path_and_thread_count() -> None:
    digests = set()
    for path in _native.kernel_paths():
        for threads in ("1", "3"):
            done = subprocess.run(
                [sys.executable, "-m", "tests.engine.bootstrap_bits"],
                capture_output=True,
                text=True,
                cwd=ROOT,
                env={**os.environ, "HETORCH_ISA": path, "HETORCH_NUM_THREADS": threads},
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            result = json.loads(done.stdout)
            assert (result["path"], str(result["threads"])) == (path, threads)
            digests.add(result["digest"])
    assert len(digests) == 1
