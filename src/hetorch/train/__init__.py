"""Layer 6: training for encryption, in torch: activations that are polynomials, and poolings that are affine.

`hetorch.compile` takes the polynomials as they are, and the ranges that training recorded.
"""

from __future__ import annotations

from hetorch.train.convert import convert
from hetorch.train.fine_tune import fine_tune
from hetorch.train.fine_tuned import Epoch, FineTuned
from hetorch.train.her_pn import HerPN
from hetorch.train.penalty import penalty
from hetorch.train.poly_act import PolyAct
from hetorch.train.poly_acts import replacements
from hetorch.train.prepare import prepare
from hetorch.train.pruning.penalty import diagonal_penalty
from hetorch.train.pruning.prune import PrunedModel, prune
from hetorch.train.report import report
from hetorch.train.scaled_pool import ScaledPool
from hetorch.train.search import search
from hetorch.train.search_result import Searched
from hetorch.train.training_report import TrainingReport

__all__ = [
    "Epoch",
    "FineTuned",
    "HerPN",
    "PolyAct",
    "PrunedModel",
    "ScaledPool",
    "Searched",
    "TrainingReport",
    "convert",
    "diagonal_penalty",
    "fine_tune",
    "penalty",
    "prepare",
    "prune",
    "replacements",
    "report",
    "search",
]
