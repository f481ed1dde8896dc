"""Layer 4: a plan in one process, on the cleartext engine or with keys of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.engine.cleartext import CleartextEngine
from hetorch.errors import InputError
from hetorch.plan import Plan
from hetorch.runtime import Runner, Trace


def run_cleartext(
    plan: Plan, x: ArrayLike, *, noise: bool = True, seed: int = 0, trace: Trace | None = None
) -> NDArray[np.float64]:
    """The program on the cleartext engine, with the modelled noise unless `noise` is False: (batch, *output_shape).

    `x` is one sample of the plan's input_shape or a batch of them; InputError if not.
    """
    public = plan.public()
    samples = public.samples(x)
    engine = CleartextEngine(plan.parameters, noise=noise, seed=seed, key_spec=plan.key_spec)
    runner = Runner(plan, engine)
    found = []
    for sample in samples:
        inputs = [
            engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in public.pack(sample)
        ]
        found.append(public.unpack([engine.decrypt(c) for c in runner.run(inputs, trace=trace)]))
    return np.stack(found) if found else np.zeros((0, *public.output_shape))


def run_encrypted(
    plan: Plan, x: ArrayLike, *, trace: Trace | None = None, engine: str = "native"
) -> NDArray[np.float64]:
    """Makes keys, encrypts, evaluates and decrypts each sample of `x`: (batch, *output_shape). On SEAL with `engine`
    "seal", which needs a plan compiled for it (PlanError).

    For trying out and for tests: in earnest the secret key and the evaluation live on two machines.
    """
    from hetorch.engine.native import NativeEngine
    from hetorch.engine.secret import SecretKey
    from hetorch.runtime.seal_runner import SealRunner

    if engine not in ("native", "seal"):
        raise InputError(f'engine must be "native" or "seal", got {engine!r}')
    public = plan.public()
    samples = public.samples(x)
    secret = SecretKey.generate(plan.parameters)
    keys = secret.evaluation_keys(plan.key_spec)
    runner = (
        SealRunner(plan, keys)
        if engine == "seal"
        else Runner(plan, NativeEngine(plan.parameters, evaluation_keys=keys))
    )
    found = []
    for sample in samples:
        inputs = [
            secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in public.pack(sample)
        ]
        found.append(public.unpack([secret.decrypt(c) for c in runner.run(inputs, trace=trace)]))
    return np.stack(found) if found else np.zeros((0, *public.output_shape))
