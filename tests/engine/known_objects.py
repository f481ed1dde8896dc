"""A fixed computation from fixed bytes; run as a script it prints the SHA-256 of every object as JSON.

All randomness comes from keystreams of fixed seeds, and plaintexts are lifted from integers or constant over
the slots, so that no result depends on how a C library rounds sines. `local` adds objects that do: they are
compared on one machine only."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Callable

import numpy as np

from hetorch.engine import _native, _secret
from hetorch.engine.context import core_context
from hetorch.engine.keys import galois_element
from hetorch.engine.native import Ciphertext, NativeEngine
from hetorch.engine.random import keystream
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.engine.uniform import uniform_piece
from hetorch.params import ParameterSet, Security

SCALE = 2.0**34


def seed(name: str) -> bytes:
    return hashlib.sha256(b"known answer " + name.encode()).digest()


def sets() -> dict[str, ParameterSet]:
    """Primes below 2^50 with digits of two, and 60-bit ones among them, which take kernels of their own."""
    return {
        "simd": ParameterSet.from_bits(
            1 << 10, [45, *[34] * 5], [45] * 2, digit_size=2, security=Security.NONE
        ),
        "wide": ParameterSet.from_bits(1 << 10, [60, *[40] * 5], [60], digit_size=1, security=Security.NONE),
    }


class Fixed:
    """A key, evaluation keys and encryptions that are the same on every run."""

    def __init__(self, parameters: ParameterSet) -> None:
        self.parameters = parameters
        self.context = core_context(parameters)
        self.key = SecretKey.generate(parameters, seed("secret"))
        n, top = parameters.ring_degree, parameters.max_level
        self.relinearisation = _secret.make_relinearisation_key(
            self.context, self.key._core, top, *self.randomness("relinearisation")
        )
        galois = [
            (
                e,
                _secret.make_switching_key(
                    self.context, self.key._core, self.key._core, e, top, *self.randomness(f"galois {e}")
                ),
            )
            for e in (5, galois_element(16, n), 2 * n - 1)
        ]
        self.keys = _native.EvaluationKeys(self.relinearisation, galois)
        self.engine = NativeEngine(parameters, evaluation_keys=self.keys)

    def randomness(self, name: str) -> tuple[bytes, Callable[[int, int], bytes], Callable[[int, int], bytes]]:
        public, private = seed(name + " public"), seed(name + " private")
        return (
            public,
            lambda index, length: uniform_piece(public, index, length),
            lambda index, length: keystream(private, length, domain=b"error %d" % index),
        )

    def encrypt(self, name: str) -> Ciphertext:
        """Small integers as coefficients, so that slots stay near [-1, 1]."""
        n = self.parameters.ring_degree
        words = np.frombuffer(keystream(seed(name), 4 * n, domain=b"message"), dtype="<i4")
        message = np.floor(words.astype(np.float64) * SCALE / 2**31 / 64)
        plaintext = _native.lift(self.context, message, self.parameters.max_level, SCALE)
        public, uniform, errors = self.randomness(name)
        return _secret.encrypt(self.context, self.key._core, plaintext, public, uniform, errors(0, 8 * n))

    def transform(self, period: int) -> DiagonalTransform:
        stream = keystream(seed("diagonals"), 4 * period, domain=b"diagonals")
        values = np.frombuffer(stream, dtype=np.int8).reshape(4, period) / 128.0
        zeros = np.zeros(4, np.int32)
        giants, babies = np.array([0, 0, 16, 16], np.int32), np.array([0, 1, 0, 1], np.int32)
        return DiagonalTransform(self.parameters.slot_count, 1, 1, zeros, zeros, giants, babies, values)

    def run_transform(self, a: Ciphertext, period: int) -> Ciphertext:
        prepared = self.engine.prepare_transform(
            self.transform(period), level=a.level, input_scale=a.scale, output_scale=SCALE
        )
        return self.engine.linear_transform(prepared, [a])[0]

    def objects(self, local: bool) -> dict[str, bytes]:
        engine, context = self.engine, self.context
        a, b = self.encrypt("first"), self.encrypt("second")
        dump = _native.dump_ciphertext
        public, uniform, errors = self.randomness("public key")
        n = self.parameters.ring_degree
        public_key = _secret.make_public_key(context, self.key._core, public, uniform, errors(0, 8 * n))
        zero = _native.lift(context, np.zeros(n), 2, SCALE)
        by_public_key = _native.encrypt(
            context, zero, public_key, keystream(seed("u"), 24 * n, domain=b"public encryption")
        )
        product = engine.multiply(a, b)
        found = {
            "ciphertext": dump(context, a),
            "uniform half": np.stack([a.row(1, r) for r in range(a.level + 1)]).tobytes(),
            "relinearisation key": _native.dump_switching_key(context, self.relinearisation),
            "galois key": _native.dump_switching_key(context, self.keys.galois(5)),
            "public key": _native.dump_public_key(context, public_key),
            "public-key encryption": dump(context, by_public_key),
            "sum": dump(context, engine.add(a, b)),
            "product": dump(context, product),
            "three parts": dump(context, engine._core.multiply_raw(a, b)),
            "rescaled": dump(context, engine.rescale(product)),
            "rotation": dump(context, engine.rotate(a, 1)),
            "rotation at a lower level": dump(context, engine.rotate(engine.drop_level(a, 2), 16)),
            "conjugation": dump(context, engine.conjugate(a)),
            "linear transform": dump(context, self.run_transform(a, 1)),
            "polynomial": dump(
                context,
                engine.polynomial(a, [0.5, 0.25, -1.0, 0, 0.125, 1.0, 0.5, -0.25, 0.75], output_scale=SCALE),
            ),
        }
        if local:
            slots = self.parameters.slot_count
            values = np.sin(np.arange(slots))
            plaintext = engine.encode(values, level=3, scale=SCALE)
            found["transform of every period"] = b"".join(
                dump(context, self.run_transform(a, 1 << k)) for k in range(slots.bit_length())
            )
            found["product with a plaintext"] = dump(context, engine.multiply_plaintext(a, plaintext))
            found["decryption"] = self.key.decrypt_complex(product).tobytes()
        return found


def hashes(local: bool) -> dict[str, str]:
    return {
        f"{name}: {what}": hashlib.sha256(data).hexdigest()
        for name, parameters in sets().items()
        for what, data in Fixed(parameters).objects(local).items()
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    local_too = sys.argv[1:] == ["local"]
    json.dump(
        {"path": _native.selected_kernel_path(), "threads": _native.thread_count(), **hashes(local_too)},
        sys.stdout,
    )
