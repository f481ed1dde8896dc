"""The result of the demo as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from hetorch.demo.digits import SIDE
from hetorch.demo.display import security_text
from hetorch.demo.png import png_url
from hetorch.demo.result import STEPS, DemoResult
from hetorch.demo.run import Demonstration
from hetorch.demo.style import STYLE
from hetorch.quantities import size_text

SHOWN_DIGITS = 32
"""Number of digits that the page shows."""
COLOURS = ("a", "b", "c", "d")
MEANING = {
    "encrypt": "encode and encrypt on the client",
    "upload": "send the ciphertext",
    "server": "compute on the ciphertext",
    "decrypt": "receive, decrypt and decode",
}


def render(demonstration: Demonstration) -> str:
    """Return the page. Of the digits, it first shows those whose answer differs from the model's or is wrong."""
    result = demonstration.result
    accuracy = result.accuracy
    sections = [
        "<h1>Digits recognised without being seen</h1>",
        f"<p class='soft'>A small convolutional network read {accuracy.samples} handwritten digits that stayed "
        "encrypted on the server. The secret key never left the client process.</p>",
        _cards(result),
        _seen(demonstration),
        "<h2>Some of the digits</h2>",
        "<p class='soft'>Below each picture: the digit decrypted from the server's answer, and the true one.</p>",
        _digits(demonstration),
        "<h2>One prediction, step by step</h2>",
        _latency(result),
        "<h2>Sizes</h2>",
        _sizes(result),
        "<h2>The compiled network</h2>",
        _layers(demonstration),
        "<h2>Security</h2>",
        f"<p>{escape(security_text(result))}.</p>",
        "<p class='soft'>Inputs, intermediate values and outputs are hidden from the server. The shape of the network, "
        "the number of requests and their times are not; and who holds the key sees the logits.</p>",
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>hetorch demo</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _cards(result: DemoResult) -> str:
    accuracy = result.accuracy
    total = sum(result.costs.percentile(50).values())
    cards = (
        (f"{accuracy.agreement:.1%}", "same digit as the model in clear"),
        (f"{accuracy.encrypted:.1%}", f"accuracy encrypted ({accuracy.cleartext:.1%} in clear)"),
        (f"{accuracy.worst_logit_error_relative:.1e}", "worst logit error, of the logit range"),
        (f"{total:.0f} ms", "one encrypted prediction (p50)"),
    )
    return (
        "<div class='cards'>"
        + "".join(f"<div class='card'><b>{b}</b><span>{s}</span></div>" for b, s in cards)
        + "</div>"
    )


def _seen(demonstration: Demonstration) -> str:
    if demonstration.seen.size < SIDE * SIDE:
        return ""
    digit = _picture(demonstration.test.images[0])
    noise = png_url(demonstration.seen[: SIDE * SIDE].reshape(SIDE, SIDE))
    size = size_text(demonstration.result.costs.input_ciphertext_bytes)
    return (
        "<h2>What the server sees</h2><div class='seen'>"
        f"<figure><img src='{digit}' alt='a handwritten digit'><figcaption>the client's digit</figcaption></figure>"
        f"<figure><img src='{noise}' alt='noise'><figcaption>784 bytes of the request</figcaption></figure>"
        f"<p class='soft'>The request for this digit is {size} of ciphertext. The square on the right shows bytes of "
        "it as they crossed the wire.</p></div>"
    )


def _digits(demonstration: Demonstration) -> str:
    labels = demonstration.test.labels
    clear = demonstration.cleartext.argmax(axis=1)
    encrypted = demonstration.encrypted.argmax(axis=1)
    interest = 2 * (encrypted != clear) + (encrypted != labels)
    order = np.argsort(-interest, kind="stable")[:SHOWN_DIGITS]
    figures = []
    for i in order:
        wrong = " wrong" if interest[i] else ""
        title = f"encrypted {encrypted[i]}, in clear {clear[i]}, true {labels[i]}"
        figures.append(
            f"<figure class='digit{wrong}' title='{title}'>"
            f"<img src='{_picture(demonstration.test.images[i])}' alt='digit {labels[i]}'>"
            f"<div class='says'><b>{encrypted[i]}</b><span>true {labels[i]}</span></div></figure>"
        )
    return "<div class='digits'>" + "".join(figures) + "</div>"


def _latency(result: DemoResult) -> str:
    middle, high = result.costs.percentile(50), result.costs.percentile(95)
    total = sum(middle.values())
    bar = "".join(
        f"<i class='{colour}' style='width:{100 * middle[step] / total:.2f}%' title='{step}'></i>"
        for step, colour in zip(STEPS, COLOURS, strict=True)
    )
    rows = [
        (
            f"<span class='key {colour}'></span>{step} <span class='soft'>{MEANING[step]}</span>",
            f"{middle[step]:.1f}",
            f"{high[step]:.1f}",
        )
        for step, colour in zip(STEPS, COLOURS, strict=True)
    ]
    return f"<div class='bar'>{bar}</div>" + _table(("step", "p50 ms", "p95 ms"), rows)


def _sizes(result: DemoResult) -> str:
    costs = result.costs
    rows = [
        ("evaluation keys, sent once", size_text(costs.evaluation_key_bytes)),
        ("request, one digit", size_text(costs.input_ciphertext_bytes)),
        ("response, ten logits", size_text(costs.output_ciphertext_bytes)),
        ("peak memory of the server", size_text(costs.server_peak_bytes)),
    ]
    return _table(("what", "size"), rows)


def _layers(demonstration: Demonstration) -> str:
    rows = [
        (
            escape(f"{row.name} ({row.kind})"),
            str(row.level),
            str(row.rotations),
            str(row.multiplications),
            f"{row.predicted_error:.1e}",
        )
        for row in demonstration.plan.report.layers
    ]
    return _table(("layer", "level", "rotations", "products", "predicted error"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _picture(image: NDArray[np.float32]) -> str:
    return png_url(np.rint(image.reshape(SIDE, SIDE) * 255).astype(np.uint8))
