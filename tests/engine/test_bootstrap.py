"""Whole bootstraps on small rings: values, noise, levels and scales, also in a row; and what goes wrong must not."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.compiler.noise import noise_tail_bounds
from hetorch.engine import _native
from hetorch.engine.bootstrap_keys import bootstrap_keys, diagonal_bytes
from hetorch.engine.bootstrap_noise import (
    bootstrap_noise,
    failure_probability,
    largest_noise,
    message_noise,
    multiples_probability,
    noise_of_multiples,
    reduction_noise,
)
from hetorch.engine.bootstrapping import COSINE_16
from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec, KeyEnd, KeyLink, SparseSecret, all_links
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import KeyMissingError, LevelError, ParameterError, SecurityError
from hetorch.params import KeyFamily, ParameterSet
from hetorch.params.bootstrap_set import SPARSE_FAMILY, standard_bootstrap_set
from tests.engine.bootstrap_case import Case, irwin_hall, small_set, with_sizes_of_small_ring

ROOT = Path(__file__).parents[2]
SETS = {
    "full": small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2)),
    "quarter": small_set(1 << 12, (5, 4), (5, 4), babies=(8, 2)),
    "small_ring_4": with_sizes_of_small_ring(4, 1 << 11),
    "small_ring_8": with_sizes_of_small_ring(8, 1 << 11),
}


@pytest.fixture(scope="module", params=sorted(SETS))
def case(request: pytest.FixtureRequest) -> Case:
    return Case.make(SETS[request.param])


def test_level_scale_and_values(case: Case) -> None:
    values = case.values(1)
    result = case.engine.bootstrap(case.prepared, case.encrypt(values))
    assert (result.level, result.scale, result.size) == (case.bootstrap_set.output_level, case.scale, 2)
    assert result.level - case.bootstrap_set.input_level == case.bootstrap_set.user_levels
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
    # A quarter of the slots leaves 2^12 distinct values: 1 percent, doubled by the tails, four times for certainty.
    assert np.std(before) == pytest.approx(message_noise(case.prepared), rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("user_levels", [4, 8])
def test_the_ring_of_degree_2_15(user_levels: int) -> None:
    boot = standard_bootstrap_set(1 << 14, user_levels, ring_degree=1 << 15)
    case = Case.make(boot)
    expected, ciphertext = case.values(1), case.encrypt(case.values(1))
    for count in (1, 2):
        result = case.engine.bootstrap(case.prepared, ciphertext)
        assert (result.level, result.scale) == (boot.output_level, case.scale)
        ciphertext, expected = case.engine.drop_level(result, boot.input_level), case.expected(expected)
        errors = case.key.decrypt(ciphertext) - expected
        assert np.std(errors) == pytest.approx(math.sqrt(count) * bootstrap_noise(case.prepared), rel=0.2)


def test_ten_in_a_row(case: Case) -> None:
    # Four messages of 2^9 slots or more: with a kurtosis of 10, their root mean square is good to 3 percent.
    expected = [case.values(seed) for seed in range(4)]
    ciphertexts = [case.encrypt(values) for values in expected]
    deviation, worst = bootstrap_noise(case.prepared), largest_noise(case.prepared)
    for count in range(1, 11):
        results = [case.engine.bootstrap(case.prepared, ciphertext) for ciphertext in ciphertexts]
        assert {(r.level, r.scale) for r in results} == {(case.bootstrap_set.output_level, case.scale)}
        ciphertexts = [case.engine.drop_level(r, case.bootstrap_set.input_level) for r in results]
        expected = [case.expected(values) for values in expected]
        errors = np.array([case.key.decrypt(c) for c in ciphertexts]) - expected
        # The noise of each adds up, independent of that before; a bootstrap of fewer slots keeps the mean of those that
        # should be equal.
        terms = 1 + (count - 1) / case.bootstrap_set.spacing
        if count in (1, 2, 10):
            assert np.std(errors) == pytest.approx(math.sqrt(terms) * deviation, rel=0.2)
        # The bound of a sum of Laplace variables, with a probability of 1e-8 for each of 2^13 slots.
        assert np.abs(errors).max() < _bound(terms * worst**2, worst**2)


def test_tails_are_within_the_bound_that_sharing_takes(case: Case) -> None:
    # Given the worst I, 0, the noise is a sum of Laplace variables: their largest of n has a bound by Chernoff, which
    # is no more than twice what is seen. Over all I, no bound of the root mean square holds.
    core, seen, multiples = case.prepared.core, [], []
    for seed in range(4):
        values = case.values(seed)
        low = core.to_coefficients(case.evaluator, case.encrypt(values))
        slots = core.to_slots(case.evaluator, core.raise_modulus(case.evaluator, low))
        seen.append(case.key.decrypt(core.reduce(case.evaluator, slots)) - case.expected(values))
        multiples.append(np.round(case.key.decrypt(slots) * COSINE_16.range))
    errors, worst = np.concatenate(seen), largest_noise(case.prepared)
    at_zero = errors[np.concatenate(multiples) == 0]
    deviations, probabilities = noise_of_multiples(case.prepared)
    assert deviations.argmax() == COSINE_16.multiples and worst == deviations.max()
    assert np.std(at_zero) == pytest.approx(worst, rel=0.2)
    assert len(at_zero) / len(errors) == pytest.approx(probabilities[COSINE_16.multiples], rel=0.2)
    assert np.abs(errors).max() < _bound(worst**2, worst**2)


def _bound(variance: float, largest: float) -> float:
    noise = noise_tail_bounds.Noise(np.array([variance]), np.array([largest]))
    return noise_tail_bounds.bound([noise])


def test_the_series_follows_the_sine_far_beyond_the_bound() -> None:
    # What a client shares is then off from a function of the message by the noise alone, whatever its values.
    multiples = np.arange(-15, 16)
    message = np.linspace(-8, 8, 401) / 256
    u = multiples[:, None] + message - 0.25
    z = chebyshev.chebval(2 * (u / COSINE_16.range) ** 2 - 1, np.array(COSINE_16.coefficients))
    amplitude = COSINE_16.amplitude
    for _ in range(COSINE_16.doublings):
        amplitude *= amplitude
        z = 2 * z * z - amplitude
    sine = np.sin(2 * np.pi * message) / (2 * np.pi)
    error = 256 * np.abs(z - sine).max(axis=1)
    assert error[np.abs(multiples) <= 10].max() < 2.0**-27
    assert error.max() < 2.0**-17


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


def test_the_maps_serve_another_bound(case: Case) -> None:
    prepared, boot = case.prepared, case.bootstrap_set
    values = case.values(3, bound=4.0)
    ciphertext = case.key.encrypt(values, scale=case.scale / 4, level=boot.input_level)
    result = case.engine.bootstrap(prepared, ciphertext, 4.0)
    other = prepared.within(4.0)
    assert (
        (result.level, result.scale)
        == (boot.output_level, other.output_scale)
        == (result.level, case.scale / 4)
    )
    assert other.full_scales == prepared.full_scales
    assert bootstrap_noise(other) == pytest.approx(4 * bootstrap_noise(prepared), rel=1e-9)
    error = case.key.decrypt(result) - other.expected(values)
    assert np.std(error) == pytest.approx(bootstrap_noise(other), rel=0.2)
    with pytest.raises(LevelError):
        case.engine.bootstrap(prepared, ciphertext)
    for bound in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ParameterError):
            case.engine.bootstrap(prepared, ciphertext, bound)


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


def test_a_bootstrap_fails_less_often_than_once_in_2_to_the_100() -> None:
    # Exact fractions: both signs of I, the message at the end of its range, and all 2^16 coefficients of 2^15 slots.
    exact = 2 * irwin_hall(Fraction(16) - Fraction(102, 25600), 33) * (1 << 16)
    assert failure_probability(1 << 15) == pytest.approx(exact, rel=1e-6)
    assert failure_probability(1 << 14) == failure_probability(1 << 15) / 2 < 2.0**-100
    # A shorter series, or the weight of 192 with which others bootstrap, would not do.
    assert failure_probability(1 << 15, 14) > 2.0**-64
    assert failure_probability(1 << 15, 16, 192) > 1


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
    made = [_single_key(case, link) for link in all_links(p, bootstrap_keys(case.bootstrap_set))]
    for left_out in range(len(made)):
        keys = _native.EvaluationKeys(None, [], [k for i, k in enumerate(made) if i != left_out])
        with pytest.raises(KeyMissingError):
            NativeEngine(p, evaluation_keys=keys).bootstrap(case.prepared, ciphertext)


def _single_key(
    case: Case, link: KeyLink
) -> tuple[_native.KeyEnd, _native.KeyEnd, int, _native.SwitchingKey]:
    """Return a Galois key of the link's name, family and level; for what it is a key does not matter here."""
    key = case.key.switching_key(5, link.level, lambda _, length: bytes(length), link.family.pair)
    return _native.KeyEnd[link.from_end.name], _native.KeyEnd[link.to_end.name], link.element, key


