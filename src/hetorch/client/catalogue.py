"""The models of a server and their public plans, before any key or vault is involved."""

from __future__ import annotations

from hetorch.client.blocking import finish
from hetorch.client.credentials import NONE, Credentials
from hetorch.client.remote_model import RemoteModel
from hetorch.client.transport import Transport
from hetorch.errors import InputError
from hetorch.plan.public import PublicPlan
from hetorch.wire.addresses import MODELS
from hetorch.wire.answers import MODEL_NAME, load_models


async def choose_model(transport: Transport, name: str | None) -> RemoteModel:
    """Return the model `name` of a server, or its only one if `name` is None.

    InputError if `name` is no model name or the server has several models; the server is not asked whether it has
    `name`.
    """
    if name is not None:
        if not MODEL_NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is not the name of a model; names have letters, digits, '.', '_', '-'"
            )
        return RemoteModel(transport, name)
    models = load_models(await transport.get(MODELS))
    if len(models) == 1:
        return RemoteModel(transport, models[0].name)
    if not models:
        raise InputError(
            f"the server at {transport.url} has no models, or none that your API token may use; ask its owner"
        )
    names = ", ".join(repr(m.name) for m in models)
    raise InputError(
        f"the server at {transport.url} has {len(models)} models ({names}); name the one to use with model="
    )


def fetch_public_plan(
    url: str, model: str | None = None, *, timeout: float | None = None, credentials: Credentials = NONE
) -> PublicPlan:
    """Fetch the public plan of `model`, or of the only one, at `url`; it is not trusted yet (see `check_plan`).

    `timeout`: seconds for each answer, FIRST_ANSWER_SECONDS by default. RemoteError, InputError, WireError or
    SecurityError if it cannot be had.
    """

    async def fetch() -> PublicPlan:
        async with Transport(url, timeout=timeout, credentials=credentials) as transport:
            return await (await choose_model(transport, model)).public_plan()

    return finish(fetch())
