"""A network of convolutions that Concrete ML trains with quantisation; runs in its own environment."""

from __future__ import annotations

import functools
import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve

BITS = 4
"""Bits of weights and activations. More are more precise and slower."""
ROUNDING = {"n_bits": 6, "method": "APPROXIMATE"}
"""Bits to which sums are rounded before an activation, in the cheaper of Concrete ML's two ways. More are slower."""
EPOCHS, BATCH, RATE, SEED = 10, 64, 1e-3, 0


def network(classes: int) -> Any:
    """Return the network of benchmarks.ordinary_networks.convolution_network with quantised layers."""
    nn, quantised = importlib.import_module("torch.nn"), importlib.import_module("brevitas.nn")
    weights = {"weight_bit_width": BITS}
    act = {"bit_width": BITS, "return_quant_tensor": True}
    return nn.Sequential(
        quantised.QuantIdentity(**act),
        *(quantised.QuantConv2d(1, 16, 3, padding=1, bias=True, **weights), nn.BatchNorm2d(16)),
        *(quantised.QuantReLU(**act), nn.MaxPool2d(2), quantised.QuantIdentity(**act)),
        *(quantised.QuantConv2d(16, 32, 3, padding=1, bias=True, **weights), nn.BatchNorm2d(32)),
        *(quantised.QuantReLU(**act), nn.MaxPool2d(2), quantised.QuantIdentity(**act), nn.Flatten()),
        *(quantised.QuantLinear(1568, 64, bias=True, **weights), quantised.QuantReLU(**act)),
        quantised.QuantLinear(64, classes, bias=True, **weights),
    )


def take_weights(net: Any, arrays: Any) -> None:
    """Copy the weights that were trained in clear: layers with weights come in the same order in both networks."""
    torch = importlib.import_module("torch")
    layers = [layer for layer in net if getattr(layer, "weight", None) is not None]
    numbers = sorted({int(key.split(".")[1]) for key in arrays.files if key.startswith("weight.")})
    for layer, number in zip(layers, numbers, strict=True):
        state = layer.state_dict()
        prefix = f"weight.{number}."
        state |= {
            key.removeprefix(prefix): torch.from_numpy(np.array(arrays[key]))
            for key in arrays.files
            if key.startswith(prefix)
        }
        layer.load_state_dict(state)


def train(net: Any, images: Any, labels: Any) -> None:
    """Train with quantisation, from the weights that are there."""
    torch = importlib.import_module("torch")
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    net.train()
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(labels)), BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimiser.step()
    net.eval()


def setup(options: dict[str, Any]) -> Session:
    """Train the network of the folder with quantisation, compile it, and make keys."""
    torch = importlib.import_module("torch")
    # Concrete ML was written for this exporter of torch; the newer one needs packages that it does not install.
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    if not hasattr(
        torch.Tensor, "rename"
    ):  # named tensors left torch; Brevitas only removes names, and there are none
        torch.Tensor.rename = lambda tensor, *_: tensor
    to_circuit = importlib.import_module("concrete.ml.torch.compile").compile_brevitas_qat_model
    arrays = np.load(Path(options["folder"]) / "concrete.npz")
    images, labels = (torch.from_numpy(arrays[name]) for name in ("train", "train_labels"))
    samples, wanted, clear = (arrays[name] for name in ("samples", "labels", "logits"))
    torch.manual_seed(SEED)
    net = network(clear.shape[1])
    net.eval()
    with torch.no_grad():  # makes the scales of the quantisation before weights are loaded
        net(images[:2])
    take_weights(net, arrays)
    begun = time.perf_counter()
    train(net, images, labels)
    trained = time.perf_counter()
    module = to_circuit(net, images[:256].numpy(), rounding_threshold_bits=dict(ROUNDING))
    compiled = time.perf_counter()
    circuit = module.fhe_circuit
    circuit.keygen()
    keys_s = time.perf_counter() - compiled
    quantised = np.asarray(module.forward(samples, fhe="disable")).argmax(1)
    facts: dict[str, Any] = {
        "ring": "TFHE",
        "fine_tune_s": trained - begun,
        "compile_s": compiled - trained,
        "keys_s": keys_s,
        "key_bytes": len(circuit.client.evaluation_keys.serialize()),
        "test_samples": len(wanted),
        "accuracy_in_clear": float(np.mean(clear.argmax(1) == wanted)),
        "accuracy_simulated": float(np.mean(quantised == wanted)),
        "points_lost": float(100 * (np.mean(clear.argmax(1) == wanted) - np.mean(quantised == wanted))),
        "agreement_simulated": float(np.mean(quantised == clear.argmax(1))),
        "encrypted": 1,
    }
    first = circuit.encrypt(module.quantize_input(samples[:1]))
    return Session({"run": Operation(lambda: circuit.run(first))}, {}, facts)


if __name__ == "__main__":
    serve(setup)