def test_other_keys_and_parameters_are_errors(case: Case) -> None:
    other = Case.make(small_set(1 << 10, (3, 3, 3), (3, 3, 3)))
    with pytest.raises((ParameterError, LevelError)):
        other.engine.bootstrap(case.prepared, other.encrypt(other.values(6)))


def test_the_key_spec_is_that_of_the_core(case: Case) -> None:
    boot = case.bootstrap_set
    spec = bootstrap_keys(boot)
    assert spec.sparse == SparseSecret(32, boot.spacing)
    needs = {
        (link.from_end.name, link.to_end.name, link.element, link.family.pair, link.level)
        for link in all_links(boot.parameters, spec)
    }
    core = [(start.name, end.name, *rest) for start, end, *rest in case.prepared.core.key_links()]
    assert needs == set(core) and len(core) == spec.count
    assert diagonal_bytes(boot) == case.prepared.byte_count
    assert case.prepared.core.reduction_scale == case.prepared.reduction_scale
    assert case.prepared.core.reduction_level == boot.reduction_level


def test_parameters_with_other_primes_are_an_error() -> None:
    # Of the same shape, so that nothing but the primes differs: the result would be noise.
    boot = small_set(1 << 10, (5, 4), (5, 4))
    case = Case.make(boot)
    chain = list(boot.parameters.modulus_chain)
    chain[-3], chain[-4] = chain[-4], chain[-3]
    other = dataclasses.replace(boot.parameters, modulus_chain=tuple(chain))
    key = SecretKey.generate(other)
    engine = NativeEngine(other, evaluation_keys=key.evaluation_keys(bootstrap_keys(boot)))
    ciphertext = key.encrypt(case.values(6), scale=case.scale, level=boot.input_level)
    with pytest.raises(ParameterError, match="other parameters"):
        engine.bootstrap(case.prepared, ciphertext)
    for able in (engine, CleartextEngine(other)):
        with pytest.raises(ParameterError, match="other parameters"):
            able.prepare_bootstrap(case.prepared)


