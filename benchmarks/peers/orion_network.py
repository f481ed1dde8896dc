"""A network in Orion (orion-fhe), with its own layers; runs in its own environment."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve

LOG_Q_FIRST, LOG_Q, LOG_P = 29, 26, (29, 29)
"""The primes of its examples, with as many levels as the network needs; a ring of real numbers (2^log_n slots)."""
MOST_BITS = {13: 218, 14: 438, 15: 881}
"""128-bit security by the table of 2018, which its examples keep to: the smallest ring that has it."""


def build(nn: Any, torch: Any, folder: Path) -> Any:
    """The network of layers.json out of the layers of `nn`, with the weights of arrays.npz."""
    arrays = np.load(folder / "arrays.npz")
    layers: list[Any] = []
    for entry in json.loads((folder / "layers.json").read_text()):
        kind = entry["kind"]
        if kind == "Square":
            layer = nn.Quad()
        elif kind == "Flatten":
            layer = nn.Flatten()
        elif kind == "Linear":
            layer = nn.Linear(entry["inputs"], entry["outputs"])
        elif kind == "Conv2d":
            layer = nn.Conv2d(
                entry["inputs"],
                entry["outputs"],
                kernel_size=entry["kernel"],
                stride=entry["stride"],
                padding=entry["padding"],
            )
        else:
            layer = getattr(nn, kind)(entry["outputs"])
        prefix = f"{entry['index']}."
        state = {
            name[len(prefix) :]: torch.from_numpy(np.array(arrays[name]))
            for name in arrays.files
            if name.startswith(prefix)
        }
        if state:
            layer.load_state_dict(state)
        layers.append(layer)

    class Net(nn.Module):  # type: ignore[misc]
        """The layers one after the other."""

        def __init__(self) -> None:
            super().__init__()
            for index, layer in enumerate(layers):
                setattr(self, f"layer{index}", layer)

        def forward(self, x: Any) -> Any:
            """(1, ...) to (1, 10)."""
            for index in range(len(layers)):
                x = getattr(self, f"layer{index}")(x)
            return x

    net = Net()
    net.eval()
    return net


def levels_of(folder: Path) -> int:
    """One for each linear layer, convolution and square: Orion merges batch normalisation into the layer before."""
    kinds = [entry["kind"] for entry in json.loads((folder / "layers.json").read_text())]
    return sum(kind in ("Linear", "Conv2d", "Square") for kind in kinds)


def smallest_ring(levels: int) -> int:
    """log2 of the ring's degree."""
    bits = LOG_Q_FIRST + LOG_Q * levels + sum(LOG_P)
    return min(log_n for log_n, most in MOST_BITS.items() if bits <= most)


def setup(options: dict[str, Any]) -> Session:
    """`folder`: the network's. The worker compiles too, so its memory is that of both."""
    torch, orion = importlib.import_module("torch"), importlib.import_module("orion")
    layers = importlib.import_module("orion.nn")
    folder = Path(options["folder"])
    levels = levels_of(folder)
    log_n = smallest_ring(levels)
    orion.init_scheme(
        {
            "ckks_params": {
                "LogN": log_n,
                "LogQ": [LOG_Q_FIRST, *[LOG_Q] * levels],
                "LogP": list(LOG_P),
                "LogScale": LOG_Q,
                "H": 1 << log_n,
                "RingType": "ConjugateInvariant",
            },
            "orion": {
                "margin": 2,
                "embedding_method": "hybrid",
                "backend": "lattigo",
                "fuse_modules": True,
                "debug": False,
                "io_mode": "none",
            },
        }
    )
    scheme = importlib.import_module("orion.core.orion").scheme
    arrays = np.load(folder / "arrays.npz")
    samples = torch.from_numpy(arrays["samples"])
    net = build(layers, torch, folder)
    begun = time.perf_counter()
    # Shapes are taken from the batch, so one sample at a time; squares need no ranges.
    orion.fit(net, torch.from_numpy(arrays["calibration"][:1]))
    level = orion.compile(net)
    compiled = time.perf_counter() - begun
    net.he()

    def encrypt(index: int) -> Any:
        return orion.encrypt(orion.encode(samples[index : index + 1], level))

    def predict(index: int) -> list[float]:
        decoded = net(encrypt(index)).decrypt().decode()
        return [float(v) for v in decoded.reshape(-1)[:10]]

    first = encrypt(0)
    # Its rotation keys: those of the maps, and of all powers of two; N words for each prime, two halves a digit.
    digits = -(-(levels + 1) // len(LOG_P))
    key_bytes = digits * 2 * (levels + 1 + len(LOG_P)) * (8 << log_n)
    keys = len(scheme.lt_evaluator.saved_rotation_keys) + log_n + 1
    facts = {
        "ring": f"2^{log_n}, real",
        "compile_s": round(compiled, 2),
        "key_bytes": keys * key_bytes,
        "ciphertext_bytes": 2 * (level + 1) * (8 << log_n),
    }
    operations = {
        "run": Operation(lambda: net(first)),
        "whole": Operation(lambda: predict(0)),
    }
    return Session(operations, {"predict": predict}, facts)


if __name__ == "__main__":
    serve(setup)
