"""Uploading encrypted weights: of a plan, encrypted while they are sent, or from a file that the model's owner made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hetorch.client.catalogue import choose_model, fetch_plan
from hetorch.client.key_making import Progress
from hetorch.client.transport import Body, Transport
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, PlanError, WireError
from hetorch.model_owner.encrypt import weights_message
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.wire.answers import load_key_id
from hetorch.wire.frame import HEADER_BYTES
from hetorch.wire.weights import WeightsFormat, read_weights_header

WeightSource = Plan | str | os.PathLike[str]
"""A whole plan, its folder, or a file that `save_encrypted_weights` wrote."""

PIECE = 1 << 20
ENCRYPTING = "encrypting and uploading weights"
UPLOADING = "uploading weights"


def open_source(public: PublicPlan, source: WeightSource) -> Plan | Path:
    """The whole plan, loaded if it is a folder, or the file with its weights; checked to be for the plan that a server
    publishes. PlanError if that is another one or needs no weights, WireError for another file, InputError if there
    is none."""
    if not public.encrypted_weight_bytes:
        raise PlanError(
            f"the server has the weights of {public.name!r} in clear, it takes none; only plans compiled with "
            'weights="encrypted" and served without their weights do'
        )
    if not isinstance(source, Plan):
        path = Path(source)
        if not path.is_dir():
            read_key_id(public, path)
            return path
        source = Plan.load(path)
    # All of it, and not the fingerprint alone, which is the server's word.
    if source.public() != public:
        raise PlanError(
            f"the server's plan {public.name!r} ({public.fingerprint[:12]}…) is not the one given, {source.name!r} "
            f"({source.public().fingerprint[:12]}…), without its weights; serve what without_weights makes of it"
        )
    if source.weights_withheld:
        raise PlanError(
            f"the plan {source.name!r} is without its weights (without_weights); give the whole plan, or a file that "
            "`hetorch encrypt-weights` wrote"
        )
    return source


def read_key_id(public: PublicPlan, path: Path) -> str:
    """The id of the evaluation keys that the weights in a file belong to. WireError unless it is a file of weights of
    this plan, InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            begin = file.read(HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        return read_weights_header(public.name, public.fingerprint, begin).key_id.hex()
    except WireError as error:
        raise WireError(f"{path}: {error}") from None


def plan_body(plan: Plan, secret: SecretKey, key_id: str, progress: Progress | None) -> Body:
    """The weights of a whole plan, encrypted with the secret key as they are sent: nothing is held."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(ENCRYPTING, done, total)

    return Body(
        WeightsFormat.of(plan).message_bytes(seeded=True),
        lambda: weights_message(plan, secret, key_id, report),
    )


def file_body(path: Path, progress: Progress | None) -> Body:
    """The bytes of a file, a piece at a time; InputError if it cannot be read."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None

    def pieces() -> Iterator[bytes]:
        sent = 0
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
                    sent += len(piece)
                    if progress is not None:
                        progress(UPLOADING, sent, size)
        except OSError as error:
            raise _unreadable(path, error) from None

    return Body(size, pieces)


def put_weights(transport: Transport, model: str, key_id: str, body: Body) -> None:
    """Send the weights for these keys to the server, in the place of those it may have. RemoteError if it refuses."""
    answer = transport.send("PUT", f"/v1/models/{model}/weights", content=body)
    stored = load_key_id(answer.body)
    if stored != key_id:
        raise WireError(
            f"the server stored the weights for the keys {stored[:12]}…, they are for {key_id[:12]}…"
        )


def upload_weights(
    url: str,
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    timeout: float = 120.0,
    progress: Progress | None = None,
) -> str:
    """Upload the file `path`, which `save_encrypted_weights` or `hetorch encrypt-weights` wrote, to the server at
    `url`: the part of a model's owner, who has neither vault nor data. Returns the id of the keys that they belong to.

    `model` may be left out if the server has one only; `timeout`: seconds for the answer. InputError, WireError or
    PlanError if it is no file for that model, RemoteError if the server refuses.
    """
    with Transport(url, timeout=timeout) as transport:
        name = choose_model(transport, model)
        public = fetch_plan(transport, name)
        opened = open_source(public, Path(path))
        if isinstance(opened, Plan):
            raise InputError(
                f"{path} is a plan: without the data owner's key its weights cannot be encrypted; use hetorch "
                "encrypt-weights first, or Client.upload_weights where the key is"
            )
        key_id = read_key_id(public, opened)
        put_weights(transport, name, key_id, file_body(opened, progress))
    return key_id


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot read the encrypted weights in {path}: {error.strerror or error}")
