"""Layer 4: `hetorch.compile`, from a torch module to a plan."""

from __future__ import annotations

from collections.abc import Callable

from hetorch.compiler.arguments import check_activations, check_number
from hetorch.compiler.costs.machine import load_machine
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.pipeline import Options, run_pipeline
from hetorch.errors import InputError
from hetorch.params import Security
from hetorch.plan import Plan


def compile(
    model: object,
    calibration_inputs: object,
    *,
    name: str | None = None,
    precision: float | None = None,
    security: str | Security = Security.CLASSICAL_128,
    activation_degree: int | None = None,
    activation_tolerance: float = 0.05,
    activation_agreement: float = 0.995,
    activation_precision: float | None = None,
    activation_ranges: str = "calibrated",
    ring_degree: int | None = None,
    scale_bits: int | None = None,
    digit_size: int | None = None,
    objective: str = "latency",
    batch_size: int | None = None,
    weights: str = "clear",
    engine: str = "native",
    key_limit: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Plan:
    """Compile a trained `torch.nn.Module` so that it runs on encrypted inputs.

    `calibration_inputs`, a tensor or array (batch, ...), should look like the inputs to come: the ranges of activations
    and the sizes of all numbers are taken from them. The model itself is not changed. A model with several inputs gets
    a tuple of them; the plan's input is then one row of all, each flattened, in order (its notes say where).

    `precision` bounds the predicted encryption error relative to the range of the outputs; without it, it is 2^-11 =
    4.9e-4 or, where activations are approximated less exactly than that, a third of what they cost, up to 2^-6.
    Activations get the least polynomial degrees with which the outputs stay within `activation_tolerance` of the range
    of the model's outputs, with at least `activation_agreement` of the argmaxes the same (of calibration
    inputs, one of which may always differ; a model with a single output has no argmax to keep, so that only the
    tolerance counts). Instead, `activation_degree`
    (1..63) fixes the degree of all, or `activation_precision` (2^-20..1) their error relative to the largest absolute
    value in the range: functions with kinks, such as ReLU and MaxPool, then become compositions of minimax
    polynomials of the sign. hetorch.approximate says either for a single module. `activation_ranges` "interval" takes
    the ranges from interval arithmetic instead of calibration: wider, but no input within the calibrated ones can
    leave them. `ring_degree` (a power of two, 2^11..2^16), `scale_bits` (20..45) and `digit_size` (data primes a
    digit of key switching, 1..16 and at most as many as the chain has) are chosen unless given; the chain and the
    special primes follow from them.

    `objective` "latency" answers one sample as fast as it can, or with `batch_size` (up to half the ring degree) that
    many samples at once, side by side in the slots. "throughput" makes a sample cheapest: a run takes `batch_size`
    samples, or as many as the slots hold, down to one feature a ciphertext and no rotation at all. The plan's
    `batch_size` is the next power of two; smaller batches run too and take as long.

    `weights` "encrypted": the server shall not see them either. Diagonals and biases are encrypted under the data
    owner's key, products are products of ciphertexts, and the server gets `plan.without_weights()`;
    `hetorch.Client(url, weights=plan)` uploads them, or what `hetorch.model_owner` makes for a data owner who is
    someone else. The report shows what it costs. Which weights are zero stays visible. With the objective "latency" and
    the engine "native" only.

    `key_limit` bounds the bytes of evaluation keys that a client uploads: rotations are traded for keys until they fit.
    Without it, keys are saved where that costs next to no time.

    With `engine` "seal" the plan runs on SEAL too: digits of one prime, one special prime, rings up to 2^15 and SEAL's
    order of slots, so that SEAL and TenSEAL encrypt its inputs slot for slot.

    Times are predicted, and choices made, with the constants that `hetorch tune` stored, else with defaults: the same
    model compiled twice with the same constants gives the same bytes.

    `security` is "128", "192", "256", "he-standard-2018" or, for tests only, "none". `progress` is
    called with (stage, fraction).

    Raises InputError for wrong arguments or inputs, UnsupportedModelError for an operation that cannot be compiled,
    PlanError if no parameters are both secure and precise enough, ParameterError for an unknown security level.
    """
    check_number("precision", precision, whole=False, meaning=" (a share of the output range)")
    for argument, value in (
        ("ring_degree", ring_degree),
        ("scale_bits", scale_bits),
        ("digit_size", digit_size),
        ("batch_size", batch_size),
        ("key_limit", key_limit),
    ):
        check_number(argument, value, whole=True)
    check_activations(
        activation_degree,
        activation_precision,
        activation_tolerance,
        activation_agreement,
        activation_ranges,
    )
    if name is not None and not isinstance(name, str):
        raise InputError(f"name must be text, got {name!r}")
    if progress is not None and not callable(progress):
        raise InputError(f"progress must be a function of (stage, fraction), got {progress!r}")
    if precision is not None and not 0 < precision < 1:
        raise InputError(f"precision must be between 0 and 1 (a share of the output range), got {precision}")
    if ring_degree is not None and ring_degree not in [1 << k for k in range(11, 17)]:
        raise InputError(f"ring_degree must be a power of two from 2^11 to 2^16, got {ring_degree}")
    if scale_bits is not None and not 20 <= scale_bits <= 45:
        raise InputError(f"scale_bits must be 20..45, got {scale_bits}")
    if digit_size is not None and not 1 <= digit_size <= 16:
        raise InputError(f"digit_size must be 1..16, got {digit_size}")
    if objective not in ("latency", "throughput"):
        raise InputError(f'objective must be "latency" or "throughput", got {objective!r}')
    if batch_size is not None and not 1 <= batch_size <= 1 << 15:
        raise InputError(f"batch_size must be 1..32768, the slots of the largest ring, got {batch_size}")
    if key_limit is not None and key_limit < 1:
        raise InputError(f"key_limit must be a number of bytes, at least 1, got {key_limit}")
    if weights not in ("clear", "encrypted"):
        raise InputError(f'weights must be "clear" or "encrypted", got {weights!r}')
    if weights == "encrypted" and objective == "throughput":
        raise InputError(
            'encrypted weights need the objective "latency": in throughput every single weight would be a ciphertext'
        )
    if engine not in ("native", "seal"):
        raise InputError(f'engine must be "native" or "seal", got {engine!r}')
    if engine == "seal" and digit_size not in (None, 1):
        raise InputError(
            f'SEAL\'s digits have one prime: digit_size must be 1 with engine="seal", got {digit_size}'
        )
    if engine == "seal" and weights == "encrypted":
        raise InputError('encrypted weights need engine="native"')
    if engine == "seal" and ring_degree is not None and ring_degree > 1 << 15:
        raise InputError(f"SEAL has rings up to 2^15, ring_degree is {ring_degree}")
    options = Options(
        precision=precision,
        security=Security.parse(security),
        activation_tolerance=activation_tolerance,
        activation_degree=activation_degree,
        activation_precision=activation_precision,
        activation_agreement=activation_agreement,
        activation_ranges=activation_ranges,
        ring_degree=ring_degree,
        scale_bits=scale_bits,
        digit_size=1 if engine == "seal" else digit_size,
        for_seal=engine == "seal",
        objective=objective,
        batch_size=batch_size,
        machine=load_machine(),
        encrypted_weights=weights == "encrypted",
        key_limit=key_limit,
    )
    if progress is not None:
        progress("trace the model", 0.0)
    captured = capture(model, calibration_inputs)
    label = captured.name if name is None else name
    if not label.isprintable() or not 0 < len(label) <= 200:
        raise InputError(f"name must be printable text of 1 to 200 characters, got {label[:60]!r}")
    return run_pipeline(
        label, captured.program, captured.inputs, captured.outputs, options, captured.notes, progress
    )
