"""Tags of encrypted updates, which add up as the updates do: a false sum does not have the sum of the tags.

A tag has two residues, <r_h (x) u_h, c> for h = 0, 1, where c are all residues of an update (blocks, N), and r_h
(blocks) and u_h (N) are uniform and expanded from a key that all parties know and the aggregator does not. For a
difference other than zero of the aggregator's choice each residue is zero with a probability of at most 2/q (first the
products with u, then that with r), both with 2^-88. Tags are sealed: from the tags in clear one could find factors with
which updates add up to a false sum and the right tag. A party that colludes with the aggregator knows the key; it could
as well change its own update.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from hetorch.engine import _secret
from hetorch.engine.random import keystream, wipe
from hetorch.federated.ring import PRIME

_TAG = struct.Struct("<QQ")
Tag = tuple[int, int]


class TagKey:
    """The factors of the tags of one round, and the tag of the blocks that were added to it: of one update or sum."""

    def __init__(self, own_keys: Mapping[int, bytes], identifier: bytes, block_count: int) -> None:
        """Derive the factors from the own keys of all parties, by index."""
        state = hashlib.sha256(b"hetorch federated tags" + identifier)
        for party in sorted(own_keys):
            state.update(own_keys[party])
        seed = state.digest()
        random = keystream(seed, _secret.RoundTag.random_bytes(block_count), domain=b"federated tags")
        self.tag = _secret.RoundTag(random, block_count)
        wipe(random, seed)

    def add(self, packed: bytes | memoryview, first: int) -> None:
        """Add packed blocks, the first of which has the index `first`; WireError if they are malformed."""
        self.tag.add_packed(packed, first)

    @property
    def value(self) -> Tag:
        """The tag of all blocks that were added."""
        return self.tag.value()

    def wipe(self) -> None:
        """Overwrite the factors."""
        self.tag.wipe()


def add_tags(tags: list[Tag]) -> Tag:
    """Return the sum of tags modulo q."""
    return sum(tag[0] for tag in tags) % PRIME, sum(tag[1] for tag in tags) % PRIME


def dump_tag(tag: Tag) -> bytes:
    """Encode a tag."""
    return _TAG.pack(*tag)


def load_tag(data: bytes) -> Tag:
    """Parse a tag from outside; a party may send any, and a wrong one makes the round void."""
    one, other = _TAG.unpack(data)
    return one % PRIME, other % PRIME
