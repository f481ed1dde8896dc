"""JSON answers from a server that is not trusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import WireError
from hetorch.wire.answers import (
    ErrorAnswer,
    ModelEntry,
    dump_error,
    dump_key_id,
    dump_models,
    load_error,
    load_key_id,
    load_models,
)
from hetorch.wire.codes import CODE, Code
from hetorch.wire.limits import MAX_ANSWER_BYTES, MAX_SENTENCE_LENGTH

FINGERPRINT = "0f" * 32


def test_round_trips() -> None:
    models = [ModelEntry("digits", FINGERPRINT), ModelEntry("a.b-c_2", "ab" * 32)]
    assert list(load_models(dump_models(models))) == models
    assert load_key_id(dump_key_id(FINGERPRINT)) == FINGERPRINT
    answer = dump_error(Code.MODEL_UNKNOWN, "no such model", "id")
    assert json.loads(answer) == {"error": "no such model", "code": "model_unknown", "request_id": "id"}
    assert load_error(answer) == ErrorAnswer("no such model", "model_unknown")


def test_an_error_cannot_drive_the_terminal_or_flood_it() -> None:
    error = load_error(dump_error(Code.INTERNAL, "\x1b[2Jred\nline\r" + "x" * 10_000))
    assert error is not None
    assert "\x1b" not in error.sentence
    assert "\n" not in error.sentence
    assert len(error.sentence) == MAX_SENTENCE_LENGTH


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("keys_missing", "keys_missing"),
        ("of_a_later_version", "of_a_later_version"),
        *((wrong, None) for wrong in ("", "Keys", "a b", "x\n", "x" * 65, "\x1b[2J", 404, None, ["busy"])),
    ],
)
def test_a_code_that_cannot_be_one_is_none(code: object, read: str | None) -> None:
    assert load_error(json.dumps({"error": "no", "code": code}).encode()) == ErrorAnswer("no", read)
    assert load_error(b'{"error": "no"}') == ErrorAnswer("no", None)


def test_codes_are_stable_words_of_client_and_server_errors() -> None:
    assert all(CODE.fullmatch(code) and code.value == code.name.lower() for code in Code)
    assert all(400 <= code.status < 600 and code.meaning.endswith(".") for code in Code)
    # Known answers: a code that leaves this list or changes its status breaks clients.
    assert {code.value: code.status for code in Code} == {
        "no_such_address": 404,
        "request_ambiguous": 400,
        "method_not_allowed": 405,
        "unauthorised": 401,
        "forbidden": 403,
        "model_unknown": 404,
        "key_id_malformed": 400,
        "keys_missing": 404,
        "weights_missing": 409,
        "weights_in_clear": 409,
        "content_type_unsupported": 415,
        "content_length_malformed": 400,
        "body_too_large": 413,
        "body_too_short": 400,
        "body_incomplete": 400,
        "body_too_slow": 408,
        "message_malformed": 400,
        "other_tenant": 409,
        "other_model": 409,
        "other_version": 409,
        "other_parameters": 409,
        "other_keys": 409,
        "quota_exceeded": 403,
        "upload_offset": 409,
        "upload_unknown": 404,
        "rate_exceeded": 429,
        "busy": 503,
        "not_ready": 503,
        "timeout": 504,
        "job_unknown": 404,
        "job_unfinished": 409,
        "worker_lost": 500,
        "internal": 500,
    }


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b'{"error": 5}', b"{}", b"[" * 100_000, b"x" * MAX_ANSWER_BYTES * 2]
)
def test_what_holds_no_error_gives_none(data: bytes) -> None:
    assert load_error(data) is None


@pytest.mark.parametrize("key_id", ["", "0F" * 32, "0f" * 31, "zz" * 32, 5, None])
def test_a_key_id_has_64_hex_digits(key_id: object) -> None:
    with pytest.raises(WireError, match="64 hex digits"):
        load_key_id(json.dumps({"key_id": key_id}).encode())


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "a b", "x" * 129, 7, None])
def test_a_model_name_is_fit_for_an_address(name: object) -> None:
    with pytest.raises(WireError, match="valid name"):
        load_models(json.dumps({"models": [{"name": name, "fingerprint": FINGERPRINT}]}).encode())


def test_models_are_bounded() -> None:
    entries = [{"name": f"m{i}", "fingerprint": FINGERPRINT} for i in range(257)]
    with pytest.raises(WireError, match="at most 256"):
        load_models(json.dumps({"models": entries}).encode())


@pytest.mark.fuzz
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda x: json.dumps({"models": x}).encode()
    )
)
def test_any_answer_is_read_or_refused(data: bytes) -> None:
    try:
        models = load_models(data)
    except WireError:
        return
    assert all(isinstance(m, ModelEntry) for m in models)
