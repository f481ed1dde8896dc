"""The service on a cluster of Ray: the same application in replicas on its machines, reached through each of them.

Ray Serve starts and replaces replicas, shares requests out, and adds and removes replicas as requests wait. What
clients upload is in one folder that all machines see, so that each replica finds the keys that another one took. Paths
of plans, keys, tokens and certificates are the same on every machine.

Whoever reaches the ports of Ray itself can run programs on the cluster: they belong into a network of their own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette

from hetorch.errors import InputError
from hetorch.optional_packages import require
from hetorch.server.deployment import Deployment
from hetorch.server.exposure import check_exposure
from hetorch.server.run import address_of, bind, stopped_by_signals
from hetorch.server.settings import Settings

NAME = "hetorch"
"""The name of the application and its deployment in Ray Serve."""
PROXY_SECONDS = 30.0
"""Time beyond request_timeout, in seconds, after which Ray's proxies answer by themselves; by then the server has."""
START_SECONDS = 600.0
"""Longest time for replicas and Ray's proxies to start, in seconds; replicas encode the weights of all plans."""
OTHER_REQUESTS = 16
"""Requests that a replica takes at once beside predictions that run or wait: plans, health, uploads. Further ones wait
in Ray's proxies."""


def run_on_ray(deployment: Deployment, settings: Settings, listening: Callable[[str], None]) -> None:
    """Serve on the cluster until SIGINT or SIGTERM, and take the application down again.

    Args:
        deployment: its plans, addresses and TLS, and the cluster: that of `ray_address`, or one that is started on this
            machine and ends with the call.
        settings: the limits of each replica.
        listening: called with the address once there are replicas.

    Raises:
        InputError: the settings cannot hold for several replicas.
        MissingPackageError: Ray is not installed.
    """
    _check(deployment, settings)
    ray = require("ray", "hetorch serve --ray")
    serve = require("ray.serve", "hetorch serve --ray")
    with stopped_by_signals():
        address, port = _address(deployment, settings)
        ray.init(address=deployment.ray_address, include_dashboard=False, log_to_driver=False)
        try:
            _start(serve, application(deployment, settings), _endpoints(deployment, settings, port))
            listening(address)
            threading.Event().wait()
        finally:
            serve.delete(NAME)
            ray.shutdown()


def _start(serve: Any, replicas: Any, endpoints: dict[str, object]) -> None:
    """Start Ray Serve and the replicas, and wait for them and for Ray's proxies; TimeoutError after START_SECONDS.

    Ray itself waits a minute for each; on a busy machine they take longer, and go on starting.
    """
    deadline = time.monotonic() + START_SECONDS
    with contextlib.suppress(TimeoutError):
        serve.start(proxy_location="EveryNode", http_options=endpoints)
    with contextlib.suppress(TimeoutError):
        serve.run(replicas, name=NAME, route_prefix="/")
    while not _runs(serve):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Ray did not start the replicas and its proxies in {START_SECONDS:g} s")
        time.sleep(1)


def _runs(serve: Any) -> bool:
    """True if the application and all of Ray's proxies run."""
    status = serve.status()
    told = status.applications.get(NAME)
    return (
        told is not None and told.status == "RUNNING" and all(p == "HEALTHY" for p in status.proxies.values())
    )


def application(deployment: Deployment, settings: Settings) -> Any:
    """Return the application for Ray Serve: its replicas, and when there are more of them."""
    serve = require("ray.serve", "hetorch serve --ray")

    def build() -> Starlette:
        """Make the application of a replica, in its process, which then refuses every module with a secret key."""
        from hetorch.server.app import create_app
        from hetorch.serving.models import load_models

        models = load_models(deployment.plans, deployment.memory_limit, engine=deployment.engine)
        return create_app(models, replace(settings, jobs=False, key_folder_shared=True))

    at_once = settings.workers + settings.queue + OTHER_REQUESTS
    most = max(deployment.ray_replicas, deployment.ray_most_replicas or 0)
    replicas = serve.deployment(
        serve.ingress(build)(),
        name=NAME,
        ray_actor_options={"num_cpus": settings.workers},
        max_ongoing_requests=at_once,
        max_queued_requests=at_once * most,
        graceful_shutdown_timeout_s=settings.shutdown_timeout,
        autoscaling_config={
            "min_replicas": deployment.ray_replicas,
            "initial_replicas": deployment.ray_replicas,
            "max_replicas": most,
            "target_ongoing_requests": settings.workers,
        },
    )
    return replicas.bind()


def _check(deployment: Deployment, settings: Settings) -> None:
    if settings.key_folder is None:
        raise InputError(
            "with ray, replicas share what clients upload: add key_folder=, a folder that all machines see"
        )
    if settings.key_share is not None:
        raise InputError("key_share= is not for ray, whose replicas share key_folder=: leave it out")
    if deployment.tls_client_ca is not None:
        raise InputError(
            "tls_client_ca= is not for ray: let TLS end at a proxy that asks for client certificates (trusted_proxies=)"
        )


def _address(deployment: Deployment, settings: Settings) -> tuple[str, int]:
    """Return the address at which each machine will take requests, and its port; InputError if it is too exposed."""
    with bind(deployment.host, deployment.port) as bound:
        tls = deployment.tls() is not None
        check_exposure(bound, settings, tls=tls)
        return address_of(bound, tls=tls), bound.getsockname()[1]


def _endpoints(deployment: Deployment, settings: Settings, port: int) -> dict[str, object]:
    """Return the options of Ray's proxies."""
    options: dict[str, object] = {
        "host": deployment.host,
        "port": port,
        "request_timeout_s": settings.request_timeout + PROXY_SECONDS,
    }
    if deployment.tls_cert is not None:
        options["ssl_certfile"] = str(deployment.tls_cert)
        options["ssl_keyfile"] = str(deployment.tls_key or deployment.tls_cert)
    return options
