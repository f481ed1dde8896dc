"""What a party tells others past the aggregator: ChaCha20-Poly1305 under keys of one round.

A pair of parties has a key for each direction, from X25519 by HKDF-SHA256, which seals one message. A party's own key,
which it sends to all others beside their shares, seals two: its tag and its share of the sum, each with a nonce of its
own. No key seals two messages with one nonce.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hetorch.engine.random import wipe
from hetorch.errors import WireError

SHARE_NONCE, TAG_NONCE, OPENING_NONCE = (number.to_bytes(12, "little") for number in range(3))


def pair_key(
    private: X25519PrivateKey, public: bytes, identifier: bytes, sender: int, recipient: int
) -> bytes:
    """Return the key of the messages from one party to another in this round.

    Args:
        private: the round key of this party, the sender or the recipient.
        public: the round key of the other one (32 bytes).
        identifier: the id of the round.
        sender: the index of the party that seals.
        recipient: the index of the party that opens.

    Raises:
        WireError: the other key is a point of small order.
    """
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise WireError("the round key of a party is a point of small order") from None
    info = b"hetorch federated pair" + struct.pack("<HH", sender, recipient)
    key = HKDF(SHA256(), 32, salt=identifier, info=info).derive(shared)
    wipe(shared)
    return key


def seal(key: bytes, nonce: bytes, content: bytes, identifier: bytes) -> bytes:
    """Encrypt and authenticate `content` for this round."""
    return ChaCha20Poly1305(key).encrypt(nonce, content, identifier)


def unseal(key: bytes, nonce: bytes, sealed: bytes, identifier: bytes, sender: int) -> bytes:
    """Return what `seal` sealed; WireError, which names the sender, if it was sealed under another key or changed."""
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, identifier)
    except InvalidTag:
        raise WireError(
            f"what party {sender} sealed was changed, or sealed for another round or party"
        ) from None
