"""Names and passwords in addresses: they leave every message before anyone sees it."""

from __future__ import annotations

import re

_BEHIND_SLASHES = re.compile(r"(https?:/{1,2}|//)[^\s'\"]*@", re.IGNORECASE)
"""User information of an address inside a sentence, up to the last '@' of the word: a password may hold any character,
and a path that was an address has one slash."""
_WITHOUT_SCHEME = re.compile(r"(?<![^\s'\"(])[^\s/@:'\"]*:[^\s'\"]*@")
"""User information of an address whose http:// was forgotten: a word or quotation that begins with `name:password@`."""

_EXAMPLE = re.compile(r"(?<![^\s'\"(])(https?://name:password@(?:host|proxy:port))(?![^\s'\"])")
"""The examples that messages of hetorch show, which stay."""


def without_user_information(text: str) -> str:
    """Return an address, or a sentence with addresses, without the names and passwords in them."""
    pieces = _EXAMPLE.split(text)  # every second one is an example
    pieces[::2] = [_WITHOUT_SCHEME.sub("", _BEHIND_SLASHES.sub(r"\1", piece)) for piece in pieces[::2]]
    return "".join(pieces)
