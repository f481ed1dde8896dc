"""The Open Inference Protocol, spoken by tritonclient to the real server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from hetorch.plan.plan import Plan
from hetorch.server.tokens import issue, save_tokens
from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.cli.command import save_secure_plan, server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.small_plan import expected

MODEL = "small0"
X = [0.5, -0.25, 0.75, 0.1, -1.0, 0.3, 0.0, 1.0]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that speaks the protocol: its client, the headers of the token, the plan's owner and its keys."""

    triton: InferenceServerClient
    url: str
    headers: dict[str, str]
    owner: Owner
    key_id: str

    def infer(self, message: bytes, *, binary: bool = True, **options: object) -> bytes:
        tensor = InferInput("request", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([message], dtype=object))
        outputs = [InferRequestedOutput("response", binary_data=binary)]
        result: InferResult = self.triton.infer(
            MODEL, [tensor], outputs=outputs, headers=dict(self.headers), **options
        )
        element: bytes = result.as_numpy("response")[0]
        return element

    def decrypt(self, response: bytes, request: bytes) -> NDArray[np.float64]:
        plan = self.owner.plan
        ciphertexts = load_response(plan, response, request).ciphertexts
        return plan.unpack([self.owner.secret.decrypt(ciphertext) for ciphertext in ciphertexts])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    text, token = issue("platform", "hospital", [MODEL])
    save_tokens(folder / "tokens.json", [token])
    plan = save_secure_plan(folder)
    owner = make_owner(Plan.load(plan).public())
    headers = {"Authorization": f"Bearer {text}"}
    with server_process([plan], folder, "--tokens", str(folder / "tokens.json")) as (url, _):
        answer = httpx.put(
            url + addresses.keys(MODEL),
            content=owner.keys,
            headers=OCTETS | headers,
            trust_env=False,
            timeout=30,
        )
        triton = InferenceServerClient(url.removeprefix("http://"))
        yield Platform(triton, url, headers, owner, answer.json()["key_id"])
        triton.close()


def test_the_server_tells_its_health_without_a_token(platform: Platform) -> None:
    assert platform.triton.is_server_live() and platform.triton.is_server_ready()


def test_everything_else_needs_one(platform: Platform) -> None:
    assert not platform.triton.is_model_ready(MODEL)
    with pytest.raises(InferenceServerException, match="API token"):
        platform.triton.get_server_metadata()
    with pytest.raises(InferenceServerException, match="may not use"):
        platform.triton.get_model_metadata("other", headers=platform.headers)


def test_metadata_of_server_and_model(platform: Platform) -> None:
    server = platform.triton.get_server_metadata(headers=platform.headers)
    assert server["name"] == "hetorch" and "binary_tensor_data" in server["extensions"]
    model = platform.triton.get_model_metadata(MODEL, headers=platform.headers)
    assert model["inputs"] == [{"name": "request", "datatype": "BYTES", "shape": [1]}]
    assert model["versions"] == [platform.owner.plan.fingerprint]
    assert platform.triton.is_model_ready(MODEL, headers=platform.headers)


@pytest.mark.parametrize("binary", [True, False])
def test_a_prediction(platform: Platform, binary: bool) -> None:
    request = platform.owner.request(platform.key_id, X)
    element = platform.infer(request, binary=binary)
    if not binary:
        element = base64.b64decode(element)
    np.testing.assert_allclose(platform.decrypt(element, request), expected(np.array(X)), atol=1e-4)


def test_versions(platform: Platform) -> None:
    version = platform.owner.plan.fingerprint
    request = platform.owner.request(platform.key_id, X)
    assert platform.triton.is_model_ready(MODEL, version, headers=platform.headers)
    assert platform.infer(request, model_version=version)
    with pytest.raises(InferenceServerException, match="is served in the version"):
        platform.infer(request, model_version="1")


def test_errors_have_the_codes_of_the_service(platform: Platform) -> None:
    address = f"{platform.url}/v2/models/{MODEL}/infer"
    with httpx.Client(headers=platform.headers, trust_env=False, timeout=30) as http:
        unknown = platform.owner.request("ab" * 32, X)
        tensor = InferInput("request", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([unknown], dtype=object))
        body, length = InferenceServerClient.generate_request_body([tensor])
        header = {"Inference-Header-Content-Length": str(length)}
        assert http.post(address, content=body, headers=header).json()["code"] == "keys_missing"
        damaged = body[:-9] + bytes(9)
        assert http.post(address, content=damaged, headers=header).json()["code"] == "keys_missing"
        assert http.post(address, content=body).json()["code"] == "message_malformed"
        assert http.post(address, content=b"{}" * 100_000).json()["code"] == "message_malformed"
        assert http.post(address, content=b"{}").json()["code"] == "body_too_short"
        assert http.post(address, content=bytes(10_000_000)).json()["code"] == "body_too_large"
        zipped = http.post(address, content=body, headers=header | {"Content-Encoding": "gzip"})
        assert zipped.json()["code"] == "content_type_unsupported"


def test_a_damaged_message_is_refused(platform: Platform) -> None:
    request = bytearray(platform.owner.request(platform.key_id, X))
    request[-1] ^= 1
    with pytest.raises(InferenceServerException, match="checksum"):
        platform.infer(bytes(request))
