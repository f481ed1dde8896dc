"""The status page: one HTML document without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from types import MappingProxyType

from hetorch.quantities import count_text
from hetorch.server.status_style import STYLE
from hetorch.wire.status import LogLine, ModelStatus, Status, WorkerStatus
from hetorch.wire.status_numbers import grouped, seconds_text

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = MappingProxyType(
    {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
"""The headers of the page: a browser runs no script and loads nothing for it, whatever a log line holds."""
SHOWN_DIGITS = 12
"""Digits of a fingerprint that are shown; `hetorch inspect` shows all."""


def status_page(status: Status) -> str:
    """Return the page of a status. Every text in it is escaped."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{"Not ready" if status.not_ready else "Ready"} - hetorch server</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>hetorch server</h1>{_state(status)}</header>
<main>
<p class="muted">Version {escape(status.version)}, at {_time(status.time)}. <a href="">Load again</a></p>
{_models(status.models)}
{_workers(status.workers)}
<div class="groups">
{"".join(_group(title, entries) for title, entries in grouped(status.numbers).items())}
{_group("Answers", {code: f"{count:,}" for code, count in status.answers.items()})}
</div>
{_errors(status.errors)}
</main>
</body>
</html>
"""


def _state(status: Status) -> str:
    if not status.not_ready:
        return '<p class="good">Ready</p>'
    return f'<p class="bad">Not ready: {escape("; ".join(status.not_ready))}</p>'


def _models(models: tuple[ModelStatus, ...]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(model.name)}</th>'
        f'<td class="plan"><code>{escape(model.fingerprint[:SHOWN_DIGITS])}</code></td>'
        f'<td class="number">{model.predictions:,}</td>'
        f'<td class="number">{seconds_text(model.mean_seconds)}</td></tr>\n'
        for model in models
    )
    return f"""<section aria-labelledby="models">
<h2 id="models">{count_text(len(models), "model")}</h2>
<table>
<thead><tr><th scope="col">name</th><th scope="col" class="plan">plan</th>
<th scope="col" class="number">predictions</th>
<th scope="col" class="number">mean time</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</section>"""


def _workers(workers: tuple[WorkerStatus, ...]) -> str:
    if not workers:
        return ""
    rows = "".join(
        f'<tr><th scope="row" class="process">{worker.pid}</th><td>{escape(worker.model or "waits")}</td>'
        f'<td class="number">{"-" if worker.seconds is None else seconds_text(worker.seconds)}</td></tr>\n'
        for worker in workers
    )
    return f"""<section aria-labelledby="workers">
<h2 id="workers">{count_text(len(workers), "worker")}</h2>
<table>
<thead><tr><th scope="col">process</th><th scope="col">computes</th>
<th scope="col" class="number">for</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</section>"""


def _group(title: str, entries: dict[str, str]) -> str:
    if not entries:
        return ""
    pairs = "".join(
        f"<div><dt>{escape(word)}</dt><dd>{escape(text)}</dd></div>\n" for word, text in entries.items()
    )
    name = title.lower()
    return f"""<section aria-labelledby="{name}">
<h2 id="{name}">{escape(title)}</h2>
<dl>
{pairs}</dl>
</section>
"""


def _errors(errors: tuple[LogLine, ...]) -> str:
    lines = "".join(
        f'<li>{_time(line.time)} <span class="bad">{escape(line.level)}</span> {escape(line.message)}'
        + (f" <code>{escape(line.request_id)}</code>" if line.request_id else "")
        + "</li>\n"
        for line in errors
    )
    body = f"<ol>\n{lines}</ol>" if errors else '<p class="muted">The log has no warnings and no errors.</p>'
    return f"""<section aria-labelledby="errors">
<h2 id="errors">Last warnings and errors</h2>
{body}
</section>"""


def _time(text: str) -> str:
    return (
        f'<time datetime="{escape(text)}">{escape(text.replace("T", " ").replace("+00:00", " UTC"))}</time>'
    )
