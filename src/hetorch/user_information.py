"""Names and passwords in addresses: they leave every message before anyone sees it.

Each word is read once: a message may hold an answer of a server, which could be made to take long.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\s'\"]+")
"""The pieces of a text that may be addresses: a password may hold any other character."""
_SLASHES = re.compile(r"https?:/{1,2}|//", re.IGNORECASE)
"""The beginning of an address; a path that was an address has one slash."""
_BEHIND_NAME = re.compile(r"[/@:]")

_EXAMPLE = re.compile(r"(?<![^\s'\"(])(https?://name:password@(?:host|proxy:port))(?![^\s'\"])")
"""The examples that messages of hetorch show, which stay."""


def without_user_information(text: str) -> str:
    """Return an address, or a sentence with addresses, without the names and passwords in them."""
    pieces = _EXAMPLE.split(text)  # every second one is an example
    pieces[::2] = [_WORD.sub(lambda word: _without(word[0]), piece) for piece in pieces[::2]]
    return "".join(pieces)


def _without(word: str) -> str:
    """Return a word without the user information behind the first slashes of an address, or before its host where
    http:// was forgotten; all up to the last '@' belongs to it."""
    last = word.rfind("@")
    slashes = _SLASHES.search(word, 0, last) if last > 0 else None
    if slashes is not None:
        return word[: slashes.end()] + word[last + 1 :]
    begin = 0
    while last > 0:
        behind = _BEHIND_NAME.search(word, begin)
        if behind is None or behind.start() >= last:
            break
        if behind[0] == ":":
            return word[:begin] + word[last + 1 :]
        begin = word.find("(", behind.start()) + 1
        if begin == 0:
            break
    return word
