"""Networks on real data, encrypted against in clear: accuracy of both, agreement, worst difference, time.

All test rows go through real encryption, in batches over the slots.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

import hetorch
from benchmarks.ledger import Ledger
from benchmarks.measure import Row
from benchmarks.output import arguments
from benchmarks.real_data import DATA_SETS, DataMissing, DataSet, trained
from hetorch import run_encrypted
from hetorch.engine import _native


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
        found = run_encrypted(plan, fold.test)
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
    """A row for each data set, told as they come; see --help. Threads: HETORCH_NUM_THREADS, all cores unless set."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Real data, encrypted against in clear", options.json, options.markdown)
    for data in DATA_SETS:
        if options.only not in data.name:
            continue
        threads = _native.thread_count()
        row = Row(data.name, "PyTorch, in clear", torch.__version__, threads, None, None, None, None, None, 0)
        try:
            found = measure(data)
        except DataMissing as missing:
            ledger.add(replace(row, reason=str(missing)))
            continue
        facts = asdict(found)
        each = 1e3 * facts.pop("seconds") / found.samples
        del facts["name"]
        reason = "classes are compared, not times"
        ledger.add(replace(row, ours_ms=each, repetitions=1, reason=reason, details={"ours": facts}))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
