"""The stages of `scripts/bench training`, before and after training, each in a process of its own."""

from __future__ import annotations

import functools
import hashlib
import json
import resource
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hetorch
from benchmarks.ordinary import plan_facts
from benchmarks.ordinary_networks import Images, Part
from benchmarks.peers.environment import ROOT
from benchmarks.ranges import share_outside, share_outside_trained
from benchmarks.training_tasks import Prepared, outputs
from hetorch.plan import Plan
from hetorch.train import PolyAct

BATCH = 64


def moved(images: Images) -> Images:
    """Return the images moved by three pixels to the right and down."""
    result = np.zeros_like(images)
    result[..., 3:, 3:] = images[..., :-3, :-3]
    return result


def noisy(images: Images) -> Images:
    """Return the images with noise of deviation 0.1, cut off at 0 and 1."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, images.shape)
    return np.clip(images + noise, 0.0, 1.0).astype(np.float32)


SHIFTS: Mapping[str, Callable[[Images], Images]] = {
    "test": lambda images: images,
    "brighter": lambda images: np.clip(images + 0.2, 0.0, 1.0),
    "contrast": lambda images: np.clip(0.5 + 1.5 * (images - 0.5), 0.0, 1.0),
    "noisy": noisy,
    "moved": moved,
    "inverted": lambda images: 1.0 - images,
    "doubled": lambda images: 2.0 * images,
}
"""What is done to the test images, from those of training to those that leave the range of the inputs."""


def before(prepared: Prepared) -> dict[str, Any]:
    """Compile the network as it is."""
    return _compiled(prepared, prepared.module, "before")


def after(prepared: Prepared) -> dict[str, Any]:
    """Fine-tune the network for encryption, and compile it."""
    from hetorch.train import fine_tune

    loader = _loader(prepared.train, shuffle=True, seed=prepared.seed)
    validation = _loader(prepared.validation)
    wall, used = time.perf_counter(), _processor_seconds()
    tuned = fine_tune(prepared.module, loader, validation=validation, seed=prepared.seed, progress=False)
    facts = {"fine_tune_s": time.perf_counter() - wall, "fine_tune_cpu_s": _processor_seconds() - used}
    logits = outputs(tuned.model, prepared.samples)
    np.save(prepared.folder / "after.npy", logits)
    facts["accuracy_polynomials"] = float(np.mean(logits.argmax(1) == prepared.labels))
    return facts | _compiled(prepared, tuned.model, "after")


STAGES: Mapping[str, Callable[[Prepared], dict[str, Any]]] = {"before": before, "after": after}


def kept(folder: Path, name: str) -> dict[str, Any] | None:
    """Return what a stage has kept in the folder; None if it has not, or sources have changed since."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    facts: dict[str, Any] = data["facts"]
    return facts if data["sources"] == sources() else None


@functools.cache
def sources() -> str:
    """Return a hash of the files of hetorch and of this benchmark."""
    paths = [*(ROOT / "src" / "hetorch").rglob("*.py"), *(ROOT / "src" / "hetorch").rglob("*.so")]
    paths += [*(ROOT / "benchmarks").glob("training*.py"), ROOT / "benchmarks" / "ranges.py"]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _compiled(prepared: Prepared, module: nn.Module, name: str) -> dict[str, Any]:
    """Compile and simulate the module, save its plan, and return the figures."""
    begun, used = time.perf_counter(), _processor_seconds()
    plan = hetorch.compile(module, prepared.calibration)
    facts: dict[str, Any] = {
        "compile_s": time.perf_counter() - begun,
        "compile_cpu_s": _processor_seconds() - used,
    }
    folder = prepared.folder / f"{name}.hetorch"
    shutil.rmtree(folder, ignore_errors=True)
    plan.save(folder)
    logits = hetorch.simulate(plan, prepared.samples, progress=False)
    clear = float(np.mean(prepared.logits.argmax(1) == prepared.labels))
    simulated = float(np.mean(logits.argmax(1) == prepared.labels))
    facts |= plan_facts(plan) | {
        "output_range": plan.report.output_range,
        "test_samples": len(prepared.labels),
        "accuracy_in_clear": clear,
        "accuracy_simulated": simulated,
        "points_lost": 100 * (clear - simulated),
        "agreement_simulated": float(np.mean(logits.argmax(1) == prepared.logits.argmax(1))),
    }
    return facts | _outside(plan, module, prepared.samples)


def _outside(plan: Plan, module: nn.Module, samples: Images) -> dict[str, Any]:
    """Return the share of values outside their ranges, and the shifts of which the client is warned.

    The ranges are those that a trained module recorded, and otherwise those of the plan's polynomials.
    """
    facts: dict[str, Any] = {}
    trained = any(isinstance(part, PolyAct) for part in module.modules())
    warned = []
    for name, shift in SHIFTS.items():
        shifted = shift(samples)
        share = share_outside_trained(module, shifted) if trained else share_outside(plan, shifted)
        facts[f"outside_{name}"] = share
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan.public().samples(shifted)
        if caught:
            warned.append(name)
    return facts | {"warned": " ".join(warned)}


def _loader(part: Part, *, shuffle: bool = False, seed: int = 0) -> DataLoader[tuple[torch.Tensor, ...]]:
    data = TensorDataset(*map(torch.from_numpy, part))
    return DataLoader(data, BATCH, shuffle=shuffle, generator=torch.Generator().manual_seed(seed))


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
