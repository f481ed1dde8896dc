"""The choice of diagonals to remove: the least important weights for the most predicted time.

The search is greedy. A candidate is a diagonal, or all diagonals that need one rotation. Its cost is the importance of
its weights relative to what the rest of the layer has left, so that no layer is emptied (as in LAMP: Lee et al.,
"Layer-adaptive sparsity for the magnitude-based pruning", ICLR 2021); its gain are the seconds that go with it. The
candidates of least cost for their gain are taken first. Costs and gains are computed anew in each round, because
candidates share weights and diagonals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.train.pruning.diagonal_groups import DiagonalGroups

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDS = 48
"""Number of rounds in which costs and gains are computed anew. Raised, the choice is better and takes longer."""
ROUNDING = 1e-12
"""Rounding of shares and sums of seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """The `amount` to remove, in diagonals or, if `in_seconds`, in predicted seconds."""

    amount: float
    in_seconds: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The weights to be made zero, the diagonals that go with them, and the seconds saved if layouts stay."""

    zero: Mask
    removed: Mask
    seconds: float


def select(groups: DiagonalGroups, importance: Array, goal: Goal) -> Selection:
    """Choose the weights that are made zero to reach `goal`; as many as can be if that is not enough.

    At least one diagonal of each map stays. Weights whose importance is 0 count as zero already.

    Args:
        groups: the prunable diagonals.
        importance: one number for each weight, none negative.
        goal: what is to be removed.
    """
    search = _Search(groups, importance, goal)
    step = goal.amount / ROUNDS
    while (left := goal.amount - search.reached()) > ROUNDING and search.round(min(step, left), left):
        pass
    return Selection(search.zero, search.first & ~search.alive, search.saved_seconds())


class _Search:
    """The greedy search: `zero` are the weights chosen so far, `alive` the diagonals that are left, `first` those that
    there were in the beginning."""

    def __init__(self, groups: DiagonalGroups, importance: Array, goal: Goal) -> None:
        self.groups, self.importance, self.goal = groups, importance, goal
        count = len(groups.maps)
        single = sparse.csr_array(sparse.eye_array(count, format="csr"))
        self.members = sparse.csr_array(sparse.vstack([single, groups.rotations], format="csr"))
        self.weights = sparse.csr_array(self.members @ groups.weights)
        self.weights.data[:] = 1.0
        self.rotation_seconds = np.concatenate([np.zeros(count), groups.rotation_seconds])
        self.zero = np.zeros(len(importance), dtype=bool)
        self.refused = np.zeros(self.members.shape[0], dtype=bool)
        self.alive = self._alive(importance > 0)
        self.first = self.alive.copy()

    def _alive(self, nonzero: Mask) -> Mask:
        return np.asarray(self.groups.weights @ nonzero.astype(np.float64)) > 0

    def saved_seconds(self) -> float:
        """Return the predicted seconds that have been saved."""
        needed = self.groups.rotations.astype(np.float64)
        gone = (needed @ self.first.astype(np.float64) > 0) & ~(needed @ self.alive.astype(np.float64) > 0)
        return float(
            self.groups.seconds[self.first & ~self.alive].sum() + self.groups.rotation_seconds[gone].sum()
        )

    def reached(self) -> float:
        """Return how much has been removed, in the unit of the goal."""
        if self.goal.in_seconds:
            return self.saved_seconds()
        return float(np.sum(self.first & ~self.alive))

    def round(self, step: float, left: float) -> bool:
        """Remove the best candidates until `step` is reached; return False if there are none.

        Candidates that go beyond what is `left` of the goal are taken if there is no other.
        """
        number, gain, cost = self._figures()
        progress = gain if self.goal.in_seconds else number
        possible = (number > 0) & np.isfinite(cost) & ~self.refused
        order = np.flatnonzero(possible)
        if not len(order):
            return False
        order = order[np.argsort(cost[order] / gain[order], kind="stable")]
        within = order[progress[order] <= left + ROUNDING]
        enough = 1 + int(np.searchsorted(np.cumsum(progress[within]), step))
        self._take(within[:enough] if len(within) else order[:1])
        return True

    def _figures(self) -> tuple[Array, Array, Array]:
        """Return each candidate's number of living diagonals, its gain in seconds, and its cost."""
        alive = self.alive.astype(np.float64)
        number = np.asarray(self.members @ alive)
        gain = np.asarray(self.members @ (self.groups.seconds * alive)) + self.rotation_seconds
        remaining = np.where(self.zero, 0.0, self.importance)
        for _, place in self.groups.slices():
            remaining[place] /= remaining[place].sum() or 1.0
        share = np.asarray(self.weights @ remaining)
        cost = np.divide(share, 1.0 - share, out=np.full(len(share), np.inf), where=share < 1.0 - ROUNDING)
        return number, gain, cost

    def _take(self, candidates: NDArray[np.intp]) -> None:
        """Make the weights of candidates zero; those after which no diagonal of some map would be left are refused."""
        zero = self.zero | (self.weights[candidates].sum(axis=0) > 0)
        alive = self._alive((self.importance > 0) & ~zero)
        if np.array_equal(np.unique(self.groups.maps[alive]), np.unique(self.groups.maps[self.first])):
            self.zero, self.alive = zero, alive
        elif len(candidates) == 1:
            self.refused[candidates] = True
        else:
            for candidate in candidates:
                self._take(np.array([candidate]))
