"""The networks of TenSEAL's tutorials on encrypted inputs, in TenSEAL: the peer of benchmarks.models.

Context as the tutorial has it: N = 8192, primes of 31, 6 x 26 and 31 bits, scale 2^26 (128 bits by the 2018 table).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tenseal
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float64]


def context() -> Any:
    """Keys and parameters of the tutorial."""
    made = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        poly_modulus_degree=8192,
        coeff_mod_bit_sizes=[31, 26, 26, 26, 26, 26, 26, 31],
    )
    made.global_scale = 2**26
    made.generate_galois_keys()
    return made


def _weights(layer: nn.Conv2d | nn.Linear) -> tuple[Any, Any]:
    assert layer.bias is not None
    return layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy().astype(float)


class Convolutional:
    """Conv(1, 4, 7x7, stride 3) - square - 256-64 - square - 64-10, by im2col."""

    def __init__(self, model: nn.Sequential, keys: Any) -> None:
        self.keys = keys
        convolution, *linear = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
        weight, self.conv_bias = _weights(convolution)
        self.kernels = [kernel[0].tolist() for kernel in weight]
        self.linear = [(weight.T.tolist(), bias.tolist()) for weight, bias in map(_weights, linear)]

    def encrypt(self, image: Array) -> Any:
        """One (28, 28) image as windows."""
        return tenseal.im2col_encoding(self.keys, image.tolist(), 7, 7, 3)

    def run(self, encrypted: Any) -> Any:
        """The server's part."""
        windows, count = encrypted
        channels = [
            windows.conv2d_im2col(kernel, count) + float(bias)
            for kernel, bias in zip(self.kernels, self.conv_bias, strict=True)
        ]
        return _dense(tenseal.CKKSVector.pack_vectors(channels), self.linear, square_first=True)


class Dense:
    """784-128-10 with a square, by vector-matrix products."""

    def __init__(self, model: nn.Sequential, keys: Any) -> None:
        self.keys = keys
        layers = [layer for layer in model if isinstance(layer, nn.Linear)]
        self.linear = [(weight.T.tolist(), bias.tolist()) for weight, bias in map(_weights, layers)]

    def encrypt(self, image: Array) -> Any:
        """One (28, 28) image as a vector."""
        return tenseal.ckks_vector(self.keys, image.ravel().tolist())

    def run(self, encrypted: Any) -> Any:
        """The server's part."""
        return _dense(encrypted, self.linear, square_first=False)


def _dense(vector: Any, layers: list[tuple[Any, Any]], *, square_first: bool) -> Any:
    for index, (weight, bias) in enumerate(layers):
        if index or square_first:
            vector.square_()
        vector = vector.mm(weight) + bias
    return vector
