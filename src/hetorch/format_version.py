"""The sentence on bytes of another format version: the version that they have, the one that is read, and what to do."""

from __future__ import annotations


def tell_other_version(what: str, seen: int, own: int, older: str, newer: str) -> str:
    """Return the sentence on something of the format version `seen` where `own` is read.

    Args:
        what: the thing, as the subject of the sentence.
        seen: the version that it has.
        own: the version that this hetorch reads.
        older: what to do if it is of an older hetorch.
        newer: what to do if it is of a newer one.
    """
    remedy = older if seen < own else newer
    return f"{what} of format version {seen} cannot be read, this hetorch reads version {own}: {remedy}"
