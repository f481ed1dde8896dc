"""A plan as text: what `print(plan)` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.params import Security, max_log2_qp
from hetorch.plan.report import LayerReport, PlanReport

if TYPE_CHECKING:
    from hetorch.plan.plan import Plan
    from hetorch.plan.public import PublicPlan

HEADINGS = (
    "layer",
    "kind",
    "level",
    "scale",
    "ciphertexts",
    "diagonals",
    "zero",
    "rotations",
    "time",
    "weights",
    "keys",
    "predicted error",
)


def render(plan: Plan) -> str:
    """One row a layer, then parameters, sizes and errors."""
    report, parameters, public = plan.report, plan.parameters, plan.public()
    exponent = parameters.ring_degree.bit_length() - 1
    digits = parameters.digit_count(parameters.max_level)
    if parameters.security is Security.NONE:
        security = "no security: for tests only"
    else:
        bound = max_log2_qp(parameters.ring_degree, parameters.security)
        security = f"at most {bound:.0f} for {parameters.security.value}-bit security"
    lines = [
        *_layers(report),
        "",
        f"{plan.name}: {public.input_shape} -> {public.output_shape}{_batch(plan.batch_size)}",
        f"ring        N = 2^{exponent}, {parameters.slot_count} slots, {parameters.max_level} levels",
        f"modulus     log2 Q = {parameters.log2_q:.0f}, log2 QP = {parameters.log2_qp:.0f} ({security})",
        f"keys        {len(plan.key_spec.galois)} rotations, {digits} digits, {_size(public.evaluation_key_bytes)}",
        f"ciphertexts {_size(public.input_ciphertext_bytes)} in, {_size(public.output_ciphertext_bytes)} out",
        *_weights(plan, public),
        *_promises(report),
    ]
    return "\n".join(lines)


def render_report(report: PlanReport) -> str:
    """The part of `render` that a report alone tells: layers, time, memory, errors and notes."""
    return "\n".join([*_layers(report), "", *_promises(report)])


def _layers(report: PlanReport) -> list[str]:
    cells = [HEADINGS, *(_cells(row) for row in report.layers)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _promises(report: PlanReport) -> list[str]:
    constants = f"{report.machine} constants"
    if report.machine == "default":
        constants += ": hetorch tune measures this machine's"
    return [
        f"run         predicted {_time(report.predicted_seconds)} on {report.threads} thread(s) ({constants}), "
        f"{_size(report.memory_bytes)} of memory with keys and weights",
        f"encryption  predicted error {report.predicted_error:.1e} of the output range {report.output_range:.4g}",
        f"polynomials error {report.approximation_error:.1e} of the output range, "
        f"{report.agreement:.1%} agreement on {report.calibration_samples} calibration inputs",
        *(f"note        {note}" for note in report.notes),
    ]


def _cells(row: LayerReport) -> tuple[str, ...]:
    return (
        row.name,
        row.kind,
        str(row.level),
        f"2^{row.scale_bits:.1f}",
        str(row.ciphertexts),
        str(row.diagonals or "-"),
        str(max(row.dense_diagonals - row.diagonals, 0) or "-"),
        str(row.rotations or "-"),
        _time(row.predicted_seconds),
        _size(row.weight_bytes) if row.weight_bytes else "-",
        _size(row.key_bytes) if row.key_bytes else "-",
        f"{row.predicted_error:.1e}",
    )


def _weights(plan: Plan, public: PublicPlan) -> list[str]:
    if not plan.program.encrypted_weights:
        return []
    held = sum(row.weight_bytes for row in plan.report.layers)
    upload = public.encrypted_weight_bytes
    lines = [
        f"weights     encrypted under the data owner's key: {_size(held)} of ciphertexts in memory, {_size(upload)} to "
        "upload (half if the data owner encrypts them)"
    ]
    where = (
        "not in this plan, which is the server's; whoever has them encrypts and uploads them"
        if plan.weights_withheld
        else "in this plan, which no server may see: it gets that of hetorch without-weights"
    )
    return [*lines, f"            {where}"]


def _batch(size: int) -> str:
    return "" if size == 1 else f", up to {size} samples a run"


def _time(seconds: float) -> str:
    if seconds <= 0:
        return "-"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(left + right)


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
