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


def setup(options: dict[str, Any]) -> Session:
    """`folder`: that of a network of squares whose first layer may be a convolution of one channel."""
    tenseal = importlib.import_module("tenseal")
    folder = Path(options["folder"])
    layers = json.loads((folder / "layers.json").read_text())
    arrays = np.load(folder / "arrays.npz")
    samples = arrays["samples"].astype(np.float64)
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
    convolution = layers[0] if layers[0]["kind"] == "Conv2d" else None
    weights = {
        layer["index"]: (
            arrays[f"{layer['index']}.weight"].astype(float),
            arrays[f"{layer['index']}.bias"].astype(float),
        )
        for layer in layers
        if layer["kind"] in ("Linear", "Conv2d")
    }
    dense = {i: (w.T.tolist(), b.tolist()) for i, (w, b) in weights.items() if w.ndim == 2}

    def encrypt(index: int) -> Any:
        image = samples[index].reshape(28, 28)
        if convolution is None:
            return tenseal.ckks_vector(context, image.ravel().tolist()), 0
        return tenseal.im2col_encoding(
            context, image.tolist(), convolution["kernel"], convolution["kernel"], convolution["stride"]
        )

    def run(encrypted: Any) -> Any:
        vector, windows = encrypted
        # Its products change their argument.
        vector = vector.copy()
        for layer in layers:
            if layer["kind"] == "Conv2d":
                kernels, bias = weights[layer["index"]]
                channels = [
                    vector.conv2d_im2col(kernel[0].tolist(), windows) + float(offset)
                    for kernel, offset in zip(kernels, bias, strict=True)
                ]
                vector = tenseal.CKKSVector.pack_vectors(channels)
            elif layer["kind"] == "Linear":
                weight, bias = dense[layer["index"]]
                vector = vector.mm(weight) + bias
            elif layer["kind"] == "Square":
                vector.square_()
        return vector

    def predict(index: int) -> list[float]:
        return [float(v) for v in run(encrypt(index)).decrypt()[:10]]

    first = encrypt(0)
    facts = {
        "ring": "2^13",
        "compile_s": 0.0,
        "key_bytes": len(with_keys) - len(without),
        "ciphertext_bytes": len(first[0].serialize()),
    }
    operations = {
        "run": Operation(lambda: run(first)),
        "whole": Operation(lambda: predict(0)),
    }
    return Session(operations, {"predict": predict}, facts)


if __name__ == "__main__":
    serve(setup)
