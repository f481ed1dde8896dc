"""The operations of the Open Inference Protocol, for the OpenAPI document."""

from __future__ import annotations

from hetorch.server.openapi_operations import BINARY, BODY_CODES, MODEL_CODES, OBJECT, TOKEN_CODES, Operation
from hetorch.wire.addresses import JSON, OCTETS, OPEN_INFERENCE, OPEN_INFERENCE_LIVE, OPEN_INFERENCE_READY
from hetorch.wire.codes import Code
from hetorch.wire.open_inference import HEADER_LENGTH_HEADER

_HEADER_LENGTH = {HEADER_LENGTH_HEADER: "The length of the JSON document, if bytes stand behind it."}


def _of_model(model: str) -> tuple[Operation, ...]:
    """Return the operations of a model, at its address with or without a version."""
    return (
        Operation(
            "GET",
            model,
            "model",
            "Tell the tensors and the version of a model.",
            "They are these.",
            MODEL_CODES,
            content={JSON: OBJECT},
        ),
        Operation(
            "GET",
            f"{model}/ready",
            "model_ready",
            "Tell whether a model is ready.",
            "It is.",
            MODEL_CODES,
            content={JSON: OBJECT},
        ),
        Operation(
            "POST",
            f"{model}/infer",
            "infer",
            "Compute the encrypted result of a predict request, which is the element of one tensor of BYTES.",
            "The response, as the element of one tensor of BYTES.",
            (
                *MODEL_CODES,
                *BODY_CODES,
                Code.KEYS_MISSING,
                Code.WEIGHTS_MISSING,
                Code.WORKER_LOST,
            ),
            content={JSON: OBJECT, OCTETS: BINARY},
            body={JSON: OBJECT, OCTETS: BINARY},
            optional_headers=_HEADER_LENGTH,
        ),
    )


OPEN_INFERENCE_OPERATIONS = (
    Operation(
        "GET",
        OPEN_INFERENCE,
        "server",
        "Tell the name, the version and the extensions of the server.",
        "They are these.",
        TOKEN_CODES,
        content={JSON: OBJECT},
    ),
    Operation(
        "GET",
        OPEN_INFERENCE_LIVE,
        "live",
        "Tell that the process answers.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        OPEN_INFERENCE_READY,
        "ready",
        "Tell whether the server takes predictions.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
        also={Code.NOT_READY.status: "Or it takes no predictions now."},
    ),
    *_of_model(f"{OPEN_INFERENCE}/models/{{name}}"),
    *_of_model(f"{OPEN_INFERENCE}/models/{{name}}/versions/{{version}}"),
)
"""All operations of the protocol."""
