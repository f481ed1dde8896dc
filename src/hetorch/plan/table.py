"""The text of `print(plan)`."""

from __future__ import annotations

from hetorch.params import Security, max_log2_qp
from hetorch.plan.contents import PlanContents
from hetorch.plan.interface import Interface
from hetorch.plan.key_groups import key_lines
from hetorch.plan.public import PublicPlan
from hetorch.plan.report import layer_lines, summary_lines
from hetorch.quantities import count_text, size_text

MOST_NAMES = 20
"""Number of columns, outputs or labels that the table names."""


def render(plan: PlanContents, public: PublicPlan) -> str:
    """Return the table: a row for each layer, then parameters, sizes and errors."""
    report, parameters = plan.report, plan.parameters
    exponent = parameters.ring_degree.bit_length() - 1
    digits = parameters.digit_count(parameters.max_level)
    if parameters.security is Security.NONE:
        security = "no security: for tests only"
    else:
        bound = max_log2_qp(parameters.ring_degree, parameters.security)
        security = f"at most {bound:.0f} for {parameters.security.value}-bit security"
    batch = "" if plan.batch_size == 1 else f", up to {count_text(plan.batch_size, 'sample')} a run"
    keys = (
        f"{plan.key_spec.summary()}, {count_text(digits, 'digit')}, {size_text(public.evaluation_key_bytes)}"
    )
    incoming, outgoing = size_text(public.input_ciphertext_bytes), size_text(public.output_ciphertext_bytes)
    lines = [
        *layer_lines(report),
        "",
        f"{plan.name}: {public.input_shape} -> {public.output_shape}{batch}",
        *_interface_lines(public.interface),
        f"ring        N = 2^{exponent}, {parameters.slot_count} slots, {count_text(parameters.max_level, 'level')}",
        f"modulus     log2 Q = {parameters.log2_q:.0f}, log2 QP = {parameters.log2_qp:.0f} ({security})",
        f"keys        {keys}",
        *[
            f"            {line}"
            for line in (key_lines(parameters, plan.key_spec) if plan.key_spec.links else [])
        ],
        f"ciphertexts {incoming} in, {outgoing} out",
        *_weight_lines(plan, public),
        *summary_lines(report),
    ]
    return "\n".join(lines)


def _interface_lines(interface: Interface) -> list[str]:
    return [
        f"{title:<11} {', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}"
        for title, names in interface.describe().items()
    ]


def _weight_lines(plan: PlanContents, public: PublicPlan) -> list[str]:
    if not plan.program.encrypted_weights:
        return []
    held = size_text(sum(row.weight_bytes for row in plan.report.layers))
    upload = size_text(public.encrypted_weight_bytes)
    where = (
        "not in this plan, which is the server's; whoever has them encrypts and uploads them"
        if plan.weights_withheld
        else "in this plan, which no server may see: it gets that of hetorch without-weights"
    )
    return [
        f"weights     encrypted under the data owner's key: {held} of ciphertexts in memory, {upload} to "
        "upload (half if the data owner encrypts them)",
        f"            {where}",
    ]
