"""The refusals of an aggregator of training together, as JSON like those of the service (`hetorch.wire.answers`)."""

from __future__ import annotations

import json
from enum import StrEnum


class RoundCode(StrEnum):
    """A reason for which an aggregator refuses a message that is well formed; the words are on the wire."""

    VOID = "round_void"
    """The round ended without a sum."""
    PASSED = "round_passed"
    """The round is over, or went on without this party."""
    NOT_BEGUN = "round_not_begun"
    """The step is one that the round has not come to."""


def dump_round_error(code: RoundCode, sentence: str) -> bytes:
    """Encode `{"error": sentence, "code": code}`; `hetorch.wire.answers.load_error` parses it."""
    return json.dumps({"error": sentence, "code": code.value}).encode()
