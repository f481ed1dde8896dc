"""Addresses, headers and media types of the service, as the server routes them and the client asks for them.

Most functions also make the server's route templates: `predict("{name}")` is the route of every model.
"""

from __future__ import annotations

HEALTH = "/v1/health"
"""The beginning of the addresses of health, which need no token."""
LIVE = f"{HEALTH}/live"
"""200 while the process answers at all."""
READY = f"{HEALTH}/ready"
"""200 while the server takes predictions."""
METRICS = "/metrics"
"""The numbers of the server, for Prometheus."""
STATUS = "/v1/status"
"""The state of the server: a page for browsers, JSON for programs."""
OPENAPI = "/v1/openapi.json"
"""The description of all addresses (OpenAPI)."""
MODELS = "/v1/models"
JOBS = "/v1/jobs"
ROUNDS = "/v1/rounds"
"""The beginning of the addresses of an aggregator of training together (`hetorch.federated.http`)."""
OPEN_INFERENCE = "/v2"
"""The beginning of the addresses of the Open Inference Protocol."""
OPEN_INFERENCE_LIVE = f"{OPEN_INFERENCE}/health/live"
OPEN_INFERENCE_READY = f"{OPEN_INFERENCE}/health/ready"
"""Its addresses of health, which need no token."""
OPEN_INFERENCE_MODELS = (
    f"{OPEN_INFERENCE}/models/{{name}}",
    f"{OPEN_INFERENCE}/models/{{name}}/versions/{{version}}",
)
"""The routes of its models, without and with their version."""

EVENTS = "text/event-stream"
"""Media type of server-sent events."""
OCTETS = "application/octet-stream"
"""Media type of keys, weights, requests and responses."""
JSON = "application/json"
"""Media type of public plans and of the small answers (`hetorch.wire.answers`)."""

KEY_ID_HEADER = "Hetorch-Key-Id"
"""Request header of a prediction: the id of the evaluation keys to use, so that missing ones are told before the body
is read."""
PLAN_HEADER = "Hetorch-Plan"
"""Request header of all that is done with a model: the fingerprint of the public plan that it was made for. The newest
version of the model is meant where it is left out."""
TENANT_HEADER = "Hetorch-Tenant"
"""Request header: the tenant that the client believes to be; a token of another one is refused."""
UPLOAD_OFFSET_HEADER = "Upload-Offset"
"""Header of uploads in pieces: the number of bytes that the server has. In a PATCH, the number before its body."""
REQUEST_ID_HEADER = "X-Request-Id"
"""Response header: the id under which the server's log has the request. As a request header it is taken from trusted
proxies."""
SERVER_TIMING_HEADER = "Server-Timing"
"""Response header of a prediction (`hetorch.wire.server_timing`)."""


def public_plan(model: str) -> str:
    """Return the address of a model's public plan (GET)."""
    return f"{MODELS}/{model}"


def keys(model: str) -> str:
    """Return the address that takes evaluation keys (PUT) and lists those of the token's tenant (GET)."""
    return f"{MODELS}/{model}/keys"


def stored_keys(model: str, key_id: str) -> str:
    """Return the address that tells whether the server has these evaluation keys (GET), and deletes them (DELETE)."""
    return f"{keys(model)}/{key_id}"


def begin_upload(model: str) -> str:
    """Return the address that begins an upload in pieces (POST)."""
    return f"{MODELS}/{model}/uploads"


def upload(upload_id: str) -> str:
    """Return the address of an upload under way: its offset (GET, HEAD), its next bytes (PATCH), its end (DELETE)."""
    return f"/v1/uploads/{upload_id}"


def weights(model: str) -> str:
    """Return the address that takes encrypted weights (PUT)."""
    return f"{MODELS}/{model}/weights"


def stored_weights(model: str, key_id: str) -> str:
    """Return the address that tells whether the server has encrypted weights for these evaluation keys (GET)."""
    return f"{weights(model)}/{key_id}"


def predict(model: str) -> str:
    """Return the address that takes a predict request and answers with the response (POST)."""
    return f"{MODELS}/{model}/predict"


def job(job_id: str) -> str:
    """Return the address of a job: its status (GET), and its end (DELETE): a result is acknowledged, anything else is
    cancelled."""
    return f"{JOBS}/{job_id}"


def job_events(job_id: str) -> str:
    """Return the address that tells of a job by server-sent events until it has ended (GET)."""
    return f"{job(job_id)}/events"


def job_result(job_id: str) -> str:
    """Return the address of a job's response (GET)."""
    return f"{job(job_id)}/result"


def round_step(number: object, step: str, party: object) -> str:
    """Return the address that takes what a party sends in one step of a round, and answers it (POST)."""
    return f"{ROUNDS}/{number}/{step}/{party}"


def round_presence(number: object, party: object) -> str:
    """Return the address at which a party waits while it takes part in a round (POST)."""
    return f"{ROUNDS}/{number}/presence/{party}"
