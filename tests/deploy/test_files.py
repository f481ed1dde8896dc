"""The files of deploy/: they agree with the server's limits, addresses and settings, and run it without privileges."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from hetorch.server.connections import RESERVED_DESCRIPTORS
from hetorch.server.settings import CONNECTIONS, SHUTDOWN_SECONDS
from hetorch.wire import addresses
from hetorch.wire.limits import REQUEST_SECONDS
from tests.cli.command import save_secure_plan, server_process

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UVICORN_KEEP_ALIVE = 5
"""Seconds after which uvicorn closes an idle connection, as its documentation says."""


def number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    assert match is not None, pattern
    return float(match[1])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "hetorch.service"
    text = (DEPLOY / "hetorch.service").read_text()
    unit.write_text(text.replace("/opt/hetorch/bin/hetorch", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout  # exposure is at most 2.0 of 10


def test_the_unit_has_the_limits_of_the_server() -> None:
    text = (DEPLOY / "hetorch.service").read_text()
    assert number(r"TimeoutStopSec=(\d+)", text) > SHUTDOWN_SECONDS
    assert number(r"LimitNOFILE=(\d+)", text) >= CONNECTIONS + RESERVED_DESCRIPTORS


def test_nginx_waits_longer_than_the_server() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    assert number(r"proxy_read_timeout (\d+)s", text) > REQUEST_SECONDS
    assert number(r"keepalive_timeout (\d+)s", text) < UVICORN_KEEP_ALIVE


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, their lines joined."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [
        (line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line and not line.startswith("#")
    ]


def test_the_image_has_no_privileges_no_compiler_and_a_health_check() -> None:
    steps = instructions((DEPLOY / "Dockerfile").read_text())
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    final = steps[last:]
    names = [name for name, _ in final]
    assert set(names) <= {
        *("FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL"),
        *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dict(final)["USER"])
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in ("RUN", "COPY"))
    assert "HEALTHCHECK" in names and "apt-get" not in str(final)
    assert dict(final)["ENTRYPOINT"] == '["hetorch"]'


def test_the_image_copies_what_its_context_has() -> None:
    allowed = [
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    for path in allowed:
        assert (ROOT / path).exists(), path
    copied = [
        rest.split()[0] for name, rest in instructions((DEPLOY / "Dockerfile").read_text()) if name == "COPY"
    ]
    assert copied == [".", "deploy/health.py"]
    assert "deploy/health.py" in allowed and not any(fnmatch("deploy/server.toml", path) for path in allowed)


def test_compose_gives_the_server_no_privileges() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    server = compose["services"]["hetorch"]
    assert server["read_only"] is True and server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"] and "ports" not in server
    assert int(server["stop_grace_period"].removesuffix("s")) > SHUTDOWN_SECONDS
    assert server["ulimits"]["nofile"] >= CONNECTIONS + RESERVED_DESCRIPTORS
    (subnet,) = compose["networks"]["inside"]["ipam"]["config"]
    assert server["environment"]["HETORCH_SERVE_TRUSTED_PROXIES"] == subnet["subnet"]
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"]


def documents() -> dict[str, dict[str, Any]]:
    """Return the objects of the manifest by kind; of the claims the last one."""
    objects = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    assert all({"apiVersion", "kind", "metadata"} <= entry.keys() for entry in objects)
    return {entry["kind"]: entry for entry in objects}


def test_the_pod_runs_without_privileges_and_is_probed() -> None:
    kinds = documents()
    template = kinds["Deployment"]["spec"]["template"]
    pod = template["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] > SHUTDOWN_SECONDS
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {entry["name"] for entry in container["volumeMounts"]} == {
        entry["name"] for entry in pod["volumes"]
    }
    (port,) = container["ports"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        address = addresses.LIVE if probe == "livenessProbe" else addresses.READY
        assert container[probe]["httpGet"] == {"path": address, "port": port["name"], "scheme": "HTTPS"}


def test_the_objects_of_the_manifest_find_each_other() -> None:
    kinds = documents()
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    settings = kinds["ConfigMap"]["data"]["server.toml"]
    mounted = [entry["mountPath"] for entry in container["volumeMounts"]]
    for path in re.findall(r'"(/[^"]+)"', settings):
        assert any(path.startswith(f"{folder}/") for folder in mounted), path


@pytest.mark.parametrize("tls", [False, True])
def test_the_health_check_of_the_image(tmp_path: Path, tls: bool) -> None:
    from tests.server.certificates import Authority

    options = ["--tls-cert", str(Authority(tmp_path, "root").sign("server").both)] if tls else []
    ready = tmp_path / "ready"
    command = [sys.executable, str(DEPLOY / "health.py")]
    environment = os.environ | {"HETORCH_SERVE_READY_FILE": str(ready)}
    with server_process([save_secure_plan(tmp_path)], tmp_path, *options):
        assert subprocess.run(command, env=environment, check=False).returncode == 0
    stopped = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert stopped.returncode == 1 and "not alive" in stopped.stderr
    ready.write_text("http://127.0.0.1:1\n")
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1


def check_config(*arguments: str, **variables: str) -> str:
    """Return the configuration that the server would run with; its paths need not exist."""
    program = (
        "import os, sys; from pathlib import Path; from hetorch.server.configuration.sources import configure; "
        "print(configure({}, os.environ, *map(Path, sys.argv[1:])).as_toml())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_every_setting_is_known_to_the_server(tmp_path: Path) -> None:
    shown = check_config(str(DEPLOY / "server.toml"))
    assert re.search(r'^trusted_proxies = \["127.0.0.1"\]', shown, re.MULTILINE)
    written = tmp_path / "server.toml"
    written.write_text(documents()["ConfigMap"]["data"]["server.toml"])
    assert re.search(r'^tls_cert = "/etc/hetorch/tls/tls.crt"', check_config(str(written)), re.MULTILINE)
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["hetorch"]
    image = dict(instructions((DEPLOY / "Dockerfile").read_text()))["ENV"]
    variables = dict(entry.split("=") for entry in image.split())
    shown = check_config(**server["environment"], **variables)
    assert re.search(r'^ready_file = "/tmp/hetorch-ready"', shown, re.MULTILINE)
