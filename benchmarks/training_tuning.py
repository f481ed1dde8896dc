"""The stage of `scripts/bench training` that fine-tunes a network, and keeps its weights."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.ordinary_networks import Part
from benchmarks.training_tasks import Prepared, outputs
from hetorch.train import convert, fine_tune
from hetorch.train import prepare as with_poly_acts

BATCH = 64


def tune(prepared: Prepared) -> dict[str, Any]:
    """Fine-tune the network with the defaults of hetorch.train, and keep its weights and its logits on the test set."""
    loader = _loader(prepared.train, shuffle=True, seed=prepared.seed)
    validation = _loader(prepared.validation)
    wall, used = time.perf_counter(), processor_seconds()
    tuned = fine_tune(prepared.module, loader, validation=validation, seed=prepared.seed, progress=False)
    facts = {"fine_tune_s": time.perf_counter() - wall, "fine_tune_cpu_s": processor_seconds() - used}
    save_file(tuned.model.state_dict(), _weights(prepared))
    logits = outputs(tuned.model, prepared.samples)
    np.save(prepared.folder / "tuned.npy", logits)
    return facts | {
        "best_epoch": tuned.best.number,
        "accuracy_polynomials": float(np.mean(logits.argmax(1) == prepared.labels)),
        "agreement_polynomials": float(np.mean(logits.argmax(1) == prepared.logits.argmax(1))),
    }


def tuned_module(prepared: Prepared) -> nn.Module:
    """Return the network that `tune` has kept."""
    module = with_poly_acts(prepared.module, prepared.calibration[:1])
    module.load_state_dict(load_file(_weights(prepared)))
    return convert(module).eval()


def processor_seconds() -> float:
    """Return the processor time of this process so far, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _weights(prepared: Prepared) -> Path:
    return prepared.folder / "tuned.safetensors"


def _loader(part: Part, *, shuffle: bool = False, seed: int = 0) -> DataLoader[tuple[torch.Tensor, ...]]:
    data = TensorDataset(*map(torch.from_numpy, part))
    return DataLoader(data, BATCH, shuffle=shuffle, generator=torch.Generator().manual_seed(seed))
