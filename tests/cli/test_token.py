"""`hetorch token`, and what `hetorch serve` refuses, allows and prints when others can reach it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from hetorch.errors import InputError
from hetorch.server import tokens
from hetorch.server.access import TokenFile
from hetorch.server.exposure import check_exposure
from hetorch.server.networks import parse_proxies
from hetorch.server.run import bind
from hetorch.server.settings import Settings
from hetorch.server.tokens import load_tokens
from tests.cli.command import hetorch, refusal, save_secure_plan, server_process
from tests.cli.in_process import invoke
from tests.server.audit_lines import audit_lines


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    scope = ("--tenant", "hospital", "--model", "small", "--model", "other", "--days", "2")
    text = invoke("token", "add", file, "ward", *scope).stdout.strip()
    assert text.startswith("hetorch_") and text not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    bank = json.loads(invoke("token", "add", file, "bank", "--operator", "--json").stdout)
    assert (bank["name"], bank["tenant"], bank["expires"]) == ("bank", "bank", None)
    assert bank["token"] != text
    shown = invoke("token", "list", file)
    assert "ward: tenant hospital, other, small, made " in shown.stdout
    assert "bank: tenant bank, all models, operator, made " in shown.stdout
    entries = json.loads(invoke("token", "list", file, "--json").stdout)["tokens"]
    assert [(entry["name"], entry["models"], entry["expired"]) for entry in entries] == [
        ("ward", ["other", "small"], False),
        ("bank", None, False),
    ]
    assert "has a token 'ward' already" in invoke("token", "add", file, "ward", code=1).stderr
    assert json.loads(invoke("token", "revoke", file, "ward", "--json").stdout) == {"revoked": "ward"}
    assert "has no token 'ward'" in invoke("token", "revoke", file, "ward", code=1).stderr
    assert "ward" not in invoke("token", "list", file).stdout
    assert "is not the name of a token" in invoke("token", "add", file, "a b", code=1).stderr
    for verb in (("list",), ("revoke", "x")):
        assert "cannot read the tokens" in invoke("token", verb[0], tmp_path / "no", *verb[1:], code=1).stderr
    assert invoke("token", "add", tmp_path / "no" / "t", "a", code=1).stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_nobody_serves_everyone_by_mistake(host: str) -> None:
    guarded, proxied = Settings(tokens=Path("t")), Settings(tokens=Path("t"), trusted_proxies=("10.0.0.1",))
    with bind(host, 0) as bound:
        for settings, tls in ((Settings(), False), (Settings(), True), (guarded, False)):
            with pytest.raises(InputError, match="others can reach") as caught:
                check_exposure(bound, settings, tls=tls)
            missing = ("no TLS" in str(caught.value), "no API tokens" in str(caught.value))
            assert missing == (not tls, settings.tokens is None)
        with pytest.raises(InputError, match="no API tokens"):
            check_exposure(bound, Settings(trusted_proxies=("10.0.0.1",)), tls=False)
        check_exposure(bound, guarded, tls=True)
        check_exposure(bound, proxied, tls=False)
        check_exposure(bound, Settings(insecure=True), tls=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_this_machine_is_served_without_tokens(host: str) -> None:
    with bind(host, 0) as bound:
        check_exposure(bound, Settings(), tls=False)


def test_proxies_are_addresses_or_networks() -> None:
    texts = ["10.0.0.5", "10.1.0.0/16", "::1"]
    assert [str(network) for network in parse_proxies(texts)] == ["10.0.0.5/32", "10.1.0.0/16", "::1/128"]
    for wrong in ("*", "proxy.example", "10.0.0.5/16"):
        with pytest.raises(InputError, match="is not the address or network of a proxy"):
            parse_proxies([wrong])
    for everyone in ("0.0.0.0/0", "::/0"):
        with pytest.raises(InputError, match="anyone would be a trusted proxy"):
            parse_proxies([everyone])


def test_a_token_goes_to_a_private_file(tmp_path: Path) -> None:
    """A redirection of the shell makes a file that others can read."""
    file, output = tmp_path / "tokens.json", tmp_path / "ward.token"
    result = invoke("token", "add", file, "ward", "-o", output)
    text = output.read_text().strip()
    assert output.stat().st_mode & 0o777 == 0o600
    assert load_tokens(file)[0].sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert text not in result.stdout + result.stderr
    printed = invoke("token", "add", file, "bank", "-o", output, "--json").stdout
    assert output.read_text().strip() not in printed and json.loads(printed)["path"] == str(output)
    assert "it is a folder" in invoke("token", "add", file, "more", "-o", tmp_path, code=1).stderr
    assert [token.name for token in load_tokens(file)] == ["ward", "bank"]


def test_revoking_reaches_a_server_that_reads_the_file_by_another_name(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "tokens.json", tmp_path / "link.json"
    real.parent.mkdir()
    link.symlink_to(real)
    text = invoke("token", "add", link, "ward").stdout.strip()
    server = TokenFile(real)
    assert server.find(text) is not None
    invoke("token", "revoke", link, "ward")
    assert server.find(text) is None and link.is_symlink()


def test_a_folder_that_another_process_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LOCK_SECONDS", 0.1)
    file = tmp_path / "tokens.json"
    with tokens.editing(file):
        assert "another process holds the folder" in invoke("token", "add", file, "ward", code=1).stderr
    assert not file.exists()


def test_serve_says_what_is_missing(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    open_host = ("--host", "0.0.0.0", "--port", "0")
    assert "has no TLS (--tls-cert and --tls-key" in refusal("serve", plan, *open_host)
    assert "cannot read the tokens" in refusal("serve", plan, "--port", "0", "--tokens", tmp_path / "none")
    assert "add --tls-cert" in refusal("serve", plan, "--port", "0", "--tls-key", tmp_path / "none")
    assert "cannot read " in refusal("serve", plan, "--port", "0", "--tls-cert", tmp_path / "none")
    assert "cannot be used" in refusal("serve", plan, "--port", "0", "--tls-cert", plan / "manifest.json")
    assert "it is a folder; name a file" in refusal("serve", plan, "--port", "0", "--audit-log", tmp_path)
    with server_process([plan], tmp_path, "--host", "0.0.0.0", "--insecure") as (address, _):
        port = httpx.URL(address).port
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).status_code == 200


def test_only_trusted_proxies_tell_the_address_of_a_client(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    file = tmp_path / "tokens.json"
    text = hetorch("token", "add", file, "ward").stdout.strip()
    headers = {"Authorization": f"Bearer {text}", "X-Forwarded-For": "198.51.100.7"}
    for proxies, seen in (("127.0.0.1", "198.51.100.7"), ("10.0.0.0/8", "127.0.0.1"), ("", "127.0.0.1")):
        audit = tmp_path / f"audit-{proxies.replace('/', '-')}"
        options = ("--tokens", str(file), "--audit-log", str(audit), "--trusted-proxies", proxies)
        with server_process([plan], tmp_path, *options) as (address, _):
            answer = httpx.get(f"{address}/v1/models", headers=headers, trust_env=False)
            assert answer.status_code == 200, answer.text
            (line,) = audit_lines(audit, 1)
        assert (line["address"], line["token"]) == (seen, "ward")
        assert text not in audit.read_text() + (tmp_path / "server.log").read_text()
