"""What plans consist of, as hashes: run it on two versions of hetorch and compare the files.

A line is one network compiled with one set of options: SHA-256 of the program with its layouts, of the parameters, of
the key specification and of the weights, and the compile time. Report and notes are left out: they are prose.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load
from torch import nn

import hetorch
from tests.zoo.test_zoo import ZOO

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "throughput": {"objective": "throughput"},
    "batch_size=4": {"batch_size": 4},
    "engine=seal": {"engine": "seal"},
    "weights=encrypted": {"weights": "encrypted"},
    "key_limit=12 MB": {"key_limit": 12_000_000},
    "activation_precision=2^-6": {"activation_precision": 2.0**-6},
    "activation_ranges=interval": {"activation_ranges": "interval"},
    "ring_degree=2^14, scale_bits=34, digit_size=2": {
        "ring_degree": 1 << 14,
        "scale_bits": 34,
        "digit_size": 2,
    },
    "security=192": {"security": "192"},
}
"""Every option that leads the search another way, on one small network with an activation."""


def mlp() -> nn.Module:
    """20-16-8-3 with SiLU and a square."""

    class Squared(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    return nn.Sequential(nn.Linear(20, 16), nn.SiLU(), nn.Linear(16, 8), Squared(), nn.Linear(8, 3))


def cases() -> Iterator[tuple[str, nn.Module, torch.Tensor, dict[str, Any]]]:
    """Name, model, calibration inputs and options: the options on the small network, then the zoo."""
    for name, options in OPTIONS.items():
        torch.manual_seed(5)
        yield name, mlp().eval(), torch.randn(200, 20), options
    for name, entry in sorted(ZOO.items()):
        torch.manual_seed(5)
        model = entry.make()
        x = torch.randn(300, *entry.shape).clamp(-3, 3)
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
            model.train()(x)
        yield f"zoo: {name}", model.eval(), x, {"activation_agreement": 0.0, **entry.options}


def hashes(plan: hetorch.Plan) -> dict[str, str]:
    """By part of the plan: the first 16 hexadecimal digits of its SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        plan.save(Path(folder) / "plan")
        manifest = json.loads((Path(folder) / "plan" / "manifest.json").read_bytes())
        arrays = load((Path(folder) / "plan" / "weights.safetensors").read_bytes())
    tensors = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        tensors.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    parts = {
        part: json.dumps(manifest[part], sort_keys=True).encode()
        for part in ("program", "parameters", "key_spec")
    }
    return {
        **{part: hashlib.sha256(text).hexdigest()[:16] for part, text in parts.items()},
        "weights": tensors.hexdigest()[:16],
    }


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables with the numbers of threads of torch and of numpy's BLAS. Both read them when they are loaded."""


def main() -> None:
    """One JSON object a line, on standard output; --only TEXT limits the names.

    All of it runs on one thread: sums have another order on several, in the training of batch normalisation (torch) and
    in the least squares of the activations (numpy), so that models and plans differ in their last bits.
    """
    if any(os.environ.get(name) != "1" for name in THREADS):
        command = [sys.executable, "-m", "benchmarks.plan_bytes", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | dict.fromkeys(THREADS, "1"))
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    # The constants of this machine would give other plans than those of another.
    os.environ["HETORCH_TUNING"] = str(Path(tempfile.gettempdir()) / "hetorch-no-tuning.json")
    for name, model, inputs, options in cases():
        if only not in name:
            continue
        begun = time.perf_counter()
        try:
            found = hashes(hetorch.compile(model, inputs, **options))
        except hetorch.errors.HetorchError as error:
            found = {"error": type(error).__name__}
        seconds = round(time.perf_counter() - begun, 1)
        print(json.dumps({"name": name, **found, "compile_s": seconds}), flush=True)


if __name__ == "__main__":
    main()
