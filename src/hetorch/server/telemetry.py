"""Traces by OpenTelemetry: a span for each request, and spans for the steps of a prediction below it.

Off unless the configuration asks for them, and then the package must be there (extra `telemetry`).
"""

from __future__ import annotations

import os
import time
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from hetorch.errors import InputError
from hetorch.optional_packages import explain_missing
from hetorch.server.request_record import RequestRecord, is_from_proxy

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
"""The environment variable of OpenTelemetry that names the exporter: otlp (the default), console, or another one."""

NAME_VARIABLE = "OTEL_SERVICE_NAME"
"""The environment variable of OpenTelemetry that names the service in its traces; hetorch if it is not set."""


class Tracing:
    """Makes spans with one provider.

    Args:
        provider: the provider of OpenTelemetry; the process-wide one if left out.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        with explain_missing("traces"):
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        self._trace = trace
        self._tracer = trace.get_tracer("hetorch.server", tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, record: RequestRecord) -> Span:
        """Begin the span of a request. The trace of a trusted proxy (`traceparent`) goes on in it."""
        scope = record.scope
        context = None
        if is_from_proxy(scope):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            context = self._propagator.extract(headers)
        return self._tracer.start_span(
            scope["method"],
            context,
            self._trace.SpanKind.SERVER,
            {"http.request.method": scope["method"], "hetorch.request_id": record.id},
        )

    def end(self, span: Span, record: RequestRecord, status: int | None) -> None:
        """End the span of a request, with one below it for each step of its computation."""
        ends = time.time_ns()
        endpoint = getattr(record.scope.get("endpoint"), "__name__", "none")
        span.update_name(f"{record.scope['method']} {endpoint}")
        if record.model is not None:
            span.set_attribute("hetorch.model", record.model)
        if record.code is not None:
            span.set_attribute("error.type", record.code.value)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if status is None or status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        begins = ends - round(sum(record.milliseconds.values()) * 1e6)
        below = self._trace.set_span_in_context(span)
        for step, milliseconds in record.milliseconds.items():
            child = self._tracer.start_span(step, below, start_time=begins)
            begins += round(milliseconds * 1e6)
            child.end(begins)
        span.end(ends)


def export_traces() -> None:
    """Export the spans of this process as the variables of OpenTelemetry say; InputError if the exporter that they name
    is not installed."""
    name = os.environ.get(EXPORTER_VARIABLE) or "otlp"
    with explain_missing("traces"):
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    exporters = sorted(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not exporters:
        raise InputError(
            f"OpenTelemetry has no exporter {name!r} here ({EXPORTER_VARIABLE}); pip install "
            f"opentelemetry-exporter-{name}, or choose console"
        )
    named = {} if os.environ.get(NAME_VARIABLE) else {"service.name": "hetorch"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(exporters[0].load()()))
    trace.set_tracer_provider(provider)
