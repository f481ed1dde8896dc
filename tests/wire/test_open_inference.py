"""The messages of the Open Inference Protocol against those that tritonclient writes and reads, and bad ones."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from hetorch.errors import WireError
from hetorch.wire.open_inference import MAX_MARKS, InferRequest, dump_infer, load_infer

MESSAGE = bytes(range(256))


def tritons(message: bytes, outputs: list[InferRequestedOutput] | None = None) -> tuple[bytes, str | None]:
    """Return the body and the header that tritonclient sends for a message."""
    tensor = InferInput("request", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([message], dtype=object))
    body, length = InferenceServerClient.generate_request_body([tensor], outputs=outputs)
    return body, None if length is None else str(length)


@given(st.binary(max_size=300))
def test_what_tritonclient_sends_is_read(message: bytes) -> None:
    assert load_infer(*tritons(message)) == InferRequest(message, None, binary=True)
    as_text = [InferRequestedOutput("response", binary_data=False)]
    assert load_infer(*tritons(message, as_text)) == InferRequest(message, None, binary=False)


@given(st.binary(max_size=300))
def test_tritonclient_reads_the_response(message: bytes) -> None:
    body, length = dump_infer("digits", "1", InferRequest(b"", "a", binary=True), message)
    result = InferResult.from_response_body(body, header_length=length)
    assert result.as_numpy("response").tolist() == [message]
    assert result.get_response()["id"] == "a"
    body, length = dump_infer("digits", "1", InferRequest(b"", None, binary=False), message)
    assert length is None
    (element,) = InferResult.from_response_body(body).as_numpy("response")
    assert base64.b64decode(element) == message


def document(**changes: Any) -> dict[str, Any]:
    tensor = {
        "name": "request",
        "shape": [1],
        "datatype": "BYTES",
        "data": [base64.b64encode(MESSAGE).decode()],
    }
    return {"inputs": [tensor | changes]}


def test_base64_in_the_document() -> None:
    text = json.dumps(document() | {"id": "x"}).encode()
    assert load_infer(text, None) == InferRequest(MESSAGE, "x", binary=False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"inputs": 1}',
        b'{"inputs": []}',
        b'{"inputs": [1]}',
        b"[" * 500,
        b"[" * (MAX_MARKS + 1),
        b"\xff" + json.dumps(document()).encode(),
        json.dumps({"inputs": document()["inputs"] * 2}).encode(),
        json.dumps(document(name="x")).encode(),
        json.dumps(document(datatype="FP32")).encode(),
        json.dumps(document(shape=[2])).encode(),
        json.dumps(document(data=["a", "b"])).encode(),
        json.dumps(document(data=["*"])).encode(),
        json.dumps(document(data=[1])).encode(),
        json.dumps(document(data=["é"])).encode(),
        json.dumps(document(parameters=[])).encode(),
        json.dumps(document(parameters={"binary_data_size": 4})).encode(),
        json.dumps(document() | {"id": 1}).encode(),
        json.dumps(document() | {"id": "x" * 1000}).encode(),
        json.dumps(document() | {"outputs": [{"name": "x"}]}).encode(),
        json.dumps(document() | {"parameters": "x"}).encode(),
    ],
)
def test_a_bad_document_is_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        load_infer(text, None)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "٣", "9" * 40, "100000", "0"])
def test_a_bad_length_of_the_document_is_refused(length: str) -> None:
    body, _ = tritons(MESSAGE)
    with pytest.raises(WireError):
        load_infer(body, length)


@pytest.mark.parametrize("size", [0, 3, 259, 261, 1 << 70, True, 260.0, "260", None])
def test_a_size_that_is_not_that_of_the_bytes_is_refused(size: object) -> None:
    text = json.dumps(document(parameters={"binary_data_size": size})).encode()
    with pytest.raises(WireError):
        load_infer(text + struct.pack("<I", len(MESSAGE)) + MESSAGE, str(len(text)))


@pytest.mark.fuzz
@given(st.data())
def test_mutated_requests_are_read_or_refused(data: st.DataObject) -> None:
    body, length = tritons(MESSAGE)
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 5))):
        index = data.draw(st.integers(0, len(changed) - 1))
        changed[index : index + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not changed:
            break
    with contextlib.suppress(WireError):
        load_infer(changed, data.draw(st.sampled_from([length, None, "10"])))
