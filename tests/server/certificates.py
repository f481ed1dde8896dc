"""Certificates for tests of TLS, made by `cryptography`: an authority, and what it signs."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its key, in two files and in one."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A root that signs certificates for 127.0.0.1; its own is in the file `root`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(name)
        own = self._certificate(self._subject, self._key.public_key(), authority=True)
        self.root = folder / f"{name}-root.pem"
        self.root.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str) -> Signed:
        """Make a key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(_named(name), key.public_key(), authority=False)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files = [self._folder / f"{self._name}-{name}.{suffix}" for suffix in ("crt", "key", "pem")]
        for file, content in zip(files, (pem, secret, pem + secret), strict=True):
            file.write_bytes(content)
        return Signed(*files)

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
