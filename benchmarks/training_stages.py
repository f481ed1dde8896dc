"""The stages of `scripts/bench training`, before and after training, each in a process of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

import hetorch
from benchmarks.ordinary import plan_facts
from benchmarks.ordinary_networks import Images
from benchmarks.ranges import share_outside, share_outside_trained
from benchmarks.training_tasks import Prepared
from benchmarks.training_tuning import processor_seconds, tune, tuned_module
from hetorch.plan import Plan
from hetorch.plan.inputs import beyond_range
from hetorch.train import PolyAct


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
    """Compile the network that was fine-tuned."""
    return _compiled(prepared, tuned_module(prepared), "after")


STAGES: Mapping[str, Callable[[Prepared], dict[str, Any]]] = {"tune": tune, "after": after, "before": before}
"""The stages in their order: fine-tuning, and the compilations after and before it."""


def _compiled(prepared: Prepared, module: nn.Module, name: str) -> dict[str, Any]:
    """Compile and simulate the module, save its plan, and return the figures."""
    begun, used = time.perf_counter(), processor_seconds()
    plan = hetorch.compile(module, prepared.calibration)
    facts: dict[str, Any] = {
        "compile_s": time.perf_counter() - begun,
        "compile_cpu_s": processor_seconds() - used,
    }
    folder = prepared.folder / f"{name}.hetorch"
    shutil.rmtree(folder, ignore_errors=True)
    plan.save(folder)
    logits = hetorch.simulate(plan, prepared.samples, progress=False)
    without = np.isnan(logits).any(axis=1)
    classes = np.where(without, -1, logits.argmax(1))
    clear = float(np.mean(prepared.logits.argmax(1) == prepared.labels))
    accuracy = float(np.mean(classes == prepared.labels))
    facts |= plan_facts(plan) | {
        "output_range": plan.report.output_range,
        "test_samples": len(prepared.labels),
        "accuracy_in_clear": clear,
        "accuracy_simulated": accuracy,
        "points_lost": 100 * (clear - accuracy),
        "agreement_simulated": float(np.mean(classes == prepared.logits.argmax(1))),
        "without_result": int(np.count_nonzero(without)),
    }
    return facts | _outside(plan, module, prepared.samples)


def _outside(plan: Plan, module: nn.Module, samples: Images) -> dict[str, Any]:
    """Return for each shift the share of values outside their ranges, and of samples that the client warns of.

    The ranges are those that a trained module recorded, which those of its plan hold, and otherwise those of the plan's
    polynomials.
    """
    facts: dict[str, Any] = {}
    trained = any(isinstance(part, PolyAct) for part in module.modules())
    for name, shift in SHIFTS.items():
        shifted = shift(samples)
        share = share_outside_trained(module, shifted) if trained else share_outside(plan, shifted)
        facts[f"outside_{name}"] = share
        facts[f"warned_{name}"] = float(
            np.mean(beyond_range(shifted.astype(np.float64), plan.input_range) > 0)
        )
    return facts
