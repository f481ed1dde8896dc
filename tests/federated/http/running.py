"""An aggregator as a process, and parties that take part in its rounds from threads of this one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hetorch.demo.child import python_child, wait_for_file
from hetorch.federated import Identity, Party, Roster, RoundResult
from hetorch.federated.http.party import AggregatorAddress, Traffic, take_part
from hetorch.federated.roster_file import dump_roster
from hetorch.wire.frame import Kind
from tests.federated.rounds import Update

STEP_SECONDS = 120.0
"""Time of a step for parties on a busy machine; no test waits for its end."""


@contextlib.contextmanager
def aggregator_process(
    roster: Roster, folder: Path, seconds: float = STEP_SECONDS
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run an aggregator until the block ends; gives its address and its process."""
    file, ready, log = folder / "roster.json", folder / "ready", folder / "log"
    ready.unlink(missing_ok=True)
    file.write_text(dump_roster(roster))
    arguments = [str(file), str(ready), str(seconds)]
    with python_child("hetorch.federated.http.serve_rounds", arguments, log, commands=True) as process:
        yield wait_for_file(ready, process, log, 120), process


def take_part_together(
    url: str,
    roster: Roster,
    identities: Mapping[int, Identity],
    updates: Mapping[int, Update],
    number: int = 1,
    before: Callable[[int, Kind], None] = lambda party, step: None,
) -> tuple[dict[int, RoundResult], dict[int, Exception], Traffic]:
    """Take part in one round as each of these parties; returns results, errors, and the traffic of the first one."""
    traffic = {index: Traffic() for index in identities}

    def one(index: int) -> RoundResult | Exception:
        try:
            return take_part(
                Party(roster, identities[index]),
                number,
                updates[index],
                sample_count=10 + index,
                aggregator=AggregatorAddress(url, timeout=300),
                before=lambda step: before(index, step),
                traffic=traffic[index],
            )
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(identities)) as pool:
        answers = dict(zip(identities, pool.map(one, identities), strict=True))
    results = {index: answer for index, answer in answers.items() if isinstance(answer, RoundResult)}
    errors = {index: answer for index, answer in answers.items() if isinstance(answer, Exception)}
    return results, errors, next(iter(traffic.values()))
