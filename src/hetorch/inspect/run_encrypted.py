"""A plan on ciphertexts, with keys that are made on the spot: both parties in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanUseError
from hetorch.inspect.batches import Slots, check_runnable, run_in_batches, telling
from hetorch.inspect.layers import Layer
from hetorch.inspect.record import Array, Record, record_encrypted, record_times
from hetorch.interop.backends import backend
from hetorch.machine_memory import machine_memory
from hetorch.model_owner.encrypt import encrypt_weights
from hetorch.plan import Plan
from hetorch.progress import Progress, ProgressOption, counted, reporting
from hetorch.runtime import Listener, Runner
from hetorch.runtime.pieces import storage_within

MAKING_KEYS = "making evaluation keys"
"""The stage that Progress is told while keys are made."""


def run_encrypted(
    plan: Plan,
    x: object,
    *,
    engine: str = NATIVE.name,
    memory_limit: int | None = None,
    on_event: Listener | None = None,
    progress: ProgressOption = None,
) -> Any:
    """Make keys, encrypt each sample of `x`, evaluate and decrypt, all in this process.

    For trying out and for tests: in earnest the secret key and the evaluation live on two machines. Warns with
    InputRangeWarning if `x` leaves the calibrated range, and of results far outside those of calibration, as the client
    does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: one sample of the plan's input_shape, or a batch of them, as for hetorch.Client.predict.
        engine: the backend (hetorch.interop.backends); the plan must be compiled for it.
        memory_limit: bytes for keys, weights and ciphertexts, as for hetorch.runtime.Runner; that of this machine
            (hetorch.machine_memory.machine_memory) if left out.
        on_event: called with a hetorch.runtime.Event after each operation.
        progress: called with a stage, the making of keys or the computing, and the fraction of it that is done. By
            default a bar on the terminal, and a line in a notebook, for what takes more than a second, and elsewhere a
            line on stderr every minute; False for none.

    Returns:
        The results, float64 of shape (batch, *output_shape), or output_shape for one sample without a batch axis; of a
        model of several outputs a dictionary of them by name, or a tuple.

    Raises:
        InputError: `plan` is no plan; `x` is neither a sample nor a batch, or far outside the calibration inputs; there
            is no such engine.
        PlanUseError: the plan is without its weights, does not run on this engine, or not in this memory.
    """
    chosen = backend(engine)
    check_runnable(plan)
    public = plan.public()
    samples, single = public.samples(x)
    limit = machine_memory() if memory_limit is None else memory_limit
    with reporting(progress, "run encrypted", even_unseen=True) as report:
        results = run_samples(plan, samples, chosen, limit, on_event, report)
    public.warn_of_results(results)
    return public.named(results[0] if single else results)


def run_samples(
    plan: Plan,
    samples: Array,
    chosen: AnyBackend,
    memory_limit: int | None,
    on_event: Listener | None,
    report: Progress,
) -> Array:
    """Return the results (batch, *output_shape) for samples that PublicPlan.samples made; other arguments and errors
    are those of run_encrypted."""
    if not plan.program.encrypted_weights:
        storage_within(plan, memory_limit, chosen)  # what does not fit is refused before keys take memory
    secret = SecretKey.generate(plan.parameters)
    keys = secret.evaluation_keys(plan.key_spec, progress=counted(report, MAKING_KEYS))
    told = telling(on_event, report, plan, len(samples))
    run_ciphertexts = _encrypted_runner(plan, chosen, secret, keys, memory_limit, told)

    def run(packed: Sequence[Slots]) -> list[Slots]:
        inputs = [secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale) for slots in packed]
        return [secret.decrypt(result) for result in run_ciphertexts(inputs)]

    return run_in_batches(plan.public(), samples, run)


def record_on_ciphertexts(
    plan: Plan,
    layers: Sequence[Layer],
    samples: Array,
    told: Callable[[], None],
    report: Progress,
    wants_values: bool,
) -> Record:
    """Return the decrypted values of every layer of a plan with weights in clear, or its times only; its keys are made
    for this run.

    Raises:
        PlanUseError: the plan does not fit this machine's memory.
    """
    limit = machine_memory()
    storage_within(plan, limit, NATIVE)
    secret = SecretKey.generate(plan.parameters)
    keys = secret.evaluation_keys(plan.key_spec, progress=counted(report, MAKING_KEYS))
    runner = Runner(plan, NATIVE.make(plan.parameters, keys), memory_limit=limit)
    runner.prepare()

    def encrypt(slots: Slots) -> Ciphertext:
        return secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)

    def run(ciphertexts: Sequence[Ciphertext], listener: Listener) -> object:
        return runner.run(ciphertexts, on_event=listener)

    if not wants_values:
        return record_times(plan, layers, samples, encrypt, run, told)
    return record_encrypted(plan, layers, samples, encrypt, secret.decrypt, run, told)


def _encrypted_runner(
    plan: Plan,
    chosen: AnyBackend,
    secret: SecretKey,
    keys: EvaluationKeys,
    memory_limit: int | None,
    on_event: Listener,
) -> Callable[[Sequence[Ciphertext]], list[Ciphertext]]:
    """Return the server's part: native ciphertexts to native ciphertexts."""
    weights = None
    if plan.program.encrypted_weights:
        if not chosen.takes_encrypted_weights:
            raise PlanUseError(f"encrypted weights do not run on the engine {chosen.name!r}; use another one")
        weights = encrypt_weights(plan, secret.public_key())
        plan = plan.without_weights()
    engine = chosen.make(plan.parameters, keys)
    runner = Runner(plan, engine, backend=chosen, encrypted_weights=weights, memory_limit=memory_limit)
    return lambda ciphertexts: runner.run_native(ciphertexts, on_event=on_event)
