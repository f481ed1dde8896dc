"""TenSEAL as NVFlare uses it: each party encrypts its update under one key that all parties have, a server adds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tenseal as ts

from benchmarks.peers.session import Session, clock, serve
from benchmarks.peers.step_memory import StepMemory

SAMPLES = 100
"""The number of samples, by which NVFlare multiplies an update before it encrypts it."""


def setup(options: dict[str, Any]) -> Session:
    """Make the context of NVFlare's provisioning, and one update of `weights` values for all `parties`."""
    warnings.simplefilter("ignore")  # that a vector needs more than one ciphertext
    parties = options["parties"]
    private = ts.context(
        ts.SCHEME_TYPE.CKKS,
        poly_modulus_degree=8192,
        coeff_mod_bit_sizes=[60, 40, 40],
        encryption_type=ts.ENCRYPTION_TYPE.SYMMETRIC,
        n_threads=options["threads"],
    )
    private.generate_relin_keys()
    private.global_scale = 2**40
    server = ts.context_from(
        private.serialize(save_public_key=False, save_secret_key=False, save_galois_keys=False),
        n_threads=options["threads"],
    )
    values = np.random.default_rng(1).uniform(-0.1, 0.1, options["weights"])

    def encrypt() -> bytes:
        return bytes(ts.ckks_vector(private, values * np.float64(SAMPLES)).serialize())

    def add(update: bytes) -> bytes:
        total = ts.ckks_vector_from(server, update)
        for _ in range(parties - 1):
            total += ts.ckks_vector_from(server, update)
        return bytes(total.serialize())

    def decrypt(total: bytes) -> Any:
        return np.array(ts.ckks_vector_from(private, total).decrypt()) / (parties * SAMPLES)

    def a_round(_: object) -> dict[str, Any]:
        begun = clock()
        update = encrypt()
        encrypted = clock()
        total = add(update)
        added = clock()
        mean = decrypt(total)
        return {
            "encrypt": 1e3 * (encrypted - begun),
            "add": 1e3 * (added - encrypted),
            "decrypt": 1e3 * (clock() - added),
            "error": float(np.abs(mean - values).max()),
            "bytes_up": len(update),
            "bytes_down": len(total),
        }

    def memory(_: object) -> dict[str, int]:
        with StepMemory() as encrypting:
            update = encrypt()
        with StepMemory() as adding:
            total = add(update)
        with StepMemory() as decrypting:
            decrypt(total)
        return {"encrypt": encrypting.growth, "add": adding.growth, "decrypt": decrypting.growth}

    return Session({}, {"round": a_round, "memory": memory})


if __name__ == "__main__":
    serve(setup)
