"""How `hetorch serve` is deployed: its models, its socket, TLS and its log. The limits are in `Settings`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from hetorch.engine.backend import NATIVE
from hetorch.errors import InputError
from hetorch.interop.backends import BACKENDS
from hetorch.server.configuration.fields import check_fields
from hetorch.server.configuration.kinds import Bytes, Integer, Text
from hetorch.server.exposure import Tls

Engine = Annotated[str, Text(tuple(known.name for known in BACKENDS))]
"""The type of a field that names an engine."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The models, the socket and the log of one server. InputError if a value is out of range.

    Args:
        plans: the folders of the plans to serve; a model's name is that of its folder without .hetorch.
        models_folder: a folder whose models are served too, and may change while the server runs (hetorch models).
        engine: the engine that runs the plans: hetorch's own core (native), or Microsoft SEAL (seal, which pip install
            'hetorch[seal]' brings), for plans that were compiled for it.
        memory_limit: memory for one prediction with keys and weights. A low limit makes predictions slower. That of
            this machine if left out.
        host: the address to listen on. Beyond this machine it needs TLS and tokens.
        port: the port to listen on; 0 takes a free one.
        tls_cert: the certificate of this server (PEM), for HTTPS.
        tls_key: its private key (PEM), if it is not in the same file.
        tls_client_ca: the roots of client certificates (PEM), of which each client then needs one (mutual TLS).
        ready_file: a file that holds the server's address while it accepts connections.
        ray: serve in replicas on a cluster of Ray (pip install 'hetorch[ray]'), which share key_folder.
        ray_address: the address of the cluster, "auto" for that of this machine; one is started here if left out.
        ray_replicas: the number of replicas, each with its workers; more come as requests wait.
        ray_most_replicas: the most replicas; ray_replicas if left out.
        log_format: the form of log lines, text for people or json for programs.
        log_level: the least level of log lines. Each request has one line of level info.
    """

    plans: tuple[Path, ...] = ()
    models_folder: Path | None = None
    engine: Engine = NATIVE.name
    memory_limit: Bytes | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Integer(0, 65535)] = 8000
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    ready_file: Path | None = None
    ray: bool = False
    ray_address: str | None = None
    ray_replicas: Annotated[int, Integer(1)] = 1
    ray_most_replicas: Annotated[int, Integer(1)] | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tls_cert is None and (self.tls_key is not None or self.tls_client_ca is not None):
            raise InputError("tls_key= and tls_client_ca= need the server's certificate; add tls_cert=")

    def tls(self) -> Tls | None:
        """Return the files of TLS, None for plain HTTP; StorageError or InputError if they cannot be used."""
        return None if self.tls_cert is None else Tls(self.tls_cert, self.tls_key, self.tls_client_ca)
