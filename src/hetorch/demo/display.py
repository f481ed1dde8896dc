"""The result of the demo as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from hetorch.demo.result import STEPS, DemoResult
from hetorch.quantities import size_text


def show(result: DemoResult, console: Console) -> None:
    """Print accuracy, latency, sizes and the security row."""
    accuracy, costs = result.accuracy, result.costs
    summary = Table(
        title=f"{accuracy.samples} encrypted test digits", show_header=False, title_justify="left"
    )
    summary.add_row("accuracy in clear", f"{accuracy.cleartext:.1%}")
    summary.add_row("accuracy encrypted", f"{accuracy.encrypted:.1%}")
    summary.add_row("same digit (top-1 agreement)", f"{accuracy.agreement:.1%}")
    summary.add_row(
        "worst logit error against the model", f"{accuracy.worst_logit_error_relative:.2e} of the range"
    )
    summary.add_row(
        "worst logit error against the compiled program", f"{result.polynomial_error:.2e} of the range"
    )
    console.print(summary)

    latency = Table(title="One prediction", title_justify="left")
    for heading in ("step", "p50 ms", "p95 ms"):
        latency.add_column(heading, justify="left" if heading == "step" else "right")
    middle, high = costs.percentile(50), costs.percentile(95)
    for step in STEPS:
        latency.add_row(step, f"{middle[step]:.1f}", f"{high[step]:.1f}")
    console.print(latency)

    sizes = Table(title="Sizes", show_header=False, title_justify="left")
    for name, count in (
        ("evaluation keys (sent once)", costs.evaluation_key_bytes),
        ("request", costs.input_ciphertext_bytes),
        ("response", costs.output_ciphertext_bytes),
        ("peak memory of the server", costs.server_peak_bytes),
    ):
        sizes.add_row(name, size_text(count))
    console.print(sizes)
    console.print(f"security: {security_text(result)}")
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
    console.print(f"{result.total_seconds:.1f} s in all: {parts}", highlight=False)


def security_text(result: DemoResult) -> str:
    """Return one sentence on the row of the security table against which the parameters were checked."""
    row = result.security
    exponent = row.ring_degree.bit_length() - 1
    modulus = f"log2(QP) = {row.log2_qp:.1f} ≤ {row.max_log2_qp:.0f}"
    return f"N = 2^{exponent}, {modulus} for {row.bits}-bit security ({row.source})"
