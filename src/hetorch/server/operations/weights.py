"""The operations on encrypted weights."""

from __future__ import annotations

from hetorch.server.operations.operation import BINARY, BODY_CODES, KEY_ID_ANSWER, MODEL_CODES, Operation
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, OCTETS
from hetorch.wire.codes import Code

WEIGHTS = (
    Operation(
        "PUT",
        addresses.weights("{name}"),
        "put_weights",
        "Upload encrypted weights, in place of those that the server has for the same keys.",
        "The id of the keys that the weights belong to.",
        (*MODEL_CODES, *BODY_CODES, Code.WEIGHTS_IN_CLEAR, Code.QUOTA_EXCEEDED),
        content={JSON: KEY_ID_ANSWER},
        body={OCTETS: BINARY},
    ),
    Operation(
        "GET",
        addresses.stored_weights("{name}", "{key_id}"),
        "find_weights",
        "Ask whether the server has encrypted weights for keys.",
        "It has them.",
        (*MODEL_CODES, Code.KEY_ID_MALFORMED, Code.WEIGHTS_MISSING, Code.WEIGHTS_IN_CLEAR),
        content={JSON: KEY_ID_ANSWER},
        statuses={Code.WEIGHTS_MISSING: 404},
    ),
)
"""The operations on weights that the server must not see."""
