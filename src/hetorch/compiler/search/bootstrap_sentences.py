"""Sentences for the user on the bootstraps of a program: their number, times and places."""

from __future__ import annotations

from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.place_bootstraps import BootstrappedProgram
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.quantities import count_text, time_text


def bootstrap_sentences(placed: BootstrappedProgram) -> tuple[str, ...]:
    """Return sentences for the user: the number and time of the bootstraps, and the place of each."""
    boot, seconds = placed.bootstrap_set, sum(bootstrap.seconds for bootstrap in placed.bootstraps)
    ciphertexts = sum(bootstrap.ciphertexts for bootstrap in placed.bootstraps)
    places = ", ".join(
        f"{bootstrap.name} (to level {boot.output_level}, {time_text(bootstrap.seconds)})"
        for bootstrap in placed.bootstraps
    )
    return _sentence(boot, ciphertexts, seconds, placed.seconds), f"bootstrapped values: {places}"


def choice_sentence(choice: Choice, machine: Machine) -> str:
    """Return the number of the bootstraps and their time, for the user."""
    parts = choice.layouts.placements
    count = sum(parts[index + 1].parts for index in choice.bootstraps)
    boot = next(iter(choice.bootstraps.values())).bootstrap_set
    return _sentence(boot, count, count * bootstrap_time(boot, machine).total, choice.cost)


def _sentence(boot: BootstrapSet, count: int, seconds: float, total: float) -> str:
    """Return the number of bootstraps, and their time of that of a run, for the user."""
    return (
        f"{count_text(count, 'bootstrap')}, each of 2^{boot.slots.bit_length() - 1} slots and leaving "
        f"{count_text(boot.user_levels, 'level')}: {time_text(seconds)} of {time_text(total)} that a run is "
        f"predicted to take"
    )
