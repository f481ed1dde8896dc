"""The operations on models: which there are, and their public plans."""

from __future__ import annotations

from hetorch.server.operations.operation import MODEL_CODES, OBJECT, TOKEN_CODES, Operation
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON
from hetorch.wire.time_limit import TIME_LIMIT_HEADER

MODELS = (
    Operation(
        "GET",
        addresses.MODELS,
        "list_models",
        "List the models that the token may use.",
        "Their names and the fingerprints of their plans.",
        TOKEN_CODES,
        content={
            JSON: {
                "type": "object",
                "properties": {
                    "models": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"name": {"type": "string"}, "fingerprint": {"type": "string"}},
                            "required": ["name", "fingerprint"],
                        },
                    }
                },
                "required": ["models"],
            }
        },
    ),
    Operation(
        "GET",
        addresses.public_plan("{name}"),
        "public_plan",
        "Fetch the public plan of a model.",
        "The plan, which a client checks before it uses it.",
        MODEL_CODES,
        content={JSON: OBJECT},
        headers={TIME_LIMIT_HEADER: "Seconds that one request may take."},
    ),
)
"""The operations with which a client begins."""
