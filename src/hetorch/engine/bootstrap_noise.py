"""The noise of a bootstrap, predicted stage by stage: standard deviations in the units of the result.

Up to the modular reduction the noise is that of engine.noise in each step, followed through the maps. A stage of the
inverse embedding halves the sum and the difference of two slots, so it halves the variance of independent noise. The
reduction passes on an error in y as it is, and adds the noise of its own products. The largest is that of T_2, the
first: an error e in w = 2 x^2 - 1 is an error of range^2 e / 4 u in y, most for I = 0, where u is near -1/4.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.engine.bootstrap_keys import bootstrap_maps
from hetorch.engine.bootstrapping import COSINE_16, PlannedBootstrap
from hetorch.engine.noise import SIGMA, UNIFORM, NoiseModel
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.params.bootstrap_set import MESSAGE_RATIO, SPARSE_WEIGHT

Array = NDArray[np.float64]
_MULTIPLES = range(-COSINE_16.multiples, COSINE_16.multiples + 1)


@functools.cache
def multiples_probability(multiple: int, weight: int = SPARSE_WEIGHT) -> float:
    """Return the probability of I = `multiple`: the density there of a sum of weight + 1 numbers that are uniform in
    [-1/2, 1/2] (Irwin-Hall)."""
    # The Fourier integral of the characteristic function, sinc^(weight + 1); the rule of trapezoids converges
    # exponentially for it.
    t = np.linspace(0.0, 40.0, 4_001)
    values = np.sinc(t / (2 * math.pi)) ** (weight + 1) * np.cos(t * multiple)
    return float(np.trapezoid(values, t) / math.pi)


def message_noise(planned: PlannedBootstrap) -> float:
    """Return the noise of a value before the modular reduction, from SlotsToCoeffs to CoeffsToSlots."""
    boot = planned.bootstrap_set
    p = boot.parameters
    n, chain = p.ring_degree, p.modulus_chain
    dense, sparse = UNIFORM * (1 + 2 * n / 3), UNIFORM * (1 + SPARSE_WEIGHT)
    # At level 0: the last rescaling of SlotsToCoeffs, and the switch to the sparse secret.
    switch = n * UNIFORM * (chain[0] / p.special_primes[0]) ** 2 * SIGMA**2 + sparse
    low = math.sqrt(dense + switch) * MESSAGE_RATIO / chain[0]
    # The last rescaling of CoeffsToSlots in x + conjugate(x), twice the real part, and the division of the conjugation;
    # the noise of a map before the last one has been through the stages of the last one.
    variance, gain = 0.0, 1.0
    for stages in reversed(boot.to_slots[1:]):
        variance += 2 * n * dense * gain
        gain *= _gain(planned, stages) * _step(planned) ** 2
    variance += NoiseModel.of(p).key_switch(planned.bootstrap_set.reduction_level) ** 2
    high = math.sqrt(variance) / planned.reduction_scale * COSINE_16.range * MESSAGE_RATIO
    return math.hypot(low, high, diagonal_noise(planned)) * planned.bound


def diagonal_noise(planned: PlannedBootstrap) -> float:
    """Return the noise, relative to the bound, that the rounded diagonals of CoeffsToSlots add, without the map of
    raised polynomials, whose diagonals have the scale of a special prime.

    A diagonal of period t is a polynomial of 2 t coefficients or of N, each rounded to an integer, so its slots are off
    by a standard deviation of (2 t / 12)^(1/2) over its scale, and multiply the values before the map. The values after
    the last map are I of two coefficients as a complex number, of variance 2 (weight + 1) / 12 by Irwin and Hall.
    """
    boot = planned.bootstrap_set
    n, chain = boot.parameters.ring_degree, boot.parameters.modulus_chain
    maps = bootstrap_maps(boot)[-len(boot.to_slots[1:]) :]
    values = 2 * (SPARSE_WEIGHT + 1) * UNIFORM * (0.5 / COSINE_16.range) ** 2
    variance, gain = 0.0, 1.0
    for stages, at in zip(reversed(boot.to_slots[1:]), reversed(maps), strict=True):
        own = _gain(planned, stages)
        values /= own
        rounding = UNIFORM * min(n, 2 * at.factor.period) / (chain[at.level] * _step(planned)) ** 2
        variance += values * len(at.factor.steps) * rounding * gain
        gain *= own
    # x + conjugate(x) is twice the real part, which has half of the variance.
    return math.sqrt(2 * variance) * COSINE_16.range * MESSAGE_RATIO


def _gain(planned: PlannedBootstrap, stages: int) -> float:
    """Return what a factor of CoeffsToSlots of that many stages multiplies the variance of independent slots by."""
    part = (0.5 / COSINE_16.range) ** (1 / len(planned.bootstrap_set.to_slots))
    return float(part**2 / 2**stages)


def _step(planned: PlannedBootstrap) -> float:
    """Return what a map of CoeffsToSlots multiplies the scale by: from q_0 to that of the reduction in equal parts, but
    for the map of raised polynomials, which keeps it."""
    boot = planned.bootstrap_set
    whole = planned.reduction_scale / boot.parameters.modulus_chain[0]
    return float(whole ** (1 / (len(boot.to_slots) - 1)))


def reduction_noise(planned: PlannedBootstrap, multiple: int) -> float:
    """Return the noise that the modular reduction adds to a value whose I is `multiple`."""
    boot, series = planned.bootstrap_set, COSINE_16
    p = boot.parameters
    model = NoiseModel.of(p)
    chain = [float(q) for q in p.modulus_chain]
    level = planned.bootstrap_set.reduction_level
    last = planned.output_scale * planned.bound * MESSAGE_RATIO
    scales = [last]
    for i in range(series.doublings):
        scales.insert(0, math.sqrt(scales[0] * chain[boot.output_level + 1 + i]))
    u = np.array([multiple - 0.25])
    x = u / series.range
    w = 2 * x**2 - 1
    w_scale = planned.reduction_scale**2 / chain[level]
    amplitude = series.amplitude
    z = np.asarray(chebyshev.chebval(w, np.array(series.coefficients)))
    slope = np.asarray(chebyshev.chebval(w, chebyshev.chebder(np.array(series.coefficients))))
    sources = polynomial_noise(
        model,
        list(series.coefficients),
        w,
        level=level - 1,
        input_scale=w_scale,
        output_scale=scales[0],
        modulus_chain=chain,
    )
    variance = np.sum(sources**2, axis=0) + (slope * model.rounding() / w_scale) ** 2
    for scale in scales[1:]:
        variance = variance * (4 * z) ** 2 + (model.rounding() / scale) ** 2
        amplitude *= amplitude
        z = 2 * z * z - amplitude
    return float(np.sqrt(variance[0])) * MESSAGE_RATIO * planned.bound


def noise_of_multiples(planned: PlannedBootstrap) -> tuple[Array, Array]:
    """Return the noise of a slot of the result for each I from -multiples to multiples, and the probabilities of I."""
    probabilities = np.array([multiples_probability(k) for k in _MULTIPLES]).clip(0.0)
    return _deviations(planned), probabilities / probabilities.sum()


def _deviations(planned: PlannedBootstrap) -> Array:
    before = message_noise(planned)
    return np.array([math.hypot(before, reduction_noise(planned, k)) for k in _MULTIPLES])


def largest_noise(planned: PlannedBootstrap) -> float:
    """Return the noise of a slot with the worst I, which bounds of errors take.

    For a given I the noise is a sum of products of two Gaussians, whose tails compiler.noise.noise_tail_bounds bounds.
    Over all I it is a mixture, with heavier tails than a sum of the same variance: the worst I, 0, has 1.8 times the
    root mean square, and a quarter of the slots.
    """
    return float(_deviations(planned).max())


def failure_probability(
    slots: int, multiples: int = COSINE_16.multiples, weight: int = SPARSE_WEIGHT
) -> float:
    """Return a bound of the probability that one bootstrap has a coefficient with |I| >= `multiples`.

    A coefficient of c_0 + c_1 s is a sum of weight + 1 numbers uniform in [-q_0/2, q_0/2], and equals m + q_0 I. c_0
    follows from m and the other terms, so an I has the probability of the sum's density at m / q_0 + I (Irwin-Hall).
    At a distance d from the end of its range the density of n terms is at most d^(n-1) / (n-1)!, and equal to it for
    d <= 1. The ring of the message has 2 `slots` coefficients.
    """
    terms = weight + 1
    end = terms / 2 + COSINE_16.margin
    distances = (end - k for k in range(multiples, math.floor(end) + 1))
    log_factorial = math.lgamma(terms)
    tail = sum(math.exp((terms - 1) * math.log(distance) - log_factorial) for distance in distances)
    return 2 * 2 * slots * tail


def bootstrap_noise(planned: PlannedBootstrap) -> float:
    """Return the noise of a slot of the result: the root mean square over all slots."""
    deviations, probabilities = noise_of_multiples(planned)
    return float(np.sqrt(np.sum(probabilities * deviations**2)))
