"""The demonstration in words: lines while it runs, and tables at its end."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from hetorch.demo.federated.records import Data
from hetorch.demo.federated.result import FederatedResult, RoundRecord
from hetorch.quantities import count_text, size_text

COMPILING = (
    "\nThe small network is compiled at the first hospital, served, and queried for encrypted patients."
)
SPACE = " " * 14
BEFORE = {"round_update": "before its upload", "round_agreement": "after its upload"}


def beginning(data: Data) -> Iterator[str]:
    """Yield the lines on the records."""
    yield f"records: {data.source}"
    for hospital in data.hospitals:
        yield f"  {hospital.name:<12} {len(hospital.train):4} to train on, {len(hospital.test):3} for the test"


def model_heading(model: str, data: Data) -> str:
    """Return the line before the rounds of a model."""
    count = len(data.hospitals)
    return f"\n{model}: {count} hospitals and an aggregator start, each in a process of its own"


def roster_line(record: RoundRecord) -> str:
    """Return the line on the roster of a round."""
    count = len(record.hospitals)
    return (
        f"  {count} hospitals: all contribute, {record.threshold} open a sum, up to {record.colluders} may collude "
        "with the aggregator"
    )


def round_lines(record: RoundRecord) -> Iterator[str]:
    """Yield the lines on one round."""
    count = len(record.hospitals)
    head = f"    round {record.number:2}  "
    killed = ""
    if record.killed is not None:
        killed = f"{record.killed} is killed (kill -9) {BEFORE[record.killed_before]}"
    if record.void:
        yield f"{head}void: {killed}"
        yield f"{SPACE}{record.void.removeprefix('the round is void: ')}"
        yield (
            f"{SPACE}the next one begins with the {count_text(count - 1, 'hospital')} that are left, which train anew: "
            "no update is sent twice"
        )
        return
    yield (
        f"{head}right on {record.accuracy:.1%}  {size_text(record.bytes_up)} up  {size_text(record.bytes_down)} down  "
        f"{record.milliseconds:.0f} ms  {record.difference:.1e} from FedAvg in clear (at most {record.bound:.1e})"
    )
    if killed:
        yield f"{SPACE}{killed}: the {count_text(count - 1, 'other')} finish the round, and its update counts"


def show(result: FederatedResult, console: Console) -> None:
    """Print the accuracies, the costs, the encrypted queries, and who learned what."""
    test = Table(title="Right on the test records of all hospitals", title_justify="left")
    test.add_column("trained")
    for model in result.models:
        test.add_column(model.model, justify="right")
    for hospital in result.hospitals:
        test.add_row(f"{hospital} alone", *(f"{model.alone[hospital]:.1%}" for model in result.models))
    test.add_row("together", *(f"{model.together:.1%}" for model in result.models))
    test.add_row("pooled in clear", *(f"{model.pooled:.1%}" for model in result.models))
    console.print(test)

    full = result.full_rounds
    costs = Table(title="A round for one hospital", show_header=False, title_justify="left")
    costs.add_row("time (median)", f"{statistics.median(r.milliseconds for r in full):.0f} ms")
    costs.add_row("sent", size_text(full[0].bytes_up))
    costs.add_row("  of it the encrypted update", size_text(full[0].update_bytes))
    costs.add_row("received", size_text(full[0].bytes_down))
    worst = max(model.worst_difference for model in result.models)
    costs.add_row("joint model, worst difference from FedAvg in clear", f"{worst:.1e}")
    console.print(costs)

    query = result.query
    answers = Table(title="Encrypted queries of the joint network", title_justify="left")
    for heading in ("patient of", "in clear", "decrypted", "diagnosis"):
        answers.add_column(heading, justify="left" if heading == "patient of" else "right")
    rows = zip(query.hospitals, query.clear, query.encrypted, query.diagnoses, strict=True)
    for name, clear, encrypted, ill in rows:
        answers.add_row(name, f"{clear:.4f}", f"{encrypted:.4f}", "ill" if ill else "healthy")
    console.print(answers)
    console.print(
        f"{query.milliseconds:.0f} ms a query, {size_text(query.request_bytes)} sent; probabilities of heart disease\n",
        highlight=False,
    )
    for line in learned(result):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{result.seconds:.1f} s in all", highlight=False)


def learned(result: FederatedResult) -> Iterator[str]:
    """Yield the lines on what each participant learned."""
    rounds = [record for model in result.models for record in model.rounds]
    colluders = {len(record.hospitals): record.colluders for record in rounds}
    bounds = " and ".join(f"{most} of {count}" for count, most in colluders.items())
    yield "Who learned what"
    yield (
        "  each hospital: who contributed, the number of records of all, the mean of the updates, and hence the "
        "sum of the others'"
    )
    sent = size_text(rounds[0].bytes_up)
    yield f"  the aggregator: who took part, {sent} from each a round, when; no update, and no sum"
    yield f"  the aggregator together with up to {bounds} hospitals: no more than the sum of the others' updates"
    yield (
        "  anyone with the joint models: what they tell of the records. Two sums with and without a hospital differ by "
        "about its update. Noise (Roster(noise=...)) limits both, and is not used here"
    )
    yield "  this demonstration: all records and updates, over pipes, for its comparison in clear"
