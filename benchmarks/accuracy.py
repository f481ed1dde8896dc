"""Compare networks on real data, encrypted and in clear: accuracy, agreement, worst difference, time.

Every test row is encrypted, in batches over the slots.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.real_data import DATA_SETS, DataMissing, DataSet, trained
from benchmarks.row import Row
from hetorch.engine import _native


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The comparison on one data set.

    `tested` says which rows are tested. Accuracies and `agreement`, the share of equal classes, are in 0..1.
    `worst_difference` is that of an output, relative to the range of the outputs, and `predicted_bound` what the plans
    predicted for it. `seconds` is the time of all encrypted runs.
    """

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
    """Compare on all folds, or on the first `folds`, each with a network of its own.

    Raises:
        DataMissing: the data are not on this machine.
    """
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
        results = hetorch.run_encrypted(plan, fold.test)
        seconds += time.perf_counter() - start
        span = plan.report.output_range
        worst = max(worst, float(np.abs(results - expected).max()) / span)
        bound = max(bound, plan.report.predicted_error + plan.report.approximation_error)
        clear.append(expected)
        encrypted.append(results)
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
    """Print a row for each data set as soon as it is there; HETORCH_NUM_THREADS sets the threads, default all cores."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Real data, encrypted against in clear", options.json, options.markdown)
    for data in DATA_SETS:
        if options.only not in data.name:
            continue
        threads = _native.thread_count()
        row = Row(data.name, "PyTorch, in clear", torch.__version__, threads, None, None, None, None, None, 0)
        try:
            comparison = measure(data)
        except DataMissing as missing:
            ledger.add(replace(row, reason=str(missing)))
            continue
        facts = asdict(comparison)
        sample_ms = 1e3 * facts.pop("seconds") / comparison.samples
        del facts["name"]
        reason = "classes are compared, not times"
        ledger.add(replace(row, ours_ms=sample_ms, repetitions=1, reason=reason, details={"ours": facts}))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
