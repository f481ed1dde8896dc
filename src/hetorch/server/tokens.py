"""API tokens: who may ask a server, for which tenant and which models. The file of tokens holds hashes only.

A token is 256 random bits, so that nobody finds one from its SHA-256: a slow hash, as passwords need it, would protect
nothing more. Tokens are looked up by their hash, so that the time depends on the hash at most, and not on the number of
tokens.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hetorch.atomic_files import write_atomically
from hetorch.engine.random import random_seed
from hetorch.errors import InputError, StorageError
from hetorch.wire.answers import MODEL_NAME

PREFIX = "hetorch_"
"""The beginning of every token, by which scanners for leaked secrets find one."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""The form of the names of tokens and tenants."""
MAX_FILE_BYTES = 16 << 20
"""Most bytes of a file of tokens, some 50,000 tokens; a larger one is refused before it is read."""
LOCK_SECONDS = 10.0
"""Longest wait for another process that edits the same file, in seconds; editing takes milliseconds."""
FORMAT = 1
"""The version of the file of tokens."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as the server keeps it.

    Args:
        name: by which it is listed and revoked.
        tenant: the owner of what is uploaded with it; several tokens may share one.
        models: the models that it may use; None for all.
        operator: True if it may read the metrics, which tell of all tenants.
        created: the time when it was made, ISO 8601 in UTC.
        expires: the time from which it is refused, likewise; None for never.
        sha256: the hash of the token, in hexadecimal digits.
    """

    name: str
    tenant: str
    models: tuple[str, ...] | None
    operator: bool
    created: str
    expires: str | None
    sha256: str

    def __post_init__(self) -> None:
        for what, text in (("name of a token", self.name), ("name of a tenant", self.tenant)):
            if not isinstance(text, str) or not NAME.fullmatch(text):
                raise InputError(
                    f"{text!r} is not the {what}: letters, digits, '.', '_', '@' and '-', at most 64"
                )
        for model in self.models or ():
            if not isinstance(model, str) or not MODEL_NAME.fullmatch(model):
                raise InputError(f"{model!r} is not the name of a model")
        if not isinstance(self.operator, bool):
            raise InputError(f"operator must be true or false, got {self.operator!r}")
        if not isinstance(self.sha256, str) or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError("sha256 must have 64 hexadecimal digits")
        for text in (self.created, *([] if self.expires is None else [self.expires])):
            _time(text)

    def is_expired(self, now: datetime) -> bool:
        """True if the token is refused at the time `now`."""
        return self.expires is not None and now >= _time(self.expires)

    def may_use(self, model: str) -> bool:
        """True if the token may use the model of this name."""
        return self.models is None or model in self.models


def issue(
    name: str,
    tenant: str,
    models: Sequence[str] | None = None,
    *,
    operator: bool = False,
    expires: datetime | None = None,
) -> tuple[str, Token]:
    """Make a token; return its text, which is not kept, and what the server keeps. InputError for a bad name."""
    text = PREFIX + base64.urlsafe_b64encode(random_seed()).rstrip(b"=").decode()
    until = None if expires is None else _text(expires)
    scope = None if models is None else tuple(sorted(set(models)))
    return text, Token(name, tenant, scope, operator, _text(datetime.now(UTC)), until, _digest(text))


class TokenTable:
    """Tokens by their hashes."""

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = {token.sha256: token for token in tokens}

    def find(self, text: str, now: datetime) -> Token | None:
        """Return the token with this text; None if there is none or it has expired."""
        token = self._tokens.get(_digest(text))
        return None if token is None or token.is_expired(now) else token


def load_tokens(path: Path) -> tuple[Token, ...]:
    """Read a file of tokens.

    Raises:
        StorageError: it cannot be read, with the OSError as its cause; or it is not whole, or every user of this
            machine may write to it, and thus add a token.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"cannot read the tokens in {path}: {error.strerror or error}; `hetorch token add` makes the file"
        ) from error
    if mode & stat.S_IWOTH:
        raise StorageError(
            f"every user of this machine may write to {path}, and thus add a token; make it private: chmod 600 {path}"
        )
    try:
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
        tokens = _parse(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(
            f"{path} is not a file of tokens: {error}; `hetorch token add` writes them"
        ) from None
    return tokens


@contextmanager
def editing(path: Path) -> Iterator[Path]:
    """Keep other processes from editing a file of tokens until the block ends.

    Yields the file itself where `path` is a link to it, so that a server that reads it under another name sees the
    change. StorageError without its folder, or if another process edits it for LOCK_SECONDS.
    """
    try:
        target = path.resolve()
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StorageError(f"cannot write the tokens to {path}: {reason}") from None
    try:
        _lock(descriptor, path)
        yield target
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise StorageError(
                    f"another process holds the folder of {path} since {LOCK_SECONDS:g} s, so that it was not changed; "
                    "end that process (`fuser` names it), or move the file to a folder of its own"
                ) from None
            time.sleep(0.05)


def save_tokens(path: Path, tokens: Sequence[Token]) -> None:
    """Replace a file of tokens whole or not at all, with mode 0600; StorageError if it cannot be written."""
    document = {"hetorch_tokens": FORMAT, "tokens": [asdict(token) for token in tokens]}
    try:
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        raise StorageError(f"cannot write the tokens to {path}: {error.strerror or error}") from None


def _parse(document: Any) -> tuple[Token, ...]:
    if not isinstance(document, dict) or document.get("hetorch_tokens") != FORMAT:
        raise ValueError(f"it has no 'hetorch_tokens': {FORMAT}")
    tokens = []
    for entry in document["tokens"]:
        models = entry["models"]
        if not isinstance(models, list | None):
            raise ValueError("the models of a token must be a list, or null for all")
        tokens.append(Token(**entry | {"models": None if models is None else tuple(models)}))
    if len({token.name for token in tokens}) != len(tokens):
        raise ValueError("two tokens have one name")
    if len({token.sha256 for token in tokens}) != len(tokens):
        raise ValueError(
            "one token is there under two names, so that revoking one of them would not revoke it"
        )
    return tuple(tokens)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    """Parse a time with its zone; InputError for any other text."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise InputError(f"{text!r} is not a time, such as 2027-01-31T00:00:00+00:00") from None
    if moment.tzinfo is None:
        raise InputError(f"{text!r} is a time without a zone; add +00:00")
    return moment


ANYONE = Token("anyone", "anyone", None, True, "1970-01-01T00:00:00+00:00", None, "0" * 64)
"""The token of every request to a server that asks for none."""
