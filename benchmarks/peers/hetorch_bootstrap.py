"""Our bootstrap and its stages at the standard set, or the same primes at a smaller ring, in hetorch's environment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.session import Operation, Session, serve
from hetorch.engine import _native
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.codec import evaluation_keys_blob_bytes
from hetorch.engine.context import core_context
from hetorch.engine.native import NativeEngine, prepare_bootstrap
from hetorch.engine.secret import SecretKey
from hetorch.params import Security
from hetorch.params.bootstrap_set import BootstrapSet, bootstrap_parameters, standard_bootstrap_set

Array = NDArray[np.float64]


def setup(options: dict[str, Any]) -> Session:
    """Make the keys and one encrypted vector of real values in [-1, 1], in `slots` of a ring of 2^`log2_n`."""
    boot = _bootstrap_set(options["log2_n"], options["slots"], options["user_levels"])
    scale = 2.0**boot.user_bits
    prepared = prepare_bootstrap(PlannedBootstrap(boot, scale, scale))
    key = SecretKey.generate(boot.parameters)
    begun = time.process_time()
    keys = key.evaluation_keys(spec := bootstrap_keys(boot))
    key_seconds = time.process_time() - begun
    engine = NativeEngine(boot.parameters, evaluation_keys=keys)
    core, evaluator = prepared.core, _native.Evaluator(core_context(boot.parameters), keys)
    values = np.tile(np.random.default_rng(1).uniform(-1, 1, boot.slots), boot.spacing)
    ciphertext = key.encrypt(values, scale=scale, level=boot.input_level)
    low = core.to_coefficients(evaluator, ciphertext)
    high = core.raise_modulus(evaluator, low)
    slots = core.to_slots(evaluator, high)
    operations = {
        "bootstrap": Operation(lambda: engine.bootstrap(prepared, ciphertext)),
        "to_coefficients": Operation(lambda: core.to_coefficients(evaluator, ciphertext)),
        "raise_modulus": Operation(lambda: core.raise_modulus(evaluator, low)),
        "to_slots": Operation(lambda: core.to_slots(evaluator, high)),
        "reduce": Operation(lambda: core.reduce(evaluator, slots)),
    }

    def precision(_: object) -> dict[str, float]:
        result = key.decrypt(engine.bootstrap(prepared, ciphertext))
        return errors_of(result, prepared.expected(values), values)

    facts = {
        "levels_left": boot.user_levels,
        "log2_qp": round(boot.parameters.log2_qp, 1),
        "keys": spec.count,
        "key_bytes_on_the_wire": evaluation_keys_blob_bytes(boot.parameters, spec),
        "diagonal_bytes": prepared.byte_count,
        "key_generation_seconds": key_seconds,
    }
    calls: dict[str, Callable[[Any], Any]] = {
        "precision": precision,
        "inputs": lambda _: values.tolist(),
        "outputs": lambda _: key.decrypt(engine.bootstrap(prepared, ciphertext)).tolist(),
    }
    return Session(operations, calls, facts)


def errors_of(result: Array, distorted: Array, values: Array) -> dict[str, float]:
    """Return the largest error of a slot and the standard deviation, both without the distortion of the sine, and the
    largest error with it.

    Args:
        result: the decrypted slots.
        distorted: the values after the sine, exactly.
        values: the values.
    """
    return {
        "worst": float(np.abs(result - distorted).max()),
        "deviation": float(np.std(result - distorted)),
        "worst_with_distortion": float(np.abs(result - values).max()),
    }


def _bootstrap_set(log2_n: int, slots: int, user_levels: int) -> BootstrapSet:
    """Return the standard set of so many levels; for 0, that of the largest ring, or one of its sizes of primes at a
    smaller ring, which protects nothing."""
    if user_levels:
        return standard_bootstrap_set(slots, user_levels, ring_degree=1 << log2_n)
    standard = standard_bootstrap_set(max(slots, 1 << 14))
    p = standard.parameters
    if p.ring_degree == 1 << log2_n:
        return standard
    bits, special = (
        tuple(round(math.log2(prime)) for prime in primes) for primes in (p.modulus_chain, p.special_primes)
    )
    parameters = bootstrap_parameters(
        *(1 << log2_n, bits, special),
        digit_size=p.digit_size,
        low_family=standard.low_family,
        security=Security.NONE,
    )
    # Three factors and four, as the standard set has, of stages as equal as can be.
    stages = slots.bit_length() - 1
    to_coefficients, to_slots = (
        tuple((stages + i) // count for i in reversed(range(count))) for count in (3, 4)
    )
    return replace(
        standard, parameters=parameters, slots=slots, to_coefficients=to_coefficients, to_slots=to_slots
    )


if __name__ == "__main__":
    serve(setup)
