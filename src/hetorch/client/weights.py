"""The upload of encrypted weights: from a plan, encrypted while they are sent, or from a file of the model's owner."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hetorch.client.attempt import Body
from hetorch.client.blocking import finish
from hetorch.client.catalogue import choose_model
from hetorch.client.credentials import Credentials, StrPath
from hetorch.client.piecewise import UploadedFile, upload_in_pieces
from hetorch.client.remote_model import RemoteModel
from hetorch.client.transport import Transport
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, PlanUseError, StorageError, WireError
from hetorch.model_owner.encrypt import ENCRYPTING, weights_message
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption, counted, reporting
from hetorch.regular_files import read_regular
from hetorch.wire.frame import HEADER_BYTES
from hetorch.wire.uploads import WEIGHTS
from hetorch.wire.weights import WeightsFormat, read_weights_header

WeightSource = Plan | str | os.PathLike[str]
"""A whole plan, its folder, or a file that `save_encrypted_weights` wrote."""

UPLOADING = "uploading weights"


def open_source(public: PublicPlan, source: WeightSource) -> Plan | Path:
    """Return the whole plan, loaded if `source` is a folder, or the path of the file with its weights.

    Args:
        public: the plan that the server publishes, for which the weights must be.
        source: a whole plan, its folder, or a file that `save_encrypted_weights` wrote.

    Raises:
        PlanUseError: the server needs no weights, or runs another plan, or the plan has no weights.
        WireError: the file is damaged or for another plan.
        StorageError: the file cannot be read.
    """
    if not public.encrypted_weight_bytes:
        raise PlanUseError(
            f"the server has the weights of {public.name!r} in clear, it takes none; only plans compiled with "
            'weights="encrypted" and served without their weights do'
        )
    if not isinstance(source, Plan):
        path = Path(source)
        if not path.is_dir():
            read_key_id(public, path)
            return path
        source = Plan.load(path)
    # The whole public plan, not only the fingerprint, which the server may have copied.
    if source.public() != public:
        raise PlanUseError(
            f"the server's plan {public.name!r} ({public.fingerprint[:12]}…) is not the one given, {source.name!r} "
            f"({source.public().fingerprint[:12]}…), without its weights; serve what without_weights makes of it"
        )
    if source.weights_withheld:
        raise PlanUseError(
            f"the plan {source.name!r} is without its weights (without_weights); give the whole plan, or a file that "
            "`hetorch encrypt-weights` wrote"
        )
    return source


def read_key_id(public: PublicPlan, path: Path) -> str:
    """Return the id of the evaluation keys to which the weights in a file belong.

    WireError unless it is a file of weights of this plan, StorageError if it cannot be read.
    """
    try:
        head = read_regular(path, HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        return read_weights_header(public.name, public.fingerprint, head).key_id.hex()
    except WireError as error:
        raise WireError(f"{path}: {error}") from None


@contextmanager
def plan_body(plan: Plan, secret: SecretKey, key_id: str, progress: ProgressOption) -> Iterator[Body]:
    """Give a body with the weights of a whole plan, encrypted with the secret key one by one as they are sent."""
    size = WeightsFormat.of(plan).message_bytes(seeded=True)
    with reporting(progress, ENCRYPTING, size) as report:
        yield Body(size, lambda: weights_message(plan, secret, key_id, report))


async def upload_file(remote: RemoteModel, path: Path, key_id: str, progress: ProgressOption) -> None:
    """Upload a file of weights for these evaluation keys, in pieces.

    RemoteError and WireError as upload_in_pieces; StorageError if the file cannot be read.
    """
    try:
        file = UploadedFile.of(WEIGHTS, path)
        with reporting(progress, UPLOADING, file.size) as report:
            stored = await upload_in_pieces(remote, file, counted(report, UPLOADING))
    except OSError as error:
        raise _unreadable(path, error) from None
    if stored != key_id:
        raise WireError(
            f"the server stored the weights for the keys {stored[:12]}…, they are for {key_id[:12]}…"
        )


def upload_weights(
    url: str,
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    verify: StrPath | ssl.SSLContext | None = None,
    cert: StrPath | tuple[StrPath, StrPath] | None = None,
    allow_plain_http: bool = False,
) -> str:
    """Upload a file of encrypted weights to a server: the step of a model's owner, who has neither vault nor data.

    Args:
        url: base address of the server.
        path: the file, which `save_encrypted_weights` or `hetorch encrypt-weights` wrote.
        model: the model's name; may be left out if the server has only one.
        timeout: seconds for one request; by default as long as the server allows, and half a minute more.
        progress: called with a stage and the fraction that is sent; by default a bar on the terminal, False for none.
        token: as for hetorch.Client.
        headers: as for hetorch.Client.
        verify: as for hetorch.Client.
        cert: as for hetorch.Client.
        allow_plain_http: as for hetorch.Client.

    Returns:
        The id of the evaluation keys to which the weights belong.

    Raises:
        InputError: the path is that of a plan, or token, headers or certificates cannot be used.
        PlanUseError: the server has the weights of this model in clear.
        WireError: the file is damaged or for another plan.
        StorageError: the file cannot be read.
        RemoteError: the server cannot be reached or refuses.
    """
    credentials = Credentials(token, headers, verify, cert, allow_plain_http)
    return finish(_upload(Transport(url, timeout=timeout, credentials=credentials), path, model, progress))


async def _upload(
    transport: Transport, path: str | os.PathLike[str], model: str | None, progress: ProgressOption
) -> str:
    """Upload a file of encrypted weights, and close the transport."""
    async with transport:
        remote = await choose_model(transport, model)
        public = await remote.public_plan()
        opened = open_source(public, Path(path))
        if isinstance(opened, Plan):
            raise InputError(
                f"{path} is a plan: without the data owner's key its weights cannot be encrypted; use hetorch "
                "encrypt-weights first, or Client.upload_weights where the key is"
            )
        key_id = read_key_id(public, opened)
        await upload_file(remote, opened, key_id, progress)
    return key_id


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot read the encrypted weights in {path}: {error.strerror or error}")
