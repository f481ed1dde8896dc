"""The operations on evaluation keys."""

from __future__ import annotations

from hetorch.server.operations.operation import (
    BINARY,
    BODY_CODES,
    KEY_ID_ANSWER,
    MODEL_CODES,
    OBJECT,
    Operation,
)
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, OCTETS
from hetorch.wire.codes import Code

KEYS = (
    Operation(
        "PUT",
        addresses.keys("{name}"),
        "put_keys",
        "Upload evaluation keys; the same upload again changes nothing.",
        "The id of the keys.",
        (*MODEL_CODES, *BODY_CODES, Code.QUOTA_EXCEEDED),
        content={JSON: KEY_ID_ANSWER},
        body={OCTETS: BINARY},
    ),
    Operation(
        "GET",
        addresses.stored_keys("{name}", "{key_id}"),
        "find_keys",
        "Ask whether the server has evaluation keys.",
        "It has them.",
        (*MODEL_CODES, Code.KEY_ID_MALFORMED, Code.KEYS_MISSING),
        content={JSON: KEY_ID_ANSWER},
    ),
    Operation(
        "GET",
        addresses.keys("{name}"),
        "list_keys",
        "List the evaluation keys of the token's tenant.",
        "The most recently used ones, the last of them last.",
        MODEL_CODES,
        content={JSON: OBJECT},
    ),
    Operation(
        "DELETE",
        addresses.stored_keys("{name}", "{key_id}"),
        "delete_keys",
        "Delete evaluation keys, and the encrypted weights that belong to them.",
        "They are deleted.",
        (*MODEL_CODES, Code.KEY_ID_MALFORMED, Code.KEYS_MISSING),
        status=204,
    ),
)
"""The operations on the evaluation keys of a tenant."""
