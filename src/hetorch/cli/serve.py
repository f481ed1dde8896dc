"""`hetorch serve`: serve compiled models to clients."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hetorch.cli.serve_options import PLANS, takes_settings

if TYPE_CHECKING:
    from hetorch.server.configuration.sources import Configuration
    from hetorch.server.deployment import Deployment
    from hetorch.serving.models import ServedModel
    from hetorch.serving.models.model_folder import ModelFolder

ENCODING = "encoding weights"


@takes_settings
def serve(
    plans: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PLAN",
            help="The folders of the plans to serve, in place of those of the configuration; a model's name is that of "
            "its folder without .hetorch.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with any of these settings; $HETORCH_SERVE_CONFIG if left out. Flags come before the "
            "environment variables HETORCH_SERVE_..., and these before the file."
        ),
    ] = None,
    check_config: Annotated[
        bool,
        typer.Option(
            "--check-config",
            help="Check the settings, print them as a TOML file with the source of each, and serve nothing.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Serve compiled models to clients. The server holds plans and evaluation keys, never a secret key.

    Beyond this machine (--host) it needs TLS and --tokens, unless --insecure is said.

    Ctrl-C and SIGTERM stop it: running predictions end first, and the exit code is 0.

    Example: [bold]hetorch serve digits.hetorch --port 8000[/bold]
    """
    from hetorch.serving.isolation import isolate

    isolate()  # before anything else is imported; create_app does so too
    from hetorch.server.configuration.sources import configure

    given = flags | ({PLANS: [str(plan) for plan in plans]} if plans else {})
    configuration = configure(given, os.environ, config)
    if not configuration.deployment.plans and configuration.deployment.models_folder is None:
        raise typer.BadParameter(
            "no plan is named here or in the configuration, and no folder of models (--models-folder)",
            param_hint="'PLAN'",
        )
    if check_config:
        _check(configuration)
        print(json.dumps(configuration.report()) if as_json else configuration.as_toml().rstrip())
        return
    from hetorch.server.logs import configure_logs

    configure_logs(configuration.deployment.log_format, configuration.deployment.log_level)
    if configuration.deployment.ray:
        _run_on_ray(configuration, as_json=as_json)
    else:
        _run(configuration, as_json=as_json)


def _check(configuration: Configuration) -> None:
    """Raise the error with which the server would not start, as far as it is known before weights are encoded."""
    from hetorch.plan.plan import Plan
    from hetorch.server.exposure import check_exposure
    from hetorch.server.run import bind

    deployment, settings = configuration.deployment, configuration.settings
    _check_files(configuration)
    tls = deployment.tls()
    with bind(deployment.host, 0) as bound:
        check_exposure(bound, settings, tls=tls is not None)
    for folder in deployment.plans:
        Plan.load(folder)


def _check_files(configuration: Configuration) -> None:
    """Raise the error with which a file of the server cannot be used; its TLS has its own check."""
    from hetorch.cli.output_paths import check_file
    from hetorch.server.tenants_file import load_tenants
    from hetorch.server.tokens import load_tokens

    settings = configuration.settings
    check_file(configuration.deployment.ready_file)
    check_file(settings.audit_log)
    if settings.tokens is not None:
        load_tokens(settings.tokens)
    if settings.tenants is not None:
        load_tenants(settings.tenants)


def _run(configuration: Configuration, *, as_json: bool) -> None:
    """Serve until the server is stopped."""
    from hetorch.progress import reporting
    from hetorch.server.app import create_app
    from hetorch.server.exposure import check_exposure
    from hetorch.server.run import bind, leave_computations, ready_file, run, stopped_by_signals
    from hetorch.server.telemetry import export_traces

    deployment, settings = configuration.deployment, configuration.settings
    if settings.traces:
        export_traces()
    _check_files(configuration)
    tls = deployment.tls()
    with (
        stopped_by_signals(),
        bind(deployment.host, deployment.port) as bound,
        ready_file(deployment.ready_file) as tell_ready,
    ):
        check_exposure(bound, settings, tls=tls is not None)
        models, folder = _load(deployment)

        def listening(address: str) -> None:
            encoding.close()
            _tell(address, sorted(models), as_json=as_json)
            tell_ready(address)

        with contextlib.ExitStack() as encoding:
            report = encoding.enter_context(reporting(False if as_json else None, ENCODING))
            app = create_app(models, settings, report, folder)
            run(app, bound, settings, listening, tls=tls)
    if not as_json:
        logging.getLogger("hetorch.server").info("stopped")
    leave_computations()


def _load(deployment: Deployment) -> tuple[Mapping[str, ServedModel], ModelFolder | None]:
    """Return the models of the plans and of the folder, and the folder."""
    from hetorch.serving.models import load_models
    from hetorch.serving.models.model_folder import ModelFolder, load_registry

    limit, engine = deployment.memory_limit, deployment.engine
    models = load_models(deployment.plans, limit, engine=engine) if deployment.plans else {}
    if deployment.models_folder is None:
        return models, None
    folder = ModelFolder(deployment.models_folder, engine, limit)
    return load_registry(models, folder), folder


def _run_on_ray(configuration: Configuration, *, as_json: bool) -> None:
    """Serve on a cluster of Ray until the server is stopped."""
    from hetorch.cli.output_paths import check_file
    from hetorch.server.ray_cluster import run_on_ray
    from hetorch.server.run import ready_file
    from hetorch.serving.models import model_name

    deployment = configuration.deployment
    check_file(deployment.ready_file)
    with ready_file(deployment.ready_file) as tell_ready:

        def listening(address: str) -> None:
            _tell(address, sorted(map(model_name, deployment.plans)), as_json=as_json)
            tell_ready(address)

        run_on_ray(deployment, configuration.settings, listening)
    if not as_json:
        logging.getLogger("hetorch.server").info("stopped")


def _tell(address: str, models: list[str], *, as_json: bool) -> None:
    """Tell that the server takes requests."""
    if as_json:
        print(json.dumps({"address": address, "models": models}), flush=True)
    else:
        print(f"serving {', '.join(models)} at {address} (Ctrl-C stops)", flush=True)
