"""`hetorch serve`: serve compiled models to clients."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hetorch.engine.backend import NATIVE
from hetorch.interop.backends import BACKENDS
from hetorch.server.settings import CONNECTIONS, SHUTDOWN_SECONDS
from hetorch.wire.limits import REQUEST_SECONDS

ENCODING = "encoding weights"
GB = 10**9
"""Bytes in the unit of the options for memory and disk."""


def serve(
    plans: Annotated[
        list[Path],
        typer.Argument(
            metavar="PLAN...",
            help="The folders of the plans to serve; a model's name is that of its folder without .hetorch.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    workers: Annotated[int, typer.Option(help="Number of predictions computed at once.", min=1)] = 2,
    queue: Annotated[int, typer.Option(help="Number of predictions that may wait behind them.", min=0)] = 16,
    key_memory: Annotated[
        float | None,
        typer.Option(
            help="Memory for clients' evaluation keys and encrypted weights, in GB; a quarter of this machine's, at "
            "most 17, or what a model needs, if left out.",
            min=0.001,
        ),
    ] = None,
    key_folder: Annotated[
        Path | None,
        typer.Option(help="Keep uploaded keys and encrypted weights in this folder as well as in memory."),
    ] = None,
    key_disk: Annotated[
        float, typer.Option(help="Disk space that the key folder may take, in GB.", min=0.001)
    ] = 64.0,
    body_memory: Annotated[
        float | None,
        typer.Option(
            help="Memory for request bodies, in GB; an eighth of this machine's, at most 8.6, or what a model needs, "
            "if left out.",
            min=0.001,
        ),
    ] = None,
    request_timeout: Annotated[
        float,
        typer.Option(
            help="Seconds that one prediction may take, its wait included. Clients learn this time and wait as long."
        ),
    ] = REQUEST_SECONDS,
    shutdown_timeout: Annotated[
        float, typer.Option(help="Seconds that running predictions have to end when the server is stopped.")
    ] = SHUTDOWN_SECONDS,
    connections: Annotated[int, typer.Option(help="Most connections at once.", min=1)] = CONNECTIONS,
    connections_per_address: Annotated[
        int | None,
        typer.Option(
            help="Most connections from one address, or IPv6 /64 network; half of all if left out, all "
            "with --trusted-proxies: a proxy is one address.",
            min=1,
        ),
    ] = None,
    memory_limit: Annotated[
        float | None,
        typer.Option(
            help="Memory for one prediction with keys and weights, in GB. A low limit makes predictions slower. "
            "If left out, that of this machine.",
            min=0.001,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Engine that runs the plans. "
            + " ".join(f"{known.name}: {known.summary}." for known in BACKENDS).replace("[", r"\[")
        ),
    ] = NATIVE.name,
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="File of API tokens (hetorch token add): each request needs one of them. It is read again when it "
            "changes."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate of this server (PEM), for HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its private key (PEM), if it is not in the same file.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(help="Roots of client certificates (PEM): each client then needs one (mutual TLS)."),
    ] = None,
    trusted_proxies: Annotated[
        str,
        typer.Option(
            help="Addresses or networks of the proxies at which TLS ends, with commas between them. The client's "
            "address is then taken from their X-Forwarded-For."
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines reach the server without TLS or tokens.")
    ] = False,
    audit_log: Annotated[
        Path | None,
        typer.Option(
            help="Add a JSON line to this file for each request: who, what, when, sizes, outcome, never contents."
        ),
    ] = None,
    ready_path: Annotated[
        Path | None,
        typer.Option(
            "--ready-file",
            help="Write the server's address to this file once it accepts connections; it is removed when the server "
            "stops.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
) -> None:
    """Serve compiled models to clients. The server holds plans and evaluation keys, never a secret key.

    Beyond this machine (--host) it needs TLS and --tokens, unless --insecure is said.

    Ctrl-C and SIGTERM stop it: running predictions end first, and the exit code is 0.

    Example: [bold]hetorch serve digits.hetorch --port 8000[/bold]
    """
    # Long because every option of the verb is a parameter with its help.
    from hetorch.serving.isolation import isolate

    isolate()  # before anything else is imported; create_app does so too
    from hetorch.cli.output_paths import check_file
    from hetorch.errors import InputError
    from hetorch.progress import reporting
    from hetorch.server.app import create_app
    from hetorch.server.exposure import Tls, check_exposure, check_proxies
    from hetorch.server.run import bind, leave_computations, ready_file, run, stopped_by_signals
    from hetorch.server.settings import Settings
    from hetorch.serving.models import load_models

    check_file(ready_path)
    proxies = check_proxies([word.strip() for word in trusted_proxies.split(",") if word.strip()])
    settings = Settings(
        workers=workers,
        queue=queue,
        body_memory=None if body_memory is None else round(body_memory * GB),
        key_memory=None if key_memory is None else round(key_memory * GB),
        key_folder=key_folder,
        key_disk=round(key_disk * GB),
        request_timeout=request_timeout,
        shutdown_timeout=shutdown_timeout,
        connections=connections,
        connections_per_address=connections_per_address or (connections if proxies else None),
        tokens=tokens,
        audit_log=audit_log,
    )
    if tls_cert is None and (tls_key is not None or tls_client_ca is not None):
        raise InputError("tls_key= and tls_client_ca= need the server's certificate; add tls_cert=")
    tls = None if tls_cert is None else Tls(tls_cert, tls_key, tls_client_ca)
    with stopped_by_signals(), bind(host, port) as bound, ready_file(ready_path) as tell_ready:
        if not insecure:
            check_exposure(bound, tls=tls is not None, proxies=proxies, tokens=tokens is not None)
        with reporting(False if as_json else None, ENCODING) as report:
            models = load_models(
                plans, report, None if memory_limit is None else round(memory_limit * GB), engine=engine
            )

        def listening(address: str) -> None:
            if as_json:
                print(json.dumps({"address": address, "models": sorted(models)}), flush=True)
            else:
                print(f"serving {', '.join(sorted(models))} at {address} (Ctrl-C stops)", flush=True)
            tell_ready(address)

        run(create_app(models, settings), bound, settings, listening, tls=tls, proxies=proxies)
    if not as_json:
        print("stopped", file=sys.stderr)
    leave_computations()
