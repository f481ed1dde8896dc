"""The OpenAPI document is valid, and has every route, every code and the headers of real answers."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31
from starlette.routing import Route

from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.openapi import document
from hetorch.server.operations.table import OPERATIONS
from hetorch.serving.models import ServedModel
from hetorch.wire.codes import Code
from tests.server.conftest import OCTETS, Owner


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def test_it_is_valid(described: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(OPENAPI_31).validate(described)


def test_a_document_that_is_not_valid_is_found(described: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(OPENAPI_31).validate(described | {"paths": {"no slash": {}}})


def test_it_has_every_route_and_no_other(described: dict[str, Any], served: ServedModel) -> None:
    routes = {
        (route.path, method, route.endpoint.__name__)
        for route in insecure_app_beside_secrets({"small": served}).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    operations = {(operation.path, operation.method, operation.name) for operation in OPERATIONS}
    assert operations == routes, "give each route its Operation in hetorch/server/operations"
    assert {path for path, _, _ in routes} == set(described["paths"])


def test_it_has_every_code(described: dict[str, Any]) -> None:
    told = {
        (int(status), word)
        for operations in described["paths"].values()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        for word in answer["description"].split("`")[1::2]
    }
    assert told >= {(code.status, code.value) for code in Code}


def operation_of(described: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][path][method.lower()]
    return found


def check(described: dict[str, Any], method: str, path: str, answer: httpx.Response) -> None:
    """Check the status, the media type, the headers and the JSON of an answer against the document."""
    told = operation_of(described, method, path)["responses"][str(answer.status_code)]
    assert set(told["headers"]) <= {name.title() for name in answer.headers} | set(answer.headers)
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = told["content"][media_type]["schema"]
    if media_type == "application/json":
        components = {"components": described["components"]}
        jsonschema.Draft202012Validator(schema | components).validate(answer.json())
        if answer.status_code >= 400:
            assert f"`{answer.json()['code']}`" in told["description"]


def test_answers_are_as_described(
    http: httpx.Client, described: dict[str, Any], owner: Owner, key_id: str
) -> None:
    served: Any = http.get("/v1/openapi.json").json()
    assert served == described
    model, unknown = "/v1/models/{name}", "ab" * 32
    headers = OCTETS | {"Hetorch-Key-Id": key_id}
    for method, path, answer in (
        ("GET", "/v1/health/live", http.get("/v1/health/live")),
        ("GET", "/v1/health/ready", http.get("/v1/health/ready")),
        ("GET", "/metrics", http.get("/metrics")),
        ("GET", "/v1/status", http.get("/v1/status")),
        ("GET", "/v2", http.get("/v2")),
        ("GET", "/v2/health/live", http.get("/v2/health/live")),
        ("GET", "/v2/health/ready", http.get("/v2/health/ready")),
        ("GET", "/v2/models/{name}", http.get("/v2/models/small")),
        ("GET", "/v2/models/{name}/ready", http.get("/v2/models/none/ready")),
        ("GET", "/v2/models/{name}/versions/{version}", http.get("/v2/models/small/versions/1")),
        ("POST", "/v2/models/{name}/infer", http.post("/v2/models/small/infer", json={})),
        ("GET", "/v1/models", http.get("/v1/models")),
        ("GET", model, http.get("/v1/models/small")),
        ("GET", model, http.get("/v1/models/none")),
        ("GET", f"{model}/keys/{{key_id}}", http.get(f"/v1/models/small/keys/{key_id}")),
        ("GET", f"{model}/keys/{{key_id}}", http.get(f"/v1/models/small/keys/{unknown}")),
        ("GET", f"{model}/weights/{{key_id}}", http.get(f"/v1/models/small/weights/{unknown}")),
        ("PUT", f"{model}/keys", http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS)),
        ("PUT", f"{model}/keys", http.put("/v1/models/small/keys", content=b"x", headers=OCTETS)),
        ("PUT", f"{model}/weights", http.put("/v1/models/small/weights", content=b"x", headers=OCTETS)),
        (
            "POST",
            f"{model}/predict",
            http.post("/v1/models/small/predict", content=owner.request(key_id), headers=headers),
        ),
        ("POST", f"{model}/predict", http.post("/v1/models/small/predict", content=b"x", headers=headers)),
    ):
        check(described, method, path, answer)
