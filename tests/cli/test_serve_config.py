"""`hetorch serve --config FILE --check-config`: the effective settings and their sources, or the mistake."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import hetorch, refusal, save_secure_plan


def test_the_settings_are_checked_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = save_secure_plan(tmp_path)
    file = tmp_path / "server.toml"
    file.write_text(f'plans = ["{plan.name}"]\nworkers = 3\nkey_memory = "2 GB"\nport = 0\n')
    monkeypatch.setenv("HETORCH_SERVE_WORKERS", "4")
    printed = hetorch("serve", "--config", file, "--queue", "5", "--check-config").stdout
    values = tomllib.loads(printed)
    assert (values["plans"], values["workers"], values["queue"]) == ([str(plan)], 4, 5)
    assert values["key_memory"] == "2 GB" and f"# {file}" in printed
    report = json.loads(hetorch("serve", "--config", file, "--check-config", "--json").stdout)
    assert report["workers"] == {"value": "4", "source": "HETORCH_SERVE_WORKERS"}
    assert report["tokens"] == {"value": None, "source": "default"}


def test_what_would_stop_the_server_fails_the_check(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('plans = ["none.hetorch"]\nhost = "0.0.0.0"\n')
    assert "has no TLS" in refusal("serve", "--config", file, "--check-config")
    assert f"there is no plan folder {tmp_path / 'none.hetorch'}" in refusal(
        "serve", "--config", file, "--host", "127.0.0.1", "--check-config"
    )
    file.write_text("wokers = 3\n")
    assert "'wokers'; did you mean 'workers'?" in refusal("serve", "--config", file, "--check-config")
    assert "such as" in hetorch("serve", "x", "--key-memory", "4", code=2).stderr
