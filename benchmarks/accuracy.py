"""Networks on real data, encrypted against in clear: accuracy of both, agreement, worst difference, time.

All test rows go through real encryption, in batches over the slots.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import hetorch
from benchmarks.output import machine
from benchmarks.real_data import DATA_SETS, DataMissing, DataSet, trained


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One data set: samples, accuracies in 0..1, the share of equal classes, the worst difference of an output relative
    to the range of the outputs and the bound that the plans predicted for it, and seconds for all encrypted runs."""

    name: str
    tested: str
    samples: int
    clear: float
    encrypted: float
    agreement: float
    worst_difference: float
    predicted_bound: float
    seconds: float


def measure(data: DataSet, *, folds: int | None = None) -> Accuracy:
    """All folds (or the first ones), each with a network of its own. DataMissing if the data are not here."""
    clear: list[NDArray[np.float64]] = []
    encrypted: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.int64]] = []
    worst = bound = seconds = 0.0
    for fold in data.folds()[:folds]:
        network = trained(data, fold)
        with torch.no_grad():
            expected = network(torch.from_numpy(fold.test)).double().numpy()
        plan = hetorch.compile(
            network, fold.train, batch_size=len(fold.test), objective="throughput", activation_tolerance=0.01
        )
        start = time.perf_counter()
        found = plan.run_encrypted(fold.test)
        seconds += time.perf_counter() - start
        span = plan.report.output_range
        worst = max(worst, float(np.abs(found - expected).max()) / span)
        bound = max(bound, plan.report.predicted_error + plan.report.approximation_error)
        clear.append(expected)
        encrypted.append(found)
        labels.append(fold.test_labels)
    first, second = (np.concatenate(part).argmax(axis=1) for part in (clear, encrypted))
    truth = np.concatenate(labels)
    return Accuracy(
        data.name,
        data.count,
        len(truth),
        float(np.mean(first == truth)),
        float(np.mean(second == truth)),
        float(np.mean(first == second)),
        worst,
        bound,
        seconds,
    )


def main() -> None:
    """Print the table, and write JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    options = parser.parse_args()
    table = Table(title="Real data, encrypted against in clear")
    for column in (
        "data and network",
        "tested",
        "samples",
        "clear",
        "encrypted",
        "agreement",
        "worst",
        "seconds",
    ):
        table.add_column(column, justify="left" if column in ("data and network", "tested") else "right")
    rows = []
    for data in DATA_SETS:
        try:
            row = measure(data)
        except DataMissing as missing:
            rows.append({"name": data.name, "reason": str(missing)})
            table.add_row(data.name, str(missing), *["-"] * 6)
            continue
        rows.append(asdict(row))
        table.add_row(
            row.name,
            row.tested,
            str(row.samples),
            f"{row.clear:.2%}",
            f"{row.encrypted:.2%}",
            f"{row.agreement:.2%}",
            f"{row.worst_difference:.1e}",
            f"{row.seconds:.2f}",
        )
    Console(width=150).print(table)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