def test_no_key_is_made_under_a_sparse_secret_that_the_table_does_not_allow() -> None:
    # Whoever made the spec: the key holder checks it against the table.
    secure = ParameterSet.from_bits(1 << 12, [30, 30], [36], key_families=(SPARSE_FAMILY,))
    link = KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, SPARSE_FAMILY, 0)
    key = SecretKey.generate(secure)
    for weight, spacing in ((32, 1), (1, 1), (32, 64)):
        with pytest.raises(SecurityError, match=f"weight {weight}"):
            key.evaluation_keys(EvaluationKeySpec(None, (), (link,), SparseSecret(weight, spacing)))
    for spacing in (0, 3):
        with pytest.raises(ParameterError, match="spacing"):
            key.evaluation_keys(EvaluationKeySpec(None, (), (link,), SparseSecret(32, spacing)))


@pytest.mark.parametrize("changes", [{"level": 1}, {"family": KeyFamily(3, 3)}])
def test_no_other_key_is_made_under_the_sparse_secret(changes: dict[str, Any]) -> None:
    # The spec refuses other ends (test_key_spec.py); without security, the core still refuses a larger modulus.
    boot = small_set(1 << 10, (5, 4), (5, 4))
    link = dataclasses.replace(KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, SPARSE_FAMILY, 0), **changes)
    with pytest.raises(ParameterError, match="q_0 and one special prime"):
        SecretKey.generate(boot.parameters).evaluation_keys(
            EvaluationKeySpec(None, (), (link,), SparseSecret(32, 1))
        )


def test_the_key_spec_names_a_sparse_secret_once(case: Case) -> None:
    boot, spec = case.bootstrap_set, bootstrap_keys(case.bootstrap_set)
    to_sparse = [link for link in spec.links if link.to_end is KeyEnd.SPARSE]
    assert to_sparse == [KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, KeyFamily(1, 1), 0)]
    # One key for each diagonal of the first factor, and none else under the sparse secret.
    scaled = [link for link in spec.links if link.from_end is KeyEnd.SPARSE_SCALED]
    assert len(scaled) == 1 << boot.to_slots[0]
    assert {(k.to_end, k.family, k.level) for k in scaled} == {
        (KeyEnd.DENSE, boot.parameters.key_families[-1], boot.parameters.max_level)
    }
    assert KeyEnd.SPARSE not in {link.from_end for link in spec.links}


def test_keys_are_made_one_by_one() -> None:
    boot = small_set(1 << 10, (5, 4), (5, 4))
    seen: list[tuple[int, int]] = []
    spec = bootstrap_keys(boot)
    keys = SecretKey.generate(boot.parameters).switching_keys(spec, lambda *count: seen.append(count))
    for made, key in enumerate(keys, 1):
        assert len(seen) == made and key.level >= 0
    assert seen == [(i + 1, spec.count) for i in range(spec.count)]


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
