"""Progress of the compiler: forward, also where a network is compiled more than once."""

from __future__ import annotations

import pytest

from hetorch.compiler.stages import Stage, Teller


def tell(rounds: int) -> list[float]:
    """Return the fractions that are told where the search, and what follows it, is done so many times."""
    told: list[float] = []
    teller = Teller(lambda stage, done: told.append(done))
    for stage in (Stage.FUSE, Stage.APPROXIMATE):
        teller(stage)
    for _ in range(rounds):
        for stage in (Stage.VARY, Stage.SEARCH, Stage.LOWER, Stage.VERIFY):
            for share in (0.0, 0.5):
                teller(stage, share)
    teller(Stage.DONE)
    return told


def test_one_round_is_at_the_beginnings_of_the_stages() -> None:
    begins = [stage.begins for stage in Stage]
    assert tell(1)[:3:2] == [begins[0], begins[2]] and tell(1)[4::2] == pytest.approx(begins[3:])


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_each_round_moves_forward_and_the_last_ends(rounds: int) -> None:
    told = tell(rounds)
    # The first values of a round are those at which the round before it ended.
    assert told == sorted(told) and told[-1] == pytest.approx(1.0)
    assert len(set(told)) >= len(told) - (rounds - 1)
