"""Prune a trained network of convolutions, and compare the time of its plans: predicted, and measured on one thread.

The network's activations are parabolas. The same share is removed in three ways: single weights by magnitude and whole
channels (torch.nn.utils.prune), and whole diagonals of the compiled layout (hetorch.train.prune). Each pruned network
is trained for some epochs more, with its masks. Times are processor times, the least of a few runs.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping

os.environ.setdefault("HETORCH_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.ordinary_networks import CALIBRATION, Part, digits, fit
from benchmarks.predictions import RUNS, measure
from benchmarks.row import Row
from hetorch.plan import Plan
from hetorch.train import fine_tune, prune

SHARES = (0.25, 0.5, 0.75)
"""Shares of the weights, channels or diagonals that are removed."""
EPOCHS, TUNING, AFTER = 5, 6, 3
"""Epochs of the training in clear, of fine-tuning to parabolas, and of training after pruning."""
SEED = 0

Way = Callable[[nn.Module, torch.Tensor, float], nn.Module]


def network() -> nn.Sequential:
    """Return a network for digits (1, 28, 28): two convolutions with batch norms and average pools, and a layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(784, 10)),
    )


def trained(train: Part) -> nn.Module:
    """Return the network, trained in clear and then to parabolas, always from the same seed."""
    torch.manual_seed(SEED)
    module = network()
    fit(module, *train, EPOCHS)
    return fine_tune(module.eval(), train, degree=2, epochs=TUNING, progress=False).model


def weights_removed(model: nn.Module, calibration: torch.Tensor, share: float) -> nn.Module:
    """Return a copy without the smallest weights of each layer."""
    return _masked(model, lambda layer: torch_prune.l1_unstructured(layer, "weight", share))  # type: ignore[no-untyped-call]


def channels_removed(model: nn.Module, calibration: torch.Tensor, share: float) -> nn.Module:
    """Return a copy without the smallest output channels of each convolution."""

    def mask(layer: nn.Module) -> None:
        if isinstance(layer, nn.Conv2d):
            torch_prune.ln_structured(layer, "weight", share, n=2, dim=0)  # type: ignore[no-untyped-call]

    return _masked(model, mask)


def diagonals_removed(model: nn.Module, calibration: torch.Tensor, share: float) -> nn.Module:
    """Return a copy without the diagonals that are least important for their time."""
    return prune(model, calibration, amount=share).model


WAYS: Mapping[str, Way] = {
    "weights by magnitude": weights_removed,
    "channels": channels_removed,
    "diagonals": diagonals_removed,
}


def _masked(model: nn.Module, mask: Callable[[nn.Module], object]) -> nn.Module:
    copied = copy.deepcopy(model)
    for layer in copied.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            mask(layer)
    return copied


def accuracy(model: nn.Module, test: Part) -> float:
    """Return the share of right classes in clear."""
    with torch.no_grad():
        return float(np.mean(model.eval()(torch.from_numpy(test[0])).argmax(1).numpy() == test[1]))


def diagonals(plan: Plan) -> int:
    """Return the number of diagonals that a run multiplies."""
    return sum(len(values) for name, values in plan.weights.items() if name.endswith(".values"))


def pruned_row(
    name: str, model: nn.Module, calibration: torch.Tensor, accuracies: Mapping[str, float]
) -> Row:
    """Compile and run a pruned network, and return its row."""
    plan = hetorch.compile(model, calibration, progress=False)
    figures = measure(name, plan)
    facts: dict[str, object] = {
        "diagonals": diagonals(plan),
        "rotation_keys": len(plan.key_spec.galois),
        "predicted_ms": figures.predicted_ms,
        "measured_ms": figures.measured_ms,
        **accuracies,
    }
    reason = "compared with its own prediction"
    return Row(name, "", "", 1, None, figures.measured_ms, None, None, None, RUNS, reason, {"ours": facts})


def main() -> None:
    """Print a row for each way and share; see --help."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Pruning, 1 thread", options.json, options.markdown)
    train, test = digits()
    calibration = torch.from_numpy(train[0][:CALIBRATION])
    ledger.say("train the network")
    model = trained(train)
    whole = {"accuracy_pruned": accuracy(model, test), "accuracy_trained_again": accuracy(model, test)}
    ledger.add(pruned_row("not pruned", model, calibration, whole))
    for way, removed in WAYS.items():
        for share in SHARES:
            name = f"{way}, {share:.0%}"
            if options.only not in name:
                continue
            pruned = removed(model, calibration, share)
            found = {"accuracy_pruned": accuracy(pruned, test)}
            again = fine_tune(
                pruned, train, teacher=model, epochs=AFTER, exact_epochs=0, progress=False
            ).model
            found["accuracy_trained_again"] = accuracy(again, test)
            ledger.add(pruned_row(name, again, calibration, found))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
