"""The refusals of the service, each with its stable code (`hetorch.wire.codes`) and one sentence for people.

ServiceError
├── Busy              no room for this computation now; `retry_after` tells when to ask again, if that is predicted
│   └── OutOfMemory   the worker may not take the memory that it needs
├── DeadlinePassed    the computation did not end in its time
├── RateExceeded      the tenant asks or sends more than it may; `retry_after` tells when it may again
├── ModelUnknown      there is no model of this name
├── Mixup             a request for something else than what its address names: OtherTenant, OtherModel, OtherVersion,
│                     OtherParameters, OtherKeys
├── KeysMissing       the evaluation keys are not here
├── WeightsMissing    the encrypted weights are not here
├── WeightsInClear    encrypted weights for a model whose weights are in clear
├── QuotaExceeded     the tenant has as much here as it may
├── UploadUnknown     there is no such upload under way
├── UploadOffset      bytes that do not continue an upload where it is; `offset` tells where
├── WorkerLost        two workers died of this computation
├── JobUnknown        there is no such job of this tenant
├── JobUnfinished     a job has no result yet
└── JobFailed         a job has no result and never will, for the reason in `code`

ComputationFailed is no refusal: it is a fault of ours, and its text is for the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.errors import HetorchError
from hetorch.wire.addresses import MODELS
from hetorch.wire.codes import Code


class ServiceError(HetorchError):
    """A request that the service does not fulfil, and whose reason its client may know."""

    code: Code = Code.INTERNAL


class Busy(ServiceError):
    """There is no room for a computation now. `retry_after`: seconds after which it is worth to ask again; None where
    nothing is known about it."""

    code = Code.BUSY

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class OutOfMemory(Busy):
    """A worker may not take the memory that the computation needs."""

    def __init__(self, model: str) -> None:
        super().__init__(f"the server has no memory for this computation of {model!r} now; try again")


class RateExceeded(ServiceError):
    """A tenant asks, or sends, more than its limits allow. `retry_after`: seconds after which it may again; None where
    that depends on its other requests."""

    code = Code.RATE_EXCEEDED

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class WorkerLost(ServiceError):
    """Two workers died, one after the other, while they computed this. `reason`: how the second one ended."""

    code = Code.WORKER_LOST

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the process that computed {reason}, and so had one before it; ask the server's owner what ended them"
        )


class JobUnknown(ServiceError):
    """There is no such job of this tenant."""

    code = Code.JOB_UNKNOWN

    def __init__(self, job: str) -> None:
        super().__init__(
            f"there is no job {job[:12]}… here: it was cancelled, its result was acknowledged, its time is over, or it "
            "was never yours"
        )


class JobUnfinished(ServiceError):
    """A job has no result yet. `state`: where it is."""

    code = Code.JOB_UNFINISHED

    def __init__(self, job: str, state: str) -> None:
        super().__init__(f"the job {job[:12]}… is {state}; ask for its result when it is done")


class JobFailed(ServiceError):
    """A job failed, or was cancelled; its code is that of the failure."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ComputationFailed(HetorchError):
    """A computation failed as only a fault of ours can; the message has the worker's traceback."""


class DeadlinePassed(ServiceError):
    """A computation did not end in its time, its wait included. `long`: nobody waited for it."""

    code = Code.TIMEOUT

    def __init__(self, seconds: float, *, long: bool = False) -> None:
        what, option = ("job", "--job-timeout") if long else ("request", "--request-timeout")
        longer = "" if long else "; submit() of the client asks for a job, which may take longer"
        super().__init__(
            f"the computation took longer than {seconds:g} s, the most that this server allows a {what}, which its "
            f"owner sets with hetorch serve {option}{longer}"
        )


class ModelUnknown(ServiceError):
    """There is no model of this name."""

    code = Code.MODEL_UNKNOWN

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model {name[:128]!r} here; models are listed at {MODELS!r}")


class Mixup(ServiceError):
    """A request is for something else than what its address, its token or its header names."""


class OtherTenant(Mixup):
    """The request names a tenant that is not the one of its token."""

    code = Code.OTHER_TENANT


class OtherModel(Mixup):
    """The request was made for another model that is here."""

    code = Code.OTHER_MODEL

    def __init__(self, name: str, other: str) -> None:
        super().__init__(
            f"the request to {name!r} was made with the plan of {other!r}; ask that model, or fetch the right plan"
        )


class OtherVersion(Mixup):
    """The request was made for a version of the model that is not here, or no longer. `versions`: those that are."""

    code = Code.OTHER_VERSION

    def __init__(self, name: str, version: str, versions: Sequence[str]) -> None:
        super().__init__(
            f"{name!r} is served in the version {' and '.join(f'{v}…' for v in versions)}, and the request was made "
            f"for {version}…, which is not here, or no longer; fetch the public plan again"
        )


class OtherParameters(Mixup):
    """The body was made for other parameters than the plan's."""

    code = Code.OTHER_PARAMETERS


class OtherKeys(Mixup):
    """The header and the body name different evaluation keys."""

    code = Code.OTHER_KEYS

    def __init__(self, named: str, made_for: str) -> None:
        super().__init__(
            f"the header names the keys {named[:12]}…, the message was made for {made_for[:12]}…"
        )


class KeysMissing(ServiceError):
    """The evaluation keys with this id are not here."""

    code = Code.KEYS_MISSING

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the keys {key_id[:12]}… are not here; upload them again")


class WeightsMissing(ServiceError):
    """There are no encrypted weights of this model for the keys with this id."""

    code = Code.WEIGHTS_MISSING

    def __init__(self, model: str, key_id: str) -> None:
        super().__init__(
            f"{model!r} computes on encrypted weights, and there are none for the keys {key_id[:12]}…: they were not "
            "uploaded yet, or left the server's memory; whoever has the whole plan uploads them, with "
            "Client.upload_weights(plan) or `hetorch upload-weights`"
        )


class WeightsInClear(ServiceError):
    """Encrypted weights for a model whose weights the server has in clear."""

    code = Code.WEIGHTS_IN_CLEAR

    def __init__(self, model: str) -> None:
        super().__init__(f"the server has the weights of {model!r} in clear; it takes none")


class QuotaExceeded(ServiceError):
    """A tenant has, or would have, more here than it may."""

    code = Code.QUOTA_EXCEEDED


class UploadUnknown(ServiceError):
    """There is no upload under way with this id, or it belongs to another tenant."""

    code = Code.UPLOAD_UNKNOWN

    def __init__(self) -> None:
        super().__init__("there is no such upload under way here; begin again")


class UploadOffset(ServiceError):
    """Bytes do not continue an upload; the next one is number `offset`."""

    code = Code.UPLOAD_OFFSET

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload goes on at byte {offset}")
        self.offset = offset
