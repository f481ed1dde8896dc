"""A small network with ReLU in Concrete ML, which quantises it after training; runs in its own environment."""

from __future__ import annotations

import functools
import importlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve

BITS = 5
"""Bits of weights and activations: the fewest with which 99 % of the classes agree with those in clear (97 % with 4).
More bits are more precise and slower."""


def setup(options: dict[str, Any]) -> Session:
    """Compile the network of linear layers and ReLU in `folder`, and make keys."""
    torch = importlib.import_module("torch")
    # Concrete ML was written for this exporter of torch; the newer one needs packages that it does not install.
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    to_circuit = importlib.import_module("concrete.ml.torch.compile").compile_torch_model
    folder = Path(options["folder"])
    arrays = np.load(folder / "arrays.npz")
    samples, calibration = arrays["samples"], arrays["calibration"]
    layers: list[Any] = []
    for entry in json.loads((folder / "layers.json").read_text()):
        if entry["kind"] == "Linear":
            layer = torch.nn.Linear(entry["inputs"], entry["outputs"])
            names = ("weight", "bias")
            layer.load_state_dict(
                {name: torch.from_numpy(np.array(arrays[f"{entry['index']}.{name}"])) for name in names}
            )
            layers.append(layer)
        else:
            layers.append(getattr(torch.nn, entry["kind"])())
    net = torch.nn.Sequential(*layers).eval()
    begun = time.perf_counter()
    module = to_circuit(net, calibration, n_bits=BITS, rounding_threshold_bits=BITS)
    compiled = time.perf_counter() - begun
    circuit = module.fhe_circuit
    begun = time.perf_counter()
    circuit.keygen()
    keys_s = time.perf_counter() - begun

    def encrypt(index: int) -> Any:
        quantised = module.quantize_input(samples[index : index + 1])
        return circuit.encrypt(quantised)

    def run(encrypted: Any) -> Any:
        return circuit.run(encrypted)

    def predict(index: int) -> list[float]:
        decrypted = circuit.decrypt(run(encrypt(index)))
        return [float(v) for v in np.asarray(module.dequantize_output(decrypted)).reshape(-1)]

    first = encrypt(0)
    serialised = first.serialize() if hasattr(first, "serialize") else first[0].serialize()
    facts = {
        "ring": "TFHE",
        "compile_s": round(compiled, 2),
        "keys_s": round(keys_s, 2),
        "key_bytes": len(circuit.client.evaluation_keys.serialize()),
        "ciphertext_bytes": len(serialised),
    }
    operations = {
        "run": Operation(lambda: run(first)),
        "whole": Operation(lambda: predict(0)),
    }
    return Session(operations, {"predict": predict}, facts)


if __name__ == "__main__":
    serve(setup)
