"""A network in Orion's second version (orion-v2-*), which passes networks, keys and ciphertexts as bytes."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.orion_network import LOG_P, LOG_Q, LOG_Q_FIRST, build, levels_of, smallest_ring
from benchmarks.peers.session import Operation, Session, serve


def setup(options: dict[str, Any]) -> Session:
    """Compile the network in `folder` and make keys; the worker's memory is that of compiling and running."""
    torch, compiler = importlib.import_module("torch"), importlib.import_module("orion_compiler")
    evaluator = importlib.import_module("orion_evaluator")
    ckks, rlwe = importlib.import_module("lattigo.ckks"), importlib.import_module("lattigo.rlwe")
    folder = Path(options["folder"])
    levels = levels_of(folder)
    log_n = smallest_ring(levels)
    chosen = compiler.CKKSParams(
        logn=log_n, logq=(LOG_Q_FIRST, *[LOG_Q] * levels), logp=LOG_P,
        log_default_scale=LOG_Q, h=1 << log_n, ring_type="conjugate_invariant",
    )  # fmt: skip
    arrays = np.load(folder / "arrays.npz")
    samples = arrays["samples"].astype(np.float64)
    net = build(importlib.import_module("orion_compiler.nn"), torch, folder)
    begun = time.perf_counter()
    network = compiler.Compiler(net, chosen)
    network.fit(torch.from_numpy(arrays["calibration"][:1]))
    model = evaluator.Model.load(network.compile().to_bytes())
    compiled = time.perf_counter() - begun
    needed, manifest, level = model.client_params()
    parameters = ckks.Parameters.from_dict(needed)
    generator = rlwe.KeyGenerator(parameters)
    secret = generator.gen_secret_key()
    encryptor = rlwe.Encryptor(parameters, generator.gen_public_key(secret))
    decryptor = rlwe.Decryptor(parameters, secret)
    encoder = ckks.Encoder(parameters)
    relin = generator.gen_relin_key(secret) if manifest["needs_rlk"] else None
    galois = [generator.gen_galois_key(secret, int(element)) for element in manifest["galois_elements"]]
    keys = rlwe.MemEvaluationKeySet(relin, galois).marshal_binary()
    server = evaluator.Evaluator(needed, keys)
    slots = parameters.max_slots()

    def encrypt(index: int) -> bytes:
        padded = np.zeros(slots)
        padded[: samples[index].size] = samples[index].reshape(-1)
        plaintext = encoder.encode(padded.tolist(), level, parameters.default_scale())
        encrypted: bytes = encryptor.encrypt_new(plaintext).marshal_binary()
        return encrypted

    def predict(index: int) -> list[float]:
        (result,) = server.forward(model, [encrypt(index)])
        plaintext = decryptor.decrypt_new(rlwe.Ciphertext.unmarshal_binary(result))
        return [float(v) for v in encoder.decode(plaintext, slots)[:10]]

    first = encrypt(0)
    facts = {
        "ring": f"2^{log_n}, real",
        "compile_s": round(compiled, 2),
        "key_bytes": len(keys),
        "ciphertext_bytes": len(first),
    }
    operations = {
        "run": Operation(lambda: server.forward(model, [first])),
        "whole": Operation(lambda: predict(0)),
    }
    return Session(operations, {"predict": predict}, facts)


if __name__ == "__main__":
    serve(setup)
