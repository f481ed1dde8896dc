"""`hetorch top`: the state of a server in a terminal, with an operator's token."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hetorch.cli.status_view import status_view
from hetorch.server.tokens import issue, save_tokens
from hetorch.wire.status import LogLine
from tests.cli.command import hetorch, refusal, save_secure_plan, server_process
from tests.wire.test_status import STATUS


def test_the_state_of_a_server_is_printed_for_operators(tmp_path: Path) -> None:
    text, token = issue("operator", "us", operator=True)
    other, second = issue("client", "them")
    save_tokens(tmp_path / "tokens.json", [token, second])
    (tmp_path / "operator.token").write_text(text)
    (tmp_path / "client.token").write_text(other)
    plan = save_secure_plan(tmp_path)
    with server_process([plan], tmp_path, "--tokens", str(tmp_path / "tokens.json")) as (url, _):
        printed = hetorch("top", url, "--once", "--token-file", tmp_path / "operator.token").stdout
        assert "ready" in printed and "small0" in printed and "\x1b" not in printed
        status = json.loads(hetorch("top", url, "--json", "--token-file", tmp_path / "operator.token").stdout)
        assert status["models"][0]["name"] == "small0" and len(status["workers"]) == 2
        assert "--operator" in refusal("top", url, "--once", "--token-file", tmp_path / "client.token")
        assert "token" in refusal("top", url, "--once")
    assert "token" not in (tmp_path / "server.log").read_text().replace("--tokens", "")


@pytest.mark.parametrize("width", [200, 60])
def test_texts_of_the_server_are_no_markup(width: int) -> None:
    line = LogLine("t", "warning", "[red]not[/red] [/] markup", None)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(status_view(replace(STATUS, errors=(line,)), "http://x"))
    text = console.export_text()
    assert "[red]not[/red]" in text
    for part in ("small", "not ready: the queue is full", "1.5 GB", "busy", "new thing"):
        assert part in text
