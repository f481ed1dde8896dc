"""The parts that hetorch.Client and hetorch.AsyncClient have in common: options, attributes, and no waiting."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence

from hetorch.client.credentials import Credentials, StrPath
from hetorch.client.driver import AnyTransport, Driver
from hetorch.client.pinning import PinnedPlan
from hetorch.client.session import Session, Wishes
from hetorch.client.timing import StepTimings
from hetorch.client.transport import Transport
from hetorch.client.trust import DEFAULT_MAX_KEY_BYTES, DEFAULT_MAX_MESSAGE_BYTES
from hetorch.client.vault import Vault
from hetorch.client.weights import WeightSource
from hetorch.errors import InputError
from hetorch.plan.class_scores import Label
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption


class ClientBase:
    """The options and attributes of a client; `_driver` makes its way of waiting."""

    _driver: type[Driver]

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        vault: Vault | str | os.PathLike[str] | None = None,
        model: str | None = None,
        timeout: float | None = None,
        allow_insecure: bool = False,
        max_key_bytes: int = DEFAULT_MAX_KEY_BYTES,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        deadline: float | None = None,
        progress: ProgressOption = None,
        weights: WeightSource | None = None,
        pinned: PinnedPlan | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        verify: StrPath | ssl.SSLContext | None = None,
        cert: StrPath | tuple[StrPath, StrPath] | None = None,
        allow_plain_http: bool = False,
        transport: AnyTransport | None = None,
    ) -> None:
        if deadline is not None and not deadline > 0:
            raise InputError(f"deadline must be a positive number of seconds, got {deadline!r}")
        driver, own_vault = self._driver(), not isinstance(vault, Vault)
        opened = vault if isinstance(vault, Vault) else Vault(vault)
        credentials = Credentials(token, headers, verify, cert, allow_plain_http)
        urls = [url] if isinstance(url, str) or not isinstance(url, Sequence) else list(url)
        if not urls:
            raise InputError("there is no address; give the server's, such as http://host:port")
        connections = [
            Transport(one, timeout=timeout, credentials=credentials, transport=transport, driver=driver)
            for one in urls
        ]
        wishes = Wishes(
            model, allow_insecure, max_key_bytes, max_message_bytes, progress, weights, pinned, deadline
        )
        self._session = Session(connections, driver, opened, wishes, own_vault=own_vault)
        self._open()

    def _open(self) -> None:
        """Fetch the plan at once, where that needs no event loop."""

    def __repr__(self) -> str:
        session = self._session
        return (
            f"{type(self).__name__}({session.servers.url!r}, model={session.model!r}: {self.plan.input_shape} -> "
            f"{self.plan.output_shape}, vault={str(session.vault.path)!r}{', closed' if session.closed else ''})"
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return self._session.model

    @property
    def plan(self) -> PublicPlan:
        """The public plan."""
        return self._session.plan

    @property
    def timings(self) -> list[StepTimings]:
        """The times of each request, in order."""
        return self._session.requests.timings

    @property
    def key_bytes(self) -> int:
        """The bytes of the evaluation keys on the wire; 0 before the first prediction."""
        return self._session.keys.byte_count

    @property
    def request_bytes(self) -> int:
        """The bytes of the last request on the wire; 0 before the first prediction."""
        return self._session.requests.request_bytes

    @property
    def response_bytes(self) -> int:
        """The bytes of the last response on the wire; 0 before the first prediction."""
        return self._session.requests.response_bytes

    @property
    def classes(self) -> tuple[Label, ...] | tuple[tuple[Label, ...], ...]:
        """The labels of a classifier, in the order of the columns of predict_proba; of several classifiers a tuple of
        them each. InputError if the model is no classifier of scikit-learn or ONNX."""
        self.plan.interface.check_classes()
        labels = tuple(one.labels for one in self.plan.interface.classes)
        return labels[0] if len(labels) == 1 else labels
