"""Layer 4: a plan in one process, on the cleartext engine or with keys of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.engine.cleartext import CleartextEngine
from hetorch.errors import InputError, PlanError
from hetorch.plan import Plan
from hetorch.runtime import Runner, Trace


def run_cleartext(
    plan: Plan, x: ArrayLike, *, noise: bool = True, seed: int = 0, trace: Trace | None = None
) -> NDArray[np.float64]:
    """The program on the cleartext engine, with the modelled noise unless `noise` is False: (batch, *output_shape).

    `x` is one sample of the plan's input_shape or a batch of them; InputError if not. PlanError for a plan without its
    weights.
    """
    _refuse_without_weights(plan)
    public = plan.public()
    samples = public.samples(x)
    engine = CleartextEngine(plan.parameters, noise=noise, seed=seed, key_spec=plan.key_spec)
    if plan.program.encrypted_weights:  # the same program with the weights that the model owner has
        plan = replace(plan, program=replace(plan.program, encrypted_weights=False))
    runner = Runner(plan, engine)
    found = [np.zeros((0, *public.output_shape))]
    for begin in range(0, len(samples), public.batch_size):
        part = samples[begin : begin + public.batch_size]
        inputs = [
            engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in public.pack_batch(part)
        ]
        results = [engine.decrypt(c) for c in runner.run(inputs, trace=trace)]
        found.append(public.unpack_batch(results)[: len(part)])
    return np.concatenate(found)


def run_encrypted(
    plan: Plan,
    x: ArrayLike,
    *,
    trace: Trace | None = None,
    memory_limit: int | None = None,
    engine: str = "native",
) -> NDArray[np.float64]:
    """Makes keys, encrypts, evaluates and decrypts each sample of `x`: (batch, *output_shape). On SEAL with `engine`
    "seal", which needs a plan compiled for it (PlanError). PlanError for a plan without its weights. `memory_limit` as
    Runner.

    For trying out and for tests: in earnest the secret key and the evaluation live on two machines.
    """
    from hetorch.engine.native import NativeEngine
    from hetorch.engine.secret import SecretKey
    from hetorch.runtime.seal_runner import SealRunner

    if engine not in ("native", "seal"):
        raise InputError(f'engine must be "native" or "seal", got {engine!r}')
    _refuse_without_weights(plan)
    public = plan.public()
    samples = public.samples(x)
    secret = SecretKey.generate(plan.parameters)
    keys = secret.evaluation_keys(plan.key_spec)
    runner: SealRunner | Runner[Any, Any, Any]
    if engine == "seal":
        runner = SealRunner(plan, keys, memory_limit=memory_limit)
    elif plan.program.encrypted_weights:
        from hetorch.model_owner.encrypt import encrypt_weights

        outsourced = encrypt_weights(plan, secret.public_key())
        native = NativeEngine(plan.parameters, evaluation_keys=keys)
        runner = Runner(
            plan.without_weights(), native, encrypted_weights=outsourced, memory_limit=memory_limit
        )
    else:
        native = NativeEngine(plan.parameters, evaluation_keys=keys)
        runner = Runner(plan, native, memory_limit=memory_limit)
    found = [np.zeros((0, *public.output_shape))]
    for begin in range(0, len(samples), public.batch_size):
        part = samples[begin : begin + public.batch_size]
        inputs = [
            secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in public.pack_batch(part)
        ]
        results = [secret.decrypt(c) for c in runner.run(inputs, trace=trace)]
        found.append(public.unpack_batch(results)[: len(part)])
    return np.concatenate(found)


def _refuse_without_weights(plan: Plan) -> None:
    if plan.weights_withheld:
        raise PlanError(
            f"the plan {plan.name!r} is without its weights (without_weights), and would compute with zeros; run the "
            "plan that still has them, or a hetorch.runtime.Runner with what "
            "hetorch.model_owner.encrypt.encrypt_weights made of them"
        )
