"""Keys counted from lowered maps, against those that the operations of the built program use."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hetorch.compiler.lowering.build_program import build_program
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.search import search
from hetorch.plan.keys import required_keys
from hetorch.plan.sizes import evaluation_key_bytes
from tests.compiler.networks import NETWORKS, choice, request_of
from tests.zoo.test_zoo import ZOO


def check(chosen: Choice) -> None:
    program, weights = build_program(chosen)
    used = required_keys(program, weights, chosen.parameters)
    assert chosen.keys == used
    assert chosen.key_bytes == evaluation_key_bytes(chosen.parameters, used)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks(name: str) -> None:
    check(choice(name))


@pytest.mark.parametrize(
    "options",
    [
        {"engine": "seal"},
        {"weights": "encrypted"},
        {"batch_size": 4},
        {"objective": "throughput"},
        {"key_limit": 8_000_000},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("name", ["mlp", "gate"])
def test_options(name: str, options: dict[str, Any]) -> None:
    check(choice(name, **options))


@pytest.mark.parametrize(
    "name", ["lola", "factorisation", "deep_sets", "layer_norm", "glu", "polynomial_kernel", "squeeze_excite"]
)
def test_the_zoo(name: str) -> None:
    torch.manual_seed(5)
    entry = ZOO[name]
    x = torch.randn(64, *entry.shape).clamp(-3, 3)
    check(search(request_of(entry.make().eval(), x, **{"activation_agreement": 0.0, **entry.options})))
