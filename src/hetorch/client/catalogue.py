"""What a server offers: its models and their public plans, before any key or vault is involved."""

from __future__ import annotations

from hetorch.client.transport import Transport
from hetorch.errors import InputError
from hetorch.plan.public import MAX_BYTES, PublicPlan
from hetorch.wire.answers import MODEL_NAME, load_models


def choose_model(transport: Transport, model: str | None) -> str:
    """`model`, checked to be a name, or the server's only one; InputError if there are several."""
    if model is not None:
        if not MODEL_NAME.fullmatch(model):
            raise InputError(
                f"{model!r} is not the name of a model; names have letters, digits, '.', '_', '-'"
            )
        return model
    models = load_models(transport.get("/v1/models"))
    if len(models) == 1:
        return models[0].name
    names = ", ".join(repr(m.name) for m in models)
    raise InputError(f"the server at {transport.url} has {len(models)} models ({names}); name the one to use")


def fetch_plan(transport: Transport, model: str) -> PublicPlan:
    """The public plan of a model, parsed strictly but not yet trusted (see `check_plan`)."""
    return PublicPlan.from_bytes(transport.get(f"/v1/models/{model}", limit=MAX_BYTES))


def fetch_public_plan(url: str, model: str | None = None, *, timeout: float = 30.0) -> PublicPlan:
    """The public plan of `model` (or of the only one) at `url`; RemoteError, InputError, WireError or SecurityError."""
    with Transport(url, timeout=timeout) as transport:
        return fetch_plan(transport, choose_model(transport, model))
