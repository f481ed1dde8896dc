"""How a server is reached: its TLS, and the refusal of a server that is open to everyone by mistake."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetorch.errors import InputError, StorageError
from hetorch.server.settings import Settings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""The ciphers of TLS 1.2; those of TLS 1.3 are all as strong."""
CERTIFICATE = "hetorch.certificate"
"""The entry of an ASGI scope's state that tells a client's certificate."""
MAX_SUBJECT_LENGTH = 256
"""Characters of a certificate's subject that are kept; a longer subject would fill the audit log."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of TLS, in PEM. StorageError or InputError if they cannot be used.

    Args:
        certificate: the server's certificate, with those between it and its root behind it.
        key: its private key, without a passphrase; None if it is in the file of the certificate.
        client_ca: roots of client certificates, one of which every client must then have (mutual TLS); None for none.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        self.context()

    def context(self) -> ssl.SSLContext:
        """Return a context with these files: TLS 1.3, or 1.2 with forward secrecy and authenticated encryption."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        try:
            # An empty passphrase: OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except ssl.SSLError as error:
            raise InputError(
                f"the certificate {self.certificate} and its key {self.key or self.certificate} cannot be used: "
                f"{error.reason or error}; both must be PEM, the key without a passphrase, and belong together"
            ) from None
        except OSError as error:
            names = " or ".join(str(path) for path in (self.certificate, self.key) if path is not None)
            raise StorageError(f"cannot read {names}: {error.strerror or error}") from None
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError as error:
                raise InputError(
                    f"{self.client_ca} has no certificates: {error.reason or error}; it must be PEM"
                ) from None
            except OSError as error:
                raise StorageError(f"cannot read {self.client_ca}: {error.strerror or error}") from None
        return context


def check_exposure(bound: socket.socket, settings: Settings, *, tls: bool) -> None:
    """Raise InputError if others than this machine reach a socket without TLS or tokens, and `insecure` is not said.

    Args:
        bound: the socket on which the server will listen.
        settings: the server's settings.
        tls: True if the server itself speaks TLS.
    """
    host = str(bound.getsockname()[0])
    if settings.insecure or ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return
    missing = []
    if not tls and not settings.trusted_proxies:
        missing.append("TLS (--tls-cert and --tls-key, or --trusted-proxies for a proxy at which it ends)")
    if settings.tokens is None:
        missing.append("API tokens (--tokens FILE; `hetorch token add` makes them)")
    if missing:
        raise InputError(
            f"others can reach {host}, and the server has no {' and no '.join(missing)}; add them, listen on "
            "127.0.0.1, or say --insecure if whoever reaches it may use it and read along"
        )


def certificate_of(peer: Any) -> dict[str, str] | None:
    """Return the subject and the serial number of a client's verified certificate (SSLSocket.getpeercert); None if it
    has none."""
    if not peer:
        return None
    subject = ", ".join(f"{name}={value}" for part in peer.get("subject", ()) for name, value in part)
    return {"subject": subject[:MAX_SUBJECT_LENGTH], "serial": str(peer.get("serialNumber", ""))}
