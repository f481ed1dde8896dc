"""SEAL's operations, with one special prime and one digit a prime, as SEAL always has; runs in its own environment."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve


def setup(options: dict[str, Any]) -> Session:
    """Make keys and one encrypted vector of `log2_n`, `primes` and `prime_bits`."""
    seal = importlib.import_module("seal")
    n, bits = 1 << options["log2_n"], options["prime_bits"]
    scale = 2.0**bits
    parameters = seal.EncryptionParameters(seal.scheme_type.ckks)
    parameters.set_poly_modulus_degree(n)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(n, [bits] * (options["primes"] + 1)))
    context = seal.SEALContext(parameters, True, seal.sec_level_type.none)
    generator = seal.KeyGenerator(context)
    galois = seal.GaloisKeys()
    generator.create_galois_keys([1], galois)
    relin = generator.create_relin_keys()
    encoder, evaluator = seal.CKKSEncoder(context), seal.Evaluator(context)
    encryptor = seal.Encryptor(context, generator.create_public_key())
    decryptor = seal.Decryptor(context, generator.secret_key())
    values = np.random.default_rng(1).uniform(-1, 1, n // 2)
    ciphertext = encryptor.encrypt(encoder.encode(values, scale))
    product = evaluator.relinearize(evaluator.multiply(ciphertext, ciphertext), relin)

    def multiply() -> Any:
        result = evaluator.multiply(ciphertext, ciphertext)
        evaluator.relinearize_inplace(result, relin)
        return result

    def check(_: Any) -> float:
        turned = encoder.decode(decryptor.decrypt(evaluator.rotate_vector(ciphertext, 1, galois)))
        return float(np.abs(np.asarray(turned) - np.roll(values, -1)).max())

    operations = {
        "rotate": Operation(lambda: evaluator.rotate_vector(ciphertext, 1, galois)),
        "multiply": Operation(multiply),
        "rescale": Operation(lambda: evaluator.rescale_to_next(product)),
        "encode": Operation(lambda: encoder.encode(values, scale)),
        "encrypt": Operation(lambda: encryptor.encrypt(encoder.encode(values, scale))),
        "decrypt": Operation(lambda: encoder.decode(decryptor.decrypt(ciphertext))),
    }
    return Session(operations, {"check": check}, {"setting": "1 special prime"})


if __name__ == "__main__":
    serve(setup)
