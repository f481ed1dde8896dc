"""The client: encrypts, sends, receives and decrypts. The server sees ciphertexts and evaluation keys only."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from hetorch.client.catalogue import choose_model
from hetorch.client.credentials import Credentials, StrPath
from hetorch.client.key_making import public_key_message, secret_key, stored_evaluation_keys
from hetorch.client.sharing_noise import check_sharing
from hetorch.client.timing import StepTimings
from hetorch.client.transport import Answer, Transport
from hetorch.client.trust import DEFAULT_MAX_KEY_BYTES, DEFAULT_MAX_MESSAGE_BYTES, check_plan
from hetorch.client.uploads import Uploads
from hetorch.client.vault import StoredKeys, Vault
from hetorch.client.weights import WeightSource, open_source
from hetorch.engine.secret import SecretKey, Sharing, flood
from hetorch.errors import RemoteError, WireError
from hetorch.plan.class_scores import Label
from hetorch.progress import ProgressOption, counted, reporting
from hetorch.wire.addresses import SERVER_TIMING_HEADER
from hetorch.wire.predict import dump_request, load_response, response_limits
from hetorch.wire.server_timing import load_server_timing

PREDICTING = "encrypted predictions"
"""The stage that Progress is told."""


class Client:
    """A connection to one model of a hetorch server.

    Making the object fetches and checks the public plan; keys are made and uploaded on first use. A new secret key is
    told in the log `hetorch.client`, which goes to stderr unless logging is configured otherwise. One thread at a time
    may use a client.

    Args:
        url: base address, such as "http://127.0.0.1:8000". Name and password for a proxy that asks for them may be
            part of it, as in "https://name:password@host"; messages leave them out.
        vault: a Vault, or the path of its folder; `default_vault_path()` if left out.
        model: the model's name; may be left out if the server has only one.
        timeout: seconds for one request. By default as long as the server allows (300 s unless its owner chose
            another limit, `hetorch serve --request-timeout`), and half a minute more.
        allow_insecure: accept parameters below 128-bit security, for tests only.
        max_key_bytes: the most evaluation keys that a server may ask for, in bytes on the wire.
        max_message_bytes: the longest request or response that a server may ask for, in bytes on the wire.
        progress: called with a stage and its fraction while keys and weights are made and uploaded, and samples
            predicted. By default a bar on the terminal, and a line in a notebook, for what takes more than a second;
            False for none.
        weights: for a server that must not see the model: the whole plan or its folder, whose weights are encrypted and
            uploaded when the server has none, or a file with the encrypted weights (see upload_weights).
        token: an API token of the server's owner; that of the environment's HETORCH_TOKEN if left out. It is sent over
            HTTPS, and over plain HTTP to this machine only.
        headers: more headers for every request, such as a proxy may ask for.
        verify: the roots that the server's certificate must come from: a file or folder in PEM, or an SSLContext; those
            of the system if left out.
        cert: your certificate for a server that asks for one, in PEM: a file that holds its key too, or the files of
            certificate and key.
        allow_plain_http: send the token, or the name and password in the address, over plain HTTP to another machine
            too, where everyone on the way can read them.
        transport: sends the requests in place of httpx's own, for tests and recordings.

    Attributes:
        model: the model's name.
        plan: the public plan.
        timings: a StepTimings for each request, in order; a request takes up to `plan.batch_size` samples.
        key_bytes: bytes of the evaluation keys on the wire; 0 before the first prediction.
        request_bytes: bytes of the last request on the wire; 0 before the first prediction.
        response_bytes: bytes of the last response on the wire; 0 before the first prediction.

    Raises:
        InputError: `url` is no address, `timeout` no positive number, the server has several models, or token, headers
            or certificates cannot be used there.
        RemoteError: the server cannot be reached, or has no such model.
        SecurityError: the plan's parameters are below 128-bit security.
        PlanError: the plan asks for too much, or is not the one of `weights`.
    """

    def __init__(
        self,
        url: str,
        *,
        vault: Vault | str | os.PathLike[str] | None = None,
        model: str | None = None,
        timeout: float | None = None,
        allow_insecure: bool = False,
        max_key_bytes: int = DEFAULT_MAX_KEY_BYTES,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        progress: ProgressOption = None,
        weights: WeightSource | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        verify: StrPath | ssl.SSLContext | None = None,
        cert: StrPath | tuple[StrPath, StrPath] | None = None,
        allow_plain_http: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        credentials = Credentials(token, headers, verify, cert, allow_plain_http)
        self._transport = Transport(url, timeout=timeout, credentials=credentials, transport=transport)
        self._progress = progress
        try:
            self._vault = vault if isinstance(vault, Vault) else Vault(vault)
            self._remote = choose_model(self._transport, model)
            self.model = self._remote.name
            self.plan = self._remote.public_plan()
            check_plan(
                self.plan,
                allow_insecure=allow_insecure,
                max_key_bytes=max_key_bytes,
                max_message_bytes=max_message_bytes,
            )
            opened = None if weights is None else open_source(self.plan, weights)
        except BaseException:
            self._transport.close()
            raise
        self.timings: list[StepTimings] = []
        self._closed = False
        self._secret: SecretKey | None = None
        self._uploads = Uploads(self._remote, self.plan, self._vault, opened, progress)
        self.key_bytes = 0
        self.request_bytes = 0
        self.response_bytes = 0

    def __repr__(self) -> str:
        return (
            f"Client({self._transport.url!r}, model={self.model!r}: {self.plan.input_shape} -> "
            f"{self.plan.output_shape}, vault={str(self._vault.path)!r}{', closed' if self._closed else ''})"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the secret key; the vault keeps its seed. The client cannot be used again."""
        self._closed = True
        self._secret = None
        self._transport.close()

    def predict(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the model's output for one sample or a batch of samples.

        Warns with InputRangeWarning if `x` leaves the calibrated range, or seems to have another unit.

        Args:
            x: numpy array, torch tensor or nested lists, of shape `plan.input_shape`, or with a batch axis in front.
                Batches larger than `plan.batch_size` take several requests. For a model of columns, a table: a
                DataFrame, a mapping from names to columns or a list of rows (`to_dict("records")`), in any order;
                or one row of it.
            for_sharing: must be given when anyone but the key holder will see the result, because the low bits of a
                plain decryption depend on the secret key. Adds the noise that hides them, and counts the result in the
                vault. Warns with SharingNoiseWarning if it is large beside the outputs.

        Returns:
            float64 of shape `plan.output_shape`, with the batch axis in front if `x` has one. For a model of several
            outputs a dictionary of such arrays by name, or a tuple if the model returns one. A softmax, sigmoid or
            argmax that ends the model is applied here, after decryption. For a classifier of scikit-learn or ONNX these
            are its scores.

        Raises:
            InputError: `x` has another shape or other columns, no numbers, or numbers that are not finite or far beyond
                the range; the error bound of `for_sharing` is below the plan's predicted error.
            RemoteError: the server cannot be reached or refuses, or this client is closed.
            WireError: the server's answer is malformed, or for another request.
            VaultError: the vault cannot be used, or too many results were shared.
        """
        samples, single = self.plan.samples(x, fewest=1)
        results = self.predict_samples(samples, for_sharing=for_sharing)
        return self.plan.named(results[0] if single else results)

    @property
    def classes(self) -> tuple[Label, ...] | tuple[tuple[Label, ...], ...]:
        """The labels of a classifier, in the order of the columns of predict_proba; of several classifiers a tuple of
        them each. InputError if the model is no classifier of scikit-learn or ONNX."""
        self.plan.interface.check_classes()
        labels = tuple(one.labels for one in self.plan.interface.classes)
        return labels[0] if len(labels) == 1 else labels

    def predict_proba(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the probabilities of the classes, as predict_proba of the scikit-learn classifier does.

        They are computed here from the scores that `predict` returns; its arguments and errors are the same.

        Returns:
            float64 (classes,) of one sample or (batch, classes), whose columns are the labels `classes`, in order; of
            several classifiers a list of them.

        Raises:
            InputError: the model is no classifier of scikit-learn or ONNX, or has no probabilities, or the noise for
                sharing exceeds the range of the outputs.
        """
        self.plan.interface.check_probabilities()
        samples, single = self.plan.samples(x, fewest=1)
        results = self.predict_samples(samples, for_sharing=for_sharing, for_classes=True)
        return self.plan.interface.probabilities(results[0] if single else results)

    def classify(self, x: object, *, for_sharing: Sharing | None = None) -> NDArray[np.generic]:
        """Return the labels of the classes, as predict of the scikit-learn classifier does.

        They are chosen here from the scores that `predict` returns; its arguments and errors are the same.

        Returns:
            The label of one sample, or (batch,); with one more axis for several classifiers or labels.

        Raises:
            InputError: the model is no classifier of scikit-learn or ONNX, or the noise for sharing exceeds the range
                of the outputs.
        """
        self.plan.interface.check_classes()
        samples, single = self.plan.samples(x, fewest=1)
        results = self.predict_samples(samples, for_sharing=for_sharing, for_classes=True)
        return self.plan.interface.labels(results[0] if single else results)

    def predict_samples(
        self, samples: NDArray[np.float64], *, for_sharing: Sharing | None = None, for_classes: bool = False
    ) -> NDArray[np.float64]:
        """Return the results (batch, *output_shape) of samples that plan.samples returned: the one row of a model of
        several outputs, the scores of a classifier, and what goes into a softmax or sigmoid that ends the model.

        The errors are those of `predict` or, `for_classes`, of `classify`. Warnings name the caller's caller.
        """
        if for_sharing is not None:
            check_sharing(self.plan, for_sharing, len(samples), for_classes=for_classes, stacklevel=3)
        key_id = self._prepared().key_id
        size = self.plan.batch_size
        batches = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
        with reporting(self._progress, PREDICTING) as told:
            report = counted(told, PREDICTING)
            results = []
            for done, batch in enumerate(batches):
                report(done, len(batches))
                results.append(self._predict_batch(batch, key_id, for_sharing))
            report(len(batches), len(batches))
        return np.concatenate(results)

    def prepare(self) -> None:
        """Make the keys if the vault has none, and upload keys and weights that the server does not have.

        predict does this by itself. Weights are uploaded only if this client was given some.
        """
        self._prepared()

    def _prepared(self) -> StoredKeys:
        self._check_open()
        keys = self._uploads.prepare()
        self.key_bytes = keys.size
        return keys

    def _check_open(self) -> None:
        if self._closed:
            raise RemoteError(f"this client of {self._transport.url} is closed; make a new one")

    def upload_weights(self, weights: WeightSource) -> None:
        """Upload the weights of a model that the server must not see, encrypted under this client's key.

        They replace those that the server has for this key. The server may drop them when it needs the room; this
        client then uploads them again.

        Args:
            weights: the whole plan or its folder, whose weights are encrypted with the secret key while they are sent;
                the server runs the same plan `without_weights()`. Or a file that `hetorch encrypt-weights` wrote for
                this client.

        Raises:
            PlanError: the plan is not the one that the server runs.
            WireError: the file is for another model or other keys, or no file of weights.
            StorageError: the file cannot be read.
            RemoteError: the server cannot be reached or refuses.
        """
        self._check_open()
        self._uploads.replace_weights(open_source(self.plan, weights))

    def public_key(self) -> bytes:
        """Return the public key with which the model's owner encrypts the weights for this client.

        The result is the content of a file for `hetorch encrypt-weights`. It is not secret, and belongs to this plan
        and the evaluation keys of this vault. PlanError if the server has the weights in clear.
        """
        return public_key_message(self.plan, self._vault, self._progress)

    def make_keys(self) -> StoredKeys:
        """Return the evaluation keys of the plan from the vault, making them first if it has none."""
        return stored_evaluation_keys(self.plan, self._vault, self._progress)

    def _secret_key(self) -> SecretKey:
        if self._secret is None:
            self._secret = secret_key(self.plan, self._vault)
        return self._secret

    def _predict_batch(
        self, samples: NDArray[np.float64], key_id: str, for_sharing: Sharing | None
    ) -> NDArray[np.float64]:
        """Predict at most plan.batch_size samples with one request; the results are in the order of the samples."""
        plan, secret = self.plan, self._secret_key()
        start = time.perf_counter()
        ciphertexts = [
            secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in plan.pack_batch(samples)
        ]
        request = dump_request(plan, key_id, ciphertexts)
        encrypted = time.perf_counter()
        answer = self._post(request, key_id)
        received = time.perf_counter()
        response = load_response(plan, answer.body, request)
        if response.key_id != key_id:
            raise WireError("the server's answer was made with other keys than ours; ask again")
        if for_sharing is not None:
            self._vault.record_shared(plan.parameters, for_sharing.queries)
        slots = [secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
        result = plan.unpack_batch(slots)[: len(samples)]
        if for_sharing is not None:
            result = flood(result, for_sharing)
        server = min(
            sum(load_server_timing(answer.headers.get(SERVER_TIMING_HEADER, "")).values()) / 1e3,
            answer.first_byte,
        )
        self.timings.append(
            StepTimings(
                encrypt=encrypted - start,
                upload=answer.first_byte - server,
                server=server,
                download=answer.last_byte - answer.first_byte,
                decrypt=time.perf_counter() - received,
            )
        )
        self.request_bytes, self.response_bytes = len(request), len(answer.body)
        return result

    def _post(self, request: bytes, key_id: str) -> Answer:
        """Send a request; upload keys or weights that the server has dropped, once each, and send it again."""
        limit = response_limits(self.plan).largest
        supplied: set[str | None] = set()
        while True:
            try:
                return self._remote.predict(key_id, request, limit)
            except RemoteError as error:
                if error.code in supplied or not self._uploads.supply(error.code):
                    raise
                supplied.add(error.code)
