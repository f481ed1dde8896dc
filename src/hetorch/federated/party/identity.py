"""A party's identity: the Ed25519 key under which the others know it."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hetorch.errors import InputError
from hetorch.wire.rounds import RoundMessage


class Identity:
    """A signing key. It lives as long as a party takes part, so keep `private_bytes` as you keep a secret key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> Identity:
        """Return a new identity."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_private_bytes(cls, data: bytes) -> Identity:
        """Return the identity of `private_bytes()`; InputError unless there are 32 bytes."""
        if len(data) != 32:
            raise InputError(f"a private identity has 32 bytes, got {len(data)}")
        return cls(Ed25519PrivateKey.from_private_bytes(data))

    def private_bytes(self) -> bytes:
        """Return the 32 secret bytes of the key."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        """The 32 bytes that go into the roster."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: RoundMessage) -> RoundMessage:
        """Return the message with its signature."""
        return replace(message, signature=self._key.sign(message.signed_bytes()))

    def __repr__(self) -> str:
        return f"Identity({self.public.hex()[:12]}…)"

    def __reduce__(self) -> str:
        raise TypeError("an identity is never pickled; keep its private_bytes")
