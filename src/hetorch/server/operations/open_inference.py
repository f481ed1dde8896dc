"""The operations of the Open Inference Protocol."""

from __future__ import annotations

from hetorch.server.operations.operation import (
    BINARY,
    BODY_CODES,
    MODEL_CODES,
    OBJECT,
    TOKEN_CODES,
    Operation,
)
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, OCTETS
from hetorch.wire.codes import Code
from hetorch.wire.open_inference import HEADER_LENGTH_HEADER

OPEN_INFERENCE = (
    Operation(
        "GET",
        addresses.OPEN_INFERENCE,
        "inference_server",
        "Name the server, its version and extensions (Open Inference Protocol).",
        "The metadata of the server.",
        TOKEN_CODES,
        content={JSON: OBJECT},
    ),
    Operation(
        "GET",
        addresses.OPEN_INFERENCE_LIVE,
        "inference_live",
        "Tell that the process answers.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.OPEN_INFERENCE_READY,
        "inference_ready",
        "Tell whether the server takes predictions.",
        "It does.",
        (Code.NOT_READY,),
        content={JSON: OBJECT},
        security=(),
    ),
    *(
        operation
        for model in addresses.OPEN_INFERENCE_MODELS
        for operation in (
            Operation(
                "GET",
                model,
                "inference_model",
                "Show the tensors of a model.",
                "The metadata of the model.",
                MODEL_CODES,
                content={JSON: OBJECT},
            ),
            Operation(
                "GET",
                f"{model}/ready",
                "inference_model_ready",
                "Tell whether a model takes predictions.",
                "It does.",
                (*MODEL_CODES, Code.NOT_READY),
                content={JSON: OBJECT},
            ),
            Operation(
                "POST",
                f"{model}/infer",
                "infer",
                "Compute the encrypted result of an encrypted sample or batch, as one tensor each.",
                "The response, as base64 in JSON or, with the binary extension, as bytes behind it.",
                (*MODEL_CODES, *BODY_CODES, Code.KEYS_MISSING, Code.WEIGHTS_MISSING, Code.WORKER_LOST),
                content={JSON: OBJECT, OCTETS: BINARY},
                body={JSON: OBJECT, OCTETS: BINARY},
                optional_headers={HEADER_LENGTH_HEADER: "The length of the JSON, if bytes stand behind it."},
            ),
        )
    ),
)
"""The operations by which clients of that protocol predict."""
