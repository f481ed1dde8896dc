"""The operations on the server itself: health, numbers, and its description."""

from __future__ import annotations

from hetorch.server.operations.operation import OBJECT, TOKEN_CODES, Operation
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON
from hetorch.wire.codes import Code

SERVICE = (
    Operation(
        "GET",
        addresses.LIVE,
        "live",
        "Tell that the process answers.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.READY,
        "ready",
        "Tell whether the server takes predictions.",
        "It does.",
        (Code.NOT_READY,),
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.METRICS,
        "show_metrics",
        "Show all numbers of the server for Prometheus; for operators.",
        "The metrics, as OpenMetrics if the request asks for it.",
        (*TOKEN_CODES, Code.FORBIDDEN),
        content={"text/plain": {"type": "string"}, "application/openmetrics-text": {"type": "string"}},
    ),
    Operation(
        "GET",
        addresses.STATUS,
        "status",
        "Show the state of the server; for operators.",
        "The state, as a page if the request takes HTML.",
        (*TOKEN_CODES, Code.FORBIDDEN),
        content={JSON: OBJECT, "text/html": {"type": "string"}},
        security=("token", "browser"),
    ),
    Operation(
        "GET",
        addresses.OPENAPI,
        "openapi",
        "Describe the service.",
        "This document.",
        TOKEN_CODES,
        content={JSON: OBJECT},
    ),
)
"""The operations for operators and for tools that read the description."""
