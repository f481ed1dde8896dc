"""Requests that schemathesis makes from the OpenAPI document: each answer is one that the document tells, and none is a
failure of the server."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from hetorch.server.openapi import document
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel
from tests.server.live import live

SCHEMA = schemathesis.openapi.from_dict(document())
UNFIT = [
    "positive_data_acceptance",  # a body within the schema is any bytes, which are no ciphertexts
    "negative_data_rejection",  # query parameters that nobody knows are ignored
    "ignored_auth",  # this server has no tokens
]
"""Checks of schemathesis that do not hold for this service, and why."""
SHORT, LONG = 15, 700
"""Examples for each operation in a short run and in a long one."""


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    with live({"small": served}, Settings(queue=64)) as address:
        yield address


def ask(case: Any, url: str) -> None:
    checks = CHECKS.get_by_names([name for name in CHECKS.get_all_names() if name not in UNFIT])
    case.call_and_validate(base_url=url, checks=checks)


quick = settings(max_examples=SHORT, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@SCHEMA.parametrize()
@quick
def test_answers_are_those_of_the_document(case: Any, url: str) -> None:
    ask(case, url)


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(quick, max_examples=LONG)
def test_answers_to_many_requests_are_those_of_the_document(case: Any, url: str) -> None:
    ask(case, url)


def test_an_answer_that_the_document_lacks_is_found(url: str) -> None:
    """The control: an undocumented status fails."""
    described = document()
    del described["paths"]["/v1/models/{name}"]["get"]["responses"]["404"]
    operation = schemathesis.openapi.from_dict(described)["/v1/models/{name}"]["GET"]
    with pytest.raises(FailureGroup) as caught:
        ask(operation.Case(path_parameters={"name": "unknown"}), url)
    assert "Undocumented status code" in "".join(traceback.format_exception(caught.value))
