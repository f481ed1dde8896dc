"""The networks of TenSEAL's tutorials, in TenSEAL; runs in its own environment.

Context as the tutorial has it: N = 8192, primes of 31, 6 x 26 and 31 bits, scale 2^26 (128 bits by the 2018 table).
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve


class Network:
    """A network of squares whose first layer may be a convolution of one channel, on TenSEAL's vectors."""

    def __init__(self, tenseal: Any, context: Any, folder: Path) -> None:
        """Read layers.json and arrays.npz of `folder`."""
        self._tenseal, self._context = tenseal, context
        self._layers = json.loads((folder / "layers.json").read_text())
        arrays = np.load(folder / "arrays.npz")
        self._samples = arrays["samples"].astype(np.float64)
        self._weights = {
            layer["index"]: tuple(
                arrays[f"{layer['index']}.{part}"].astype(float) for part in ("weight", "bias")
            )
            for layer in self._layers
            if layer["kind"] in ("Linear", "Conv2d")
        }
        # TenSEAL takes lists; they are made before the clock runs.
        self._dense = {i: (w.T.tolist(), b.tolist()) for i, (w, b) in self._weights.items() if w.ndim == 2}

    def encrypt(self, index: int) -> Any:
        """Return the encrypted sample and the windows of its convolution (0 without one)."""
        image = self._samples[index].reshape(28, 28)
        first = self._layers[0]
        if first["kind"] != "Conv2d":
            return self._tenseal.ckks_vector(self._context, image.ravel().tolist()), 0
        kernel = first["kernel"]
        return self._tenseal.im2col_encoding(self._context, image.tolist(), kernel, kernel, first["stride"])

    def run(self, encrypted: Any) -> Any:
        """Return the encrypted logits of what `encrypt` returned."""
        vector, windows = encrypted
        # Its products change their argument.
        vector = vector.copy()
        for layer in self._layers:
            if layer["kind"] == "Conv2d":
                kernels, bias = self._weights[layer["index"]]
                channels = [
                    vector.conv2d_im2col(kernel[0].tolist(), windows) + float(offset)
                    for kernel, offset in zip(kernels, bias, strict=True)
                ]
                vector = self._tenseal.CKKSVector.pack_vectors(channels)
            elif layer["kind"] == "Linear":
                weight, bias = self._dense[layer["index"]]
                vector = vector.mm(weight) + bias
            elif layer["kind"] == "Square":
                vector.square_()
        return vector

    def predict(self, index: int) -> list[float]:
        """Return the ten decrypted logits of a sample."""
        return [float(v) for v in self.run(self.encrypt(index)).decrypt()[:10]]


def setup(options: dict[str, Any]) -> Session:
    """Return the session; `folder` of `options` is that of the network."""
    tenseal = importlib.import_module("tenseal")
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        poly_modulus_degree=8192,
        coeff_mod_bit_sizes=[31, 26, 26, 26, 26, 26, 26, 31],
    )
    context.global_scale = 2**26
    context.generate_galois_keys()
    evaluation = {"save_public_key": False, "save_secret_key": False}
    with_keys = context.serialize(save_galois_keys=True, save_relin_keys=True, **evaluation)
    without = context.serialize(save_galois_keys=False, save_relin_keys=False, **evaluation)
    network = Network(tenseal, context, Path(options["folder"]))
    first = network.encrypt(0)
    facts = {
        "ring": "2^13",
        "compile_s": 0.0,
        "key_bytes": len(with_keys) - len(without),
        "ciphertext_bytes": len(first[0].serialize()),
    }
    operations = {
        "run": Operation(lambda: network.run(first)),
        "whole": Operation(lambda: network.predict(0)),
    }
    return Session(operations, {"predict": network.predict}, facts)


if __name__ == "__main__":
    serve(setup)
