"""The messages of the Open Inference Protocol, version 2: JSON, with bytes behind it or in it as base64.

A prediction has one tensor of datatype BYTES and shape [1] each way: the predict request of `hetorch.wire.predict` in
the input "request", its response in the output "response". With the protocol's binary extension a message is a JSON
document, whose length a header tells, and behind it the tensor's bytes: a length of 4 bytes (little-endian) and the
element. In JSON alone the element is base64, since JSON has no bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hetorch.errors import WireError

HEADER_LENGTH_HEADER = "Inference-Header-Content-Length"
"""Header of a message with bytes behind its JSON document: the length of the document."""
INPUT, OUTPUT = "request", "response"
"""The names of the two tensors."""
DATATYPE, SHAPE = "BYTES", [1]
MAX_DOCUMENT_BYTES = 64 << 10
"""Most bytes of a JSON document beside the tensor's element. Raised, a request costs more before it is checked."""
MAX_MARKS = 1000
"""Most commas, brackets and colons of a JSON document: each may become an object in memory. A request has some 30."""
MAX_ID_LENGTH = 256
"""Most characters of the id that a request may bring and its response repeats."""
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request to infer: the bytes of the predict request, the id to repeat, and True if the response shall have its
    bytes behind the document."""

    message: bytes
    id: str | None
    binary: bool


def largest_infer_bytes(message: int) -> int:
    """Return the most bytes of a request to infer whose predict request has at most `message` bytes."""
    return MAX_DOCUMENT_BYTES + 4 * -(-message // 3)


def load_infer(data: bytes | bytearray, header_length: str | None) -> InferRequest:
    """Parse a request to infer; WireError unless it has the one tensor.

    Args:
        data: the body.
        header_length: the value of HEADER_LENGTH_HEADER; None if there is none, and the document is the whole body.
    """
    document, rest = _split(data, header_length)
    inputs = _list(document, "inputs")
    if len(inputs) != 1 or inputs[0].get("name") != INPUT:
        raise WireError(
            f"a request has one input, {INPUT!r}; got {[str(i.get('name'))[:40] for i in inputs[:4]]}"
        )
    tensor = inputs[0]
    if tensor.get("datatype") != DATATYPE or tensor.get("shape") not in (SHAPE, [1, 1]):
        raise WireError(
            f"the input {INPUT!r} has the datatype {DATATYPE} and the shape {SHAPE}, got "
            f"{str(tensor.get('datatype'))[:40]!r} and {str(tensor.get('shape'))[:40]}"
        )
    size = _parameters(tensor).get("binary_data_size")
    message = _in_document(tensor, rest) if size is None else _behind(size, rest)
    name = document.get("id")
    if not isinstance(name, str | None) or len(name or "") > MAX_ID_LENGTH:
        raise WireError(f"the id of a request is text of at most {MAX_ID_LENGTH} characters")
    return InferRequest(message, name, _wants_binary(document))


def dump_infer(model: str, version: str, request: InferRequest, message: bytes) -> tuple[bytes, int | None]:
    """Encode the response to a request; return the body, and the length of its document if bytes are behind it."""
    tensor: dict[str, object] = {"name": OUTPUT, "datatype": DATATYPE, "shape": SHAPE}
    document = {"model_name": model, "model_version": version, "outputs": [tensor]}
    if request.id is not None:
        document["id"] = request.id
    if not request.binary:
        tensor["parameters"] = {"content_type": "base64"}
        tensor["data"] = [base64.b64encode(message).decode()]
        return json.dumps(document).encode(), None
    element = _LENGTH.pack(len(message)) + message
    tensor["parameters"] = {"binary_data_size": len(element)}
    head = json.dumps(document).encode()
    return head + element, len(head)


def dump_model(name: str, versions: Sequence[str]) -> bytes:
    """Encode the metadata of a model."""
    document = {
        "name": name,
        "versions": list(versions),
        "platform": "hetorch",
        "inputs": [{"name": INPUT, "datatype": DATATYPE, "shape": SHAPE}],
        "outputs": [{"name": OUTPUT, "datatype": DATATYPE, "shape": SHAPE}],
    }
    return json.dumps(document).encode()


def dump_server(version: str) -> bytes:
    """Encode the metadata of the server."""
    return json.dumps({"name": "hetorch", "version": version, "extensions": ["binary_tensor_data"]}).encode()


def _split(data: bytes | bytearray, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """Return the document and the bytes behind it."""
    end = len(data)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit()) or len(header_length) > 9:
            raise WireError(f"{HEADER_LENGTH_HEADER} is not a number: {header_length[:40]!r}")
        end = int(header_length)
        if end > min(len(data), MAX_DOCUMENT_BYTES):
            raise WireError(
                f"{HEADER_LENGTH_HEADER} says {end} bytes, more than there are or than a document may have"
            )
    text = data[:end]
    if sum(text.count(mark) for mark in (b",", b"[", b"{", b":")) > MAX_MARKS:
        raise WireError("the JSON document of the request has far more parts than a request has")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the request has no JSON document: {error}") from None
    if not isinstance(document, dict):
        raise WireError("the JSON document of a request is an object")
    return document, memoryview(data)[end:]


def _list(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = document.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WireError(f"{name!r} of a request is a list of objects")
    return entries


def _parameters(entry: dict[str, Any]) -> dict[str, Any]:
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise WireError("'parameters' is an object")
    return parameters


def _in_document(tensor: dict[str, Any], rest: memoryview) -> bytes:
    """Return the element that a document holds as base64."""
    data = tensor.get("data")
    if len(rest) or not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], str):
        raise WireError(
            f"the input {INPUT!r} has one element: base64 in 'data', or bytes behind the document, whose length is in "
            "'parameters' as 'binary_data_size'"
        )
    try:
        return base64.b64decode(data[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"the element of the input {INPUT!r} is not base64: {error}") from None


def _behind(size: object, rest: memoryview) -> bytes:
    """Return the element behind a document."""
    if type(size) is not int or size != len(rest) or size < _LENGTH.size:
        raise WireError(
            f"'binary_data_size' says {str(size)[:40]}, there are {len(rest)} bytes behind the document"
        )
    (length,) = _LENGTH.unpack_from(rest)
    if length != size - _LENGTH.size:
        raise WireError(f"the element says that it has {length} bytes, there are {size - _LENGTH.size}")
    return bytes(rest[_LENGTH.size :])


def _wants_binary(document: dict[str, Any]) -> bool:
    outputs = _list(document, "outputs") if "outputs" in document else []
    if any(entry.get("name") != OUTPUT for entry in outputs) or len(outputs) > 1:
        raise WireError(f"a response has one output, {OUTPUT!r}")
    default = _parameters(document).get("binary_data_output", False)
    return any(_parameters(entry).get("binary_data", default) is True for entry in outputs or [{}])
