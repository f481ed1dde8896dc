"""Layer 6: training for encryption, in torch: activations that are polynomials, and poolings that are affine.

`hetorch.compile` takes the polynomials as they are, and the ranges that training recorded.
"""

from __future__ import annotations

from hetorch.train.her_pn import HerPN
from hetorch.train.poly_act import PolyAct
from hetorch.train.pruning.penalty import diagonal_penalty
from hetorch.train.pruning.prune import prune
from hetorch.train.scaled_pool import ScaledPool

__all__ = ["HerPN", "PolyAct", "ScaledPool", "diagonal_penalty", "prune"]
