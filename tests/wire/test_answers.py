"""JSON answers from a server that is not trusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import WireError
from hetorch.wire.answers import (
    MAX_ANSWER_BYTES,
    MAX_SENTENCE,
    ModelEntry,
    dump_error,
    dump_key_id,
    dump_models,
    load_error,
    load_key_id,
    load_models,
)

FINGERPRINT = "0f" * 32


def test_round_trips() -> None:
    models = [ModelEntry("digits", FINGERPRINT), ModelEntry("a.b-c_2", "ab" * 32)]
    assert list(load_models(dump_models(models))) == models
    assert load_key_id(dump_key_id(FINGERPRINT)) == FINGERPRINT
    assert load_error(dump_error("no such model", "id")) == "no such model"


def test_an_error_cannot_drive_the_terminal_or_flood_it() -> None:
    sentence = load_error(dump_error("\x1b[2Jred\nline\r" + "x" * 10_000))
    assert sentence is not None
    assert "\x1b" not in sentence
    assert "\n" not in sentence
    assert len(sentence) == MAX_SENTENCE


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
