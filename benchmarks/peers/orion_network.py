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
"""Bits of the primes in Orion's examples: the first, one for each level of the network, and the special ones. The ring
is one of real numbers, with 2^log_n slots."""
MAX_BITS = {13: 218, 14: 438, 15: 881}
"""Largest log2(QP) of 128-bit security, by log2 of the ring degree, in the table of 2018 that the examples keep to."""


def build(nn: Any, torch: Any, folder: Path) -> Any:
    """Return the network of layers.json, made of the layers of `nn`, with the weights of arrays.npz."""
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
        """A module that applies the layers one after the other."""

        def __init__(self) -> None:
            super().__init__()
            for index, layer in enumerate(layers):
                setattr(self, f"layer{index}", layer)

        def forward(self, x: Any) -> Any:
            """Return the output (1, 10) of an input (1, ...)."""
            for index in range(len(layers)):
                x = getattr(self, f"layer{index}")(x)
            return x

    net = Net()
    net.eval()
    return net


def levels_of(folder: Path) -> int:
    """Return the levels of a network: one for each linear layer, convolution and square.

    Orion merges batch normalisation into the layer before.
    """
    kinds = [entry["kind"] for entry in json.loads((folder / "layers.json").read_text())]
    return sum(kind in ("Linear", "Conv2d", "Square") for kind in kinds)


def smallest_ring(levels: int) -> int:
    """Return log2 of the smallest ring degree with 128-bit security at that number of levels."""
    bits = LOG_Q_FIRST + LOG_Q * levels + sum(LOG_P)
    return min(log_n for log_n, most in MAX_BITS.items() if bits <= most)


def setup(options: dict[str, Any]) -> Session:
    """Compile the network in `folder` and make keys; the worker's memory is that of compiling and running."""
    torch, orion = importlib.import_module("torch"), importlib.import_module("orion")
    layers = importlib.import_module("orion.nn")
    folder = Path(options["folder"])
    levels = levels_of(folder)
    log_n = smallest_ring(levels)
    orion.init_scheme(_scheme_options(log_n, levels))
    scheme = importlib.import_module("orion.core.orion").scheme
    arrays = np.load(folder / "arrays.npz")
    samples = torch.from_numpy(arrays["samples"])
    net = build(layers, torch, folder)
    begun = time.perf_counter()
    # Orion takes shapes from the batch, so it gets one sample; squares need no ranges.
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
    # It has rotation keys for the maps and for all powers of two, and a relinearisation key.
    keys = len(scheme.lt_evaluator.saved_rotation_keys) + log_n + 1
    facts = {
        "ring": f"2^{log_n}, real",
        "compile_s": round(compiled, 2),
        "key_bytes": keys * _key_bytes(log_n, levels),
        "ciphertext_bytes": 2 * (level + 1) * (8 << log_n),
    }
    operations = {
        "run": Operation(lambda: net(first)),
        "whole": Operation(lambda: predict(0)),
    }
    return Session(operations, {"predict": predict}, facts)


def _scheme_options(log_n: int, levels: int) -> dict[str, Any]:
    return {
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


def _key_bytes(log_n: int, levels: int) -> int:
    """Return the size of a switching key: two halves a digit, each with N words of 8 bytes for each prime."""
    digits = -(-(levels + 1) // len(LOG_P))
    return digits * 2 * (levels + 1 + len(LOG_P)) * (8 << log_n)


if __name__ == "__main__":
    serve(setup)
