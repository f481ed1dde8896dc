"""Sizes of primes: precision, and a last modulus that holds the outputs and what they are summed up from.

Biases and terms of a sum may be far larger than the outputs.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile
from hetorch.compiler.packing.lower import LIGHTEST
from hetorch.compiler.search.candidates import DIGIT_SIZES, SPARE_BITS
from hetorch.compiler.search.feasibility import (
    HEADROOM_BITS,
    SPECIAL_BITS,
    ChainSizes,
    Limit,
    Miss,
    chain_sizes,
    least_bits,
    security_room,
)
from hetorch.compiler.search.variants import LoweredVariant
from hetorch.params import Security
from tests.compiler.networks import choice, request, request_of


def compiled_and_run(seed: int, cancelling: float, encrypted: bool) -> None:
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    before, hidden, after = (int(n) for n in generator.integers((4, 3, 1), (20, 16, 6)))
    last = nn.Linear(hidden, after)
    model = nn.Sequential(nn.Linear(before, hidden), nn.Sigmoid(), last)
    with torch.no_grad():
        # Sigmoids are about 1/2: the bias takes away what the weights add.
        last.weight.add_(cancelling)
        last.bias.sub_(cancelling * hidden / 2)
    x = torch.rand(64, before)
    plan = compile(model, x, security="none", activation_agreement=0.0)
    found = (run_encrypted if encrypted else simulate)(plan, x.numpy().astype(np.float64)[:4])
    truth = model(x[:4]).detach().numpy()
    share = plan.report.approximation_error + plan.report.predicted_error
    assert np.abs(found - truth).max() <= share * plan.report.output_range


@pytest.mark.parametrize("seed", range(12))
def test_random_small_networks(seed: int) -> None:
    compiled_and_run(seed, 0.0, encrypted=False)


@pytest.mark.parametrize("seed", range(12))
def test_outputs_much_smaller_than_their_biases(seed: int) -> None:
    compiled_and_run(seed, 10.0 * (seed + 1), encrypted=False)


def test_encrypted() -> None:
    compiled_and_run(8, 90.0, encrypted=True)


def sizes(name: str, digit_size: int, spare_bits: int, **options: object) -> ChainSizes | Miss:
    """Return the chain sizes of a network with the layouts that were chosen for it, or what is missing."""
    chosen = choice(name)
    lowered = LoweredVariant(chosen.variant, chosen.lowered, chosen.variant.sensitivity)
    return chain_sizes(request(name, **options), lowered, 1 << 13, digit_size, spare_bits)


def test_fewer_spare_bits_never_need_a_smaller_scale() -> None:
    for digit_size in (1, 2):
        chains = [sizes("mlp", digit_size, spare) for spare in SPARE_BITS]
        assert all(isinstance(chain, ChainSizes) for chain in chains)
        bits = [chain.bits for chain in chains if isinstance(chain, ChainSizes)]
        assert bits == sorted(bits)


def test_a_chain_has_a_prime_a_level_and_room_for_a_digit() -> None:
    chain, levels = sizes("mlp", 2, 4), choice("mlp").variant.levels[0]
    assert isinstance(chain, ChainSizes)
    assert len(chain.primes) == levels + 1 and set(chain.primes[1:]) == {chain.bits}
    assert chain.primes[0] <= SPECIAL_BITS and max(chain.special) <= SPECIAL_BITS
    assert sum(chain.special) >= chain.primes[0] + chain.bits + 4
    assert chain.total == sum(chain.primes) + sum(chain.special)


def test_misses_tell_how_much_is_missing() -> None:
    levels = choice("mlp").variant.levels[0]
    assert sizes("mlp", 12, 6) == Miss(Limit.DIGITS, 12, levels + 1)
    fine = sizes("mlp", 1, 6, precision=2.0**-40)
    assert isinstance(fine, Miss) and fine.limit is Limit.PRECISION
    assert fine.needed > fine.allowed == SPECIAL_BITS - HEADROOM_BITS
    two = sizes("mlp", 2, 6, engine="seal")
    assert two == Miss(Limit.SPECIAL_PRIMES, 2, 1)


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "wide"])
def test_the_least_bits_bound_every_choice(name: str) -> None:
    chosen = choice(name)
    bound = least_bits(request(name), chosen.variant, chosen.parameters.ring_degree)
    assert 0 < bound <= chosen.parameters.log2_qp + 1
    assert max(DIGIT_SIZES) > chosen.variant.levels[0]  # digits longer than the chain do not count


def test_no_security_bounds_nothing() -> None:
    assert security_room(1 << 11, Security.NONE) == np.inf
    assert (
        security_room(1 << 13, Security.CLASSICAL_256) < security_room(1 << 13, Security.CLASSICAL_128) < 220
    )


def test_biases_far_above_the_outputs_need_room() -> None:
    # Inputs of about 100 cancel against the bias: the outputs are about 0.02.
    layer = nn.Linear(4, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(-400.0)
    x = 100 + 0.01 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    asked = request_of(layer.eval(), x, scale_bits=40)
    variant = asked.variants[0]
    lowered = LoweredVariant(variant, {0: LIGHTEST}, variant.sensitivity)
    miss = chain_sizes(asked, lowered, 1 << 13, 1, 6)
    assert isinstance(miss, Miss) and miss.limit is Limit.OUTPUT
    assert miss.needed > 40 + 10 > miss.allowed == SPECIAL_BITS
