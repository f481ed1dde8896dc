"""The data owner's side: encrypt, send, receive, decrypt. The server sees ciphertexts and evaluation keys only."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import numpy as np
from numpy.typing import NDArray

from hetorch.client.catalogue import choose_model, fetch_plan
from hetorch.client.inputs import to_samples
from hetorch.client.key_making import Progress, public_key_message, secret_key, stored_evaluation_keys
from hetorch.client.timing import StepTimings
from hetorch.client.transport import Answer, Transport
from hetorch.client.trust import DEFAULT_MAX_MESSAGE_BYTES, check_plan
from hetorch.client.vault import StoredKeys, Vault
from hetorch.client.weights import WeightSource, file_body, open_source, plan_body, put_weights, read_key_id
from hetorch.engine.secret import SecretKey, Sharing, flood
from hetorch.errors import InputError, RemoteError, WireError
from hetorch.plan.plan import Plan
from hetorch.wire.answers import load_key_id
from hetorch.wire.predict import dump_request, load_response, response_limits
from hetorch.wire.server_timing import load_server_timing

DEFAULT_MAX_KEY_BYTES = 4 << 30
"""On the wire; in memory while they are made, keys take up to 6.4 times as much (16 bytes for each 20-bit residue)."""


class Client:
    """A connection to one model of a hetorch server.

    `url`: base address, such as "http://127.0.0.1:8000". `model`: its name; may be left out if the server has one only.
    `vault`: a Vault or the path of its folder (default: see `default_vault_path`). `timeout`: seconds for one request.
    `allow_insecure`: accept parameters below 128-bit security, for tests only. `max_key_bytes`: the most evaluation
    keys (bytes on the wire) that a server may ask for, `max_message_bytes` the longest request or response. `progress`
    is called while keys are made. `weights`: for a server that must not see the model, the whole plan (or its folder),
    whose weights are encrypted and uploaded when the server has none, or a file with them (see upload_weights).

    Attributes: `model` (its name), `plan` (the public plan), `timings` (a StepTimings a request, in order; a request
    takes up to `plan.batch_size` samples), and in bytes
    on the wire `key_bytes`, `request_bytes` and `response_bytes` (0 before the first prediction).

    Making the object fetches and checks the public plan: RemoteError if the server cannot be reached or has no such
    model, SecurityError or PlanError if the plan is not to be trusted or not that of `weights`. Keys are made and
    uploaded on first use.
    One thread at a time may use a client.
    """

    def __init__(
        self,
        url: str,
        *,
        vault: Vault | str | os.PathLike[str] | None = None,
        model: str | None = None,
        timeout: float = 120.0,
        allow_insecure: bool = False,
        max_key_bytes: int = DEFAULT_MAX_KEY_BYTES,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        progress: Progress | None = None,
        weights: WeightSource | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, got {timeout!r}")
        self._progress = progress
        self._vault = vault if isinstance(vault, Vault) else Vault(vault)
        self._transport = Transport(url, timeout=timeout, transport=transport)
        try:
            self.model = choose_model(self._transport, model)
            self._path = f"/v1/models/{self.model}"
            self.plan = fetch_plan(self._transport, self.model)
            check_plan(
                self.plan,
                allow_insecure=allow_insecure,
                max_key_bytes=max_key_bytes,
                max_message_bytes=max_message_bytes,
            )
            self._weights = None if weights is None else open_source(self.plan, weights)
        except BaseException:
            self._transport.close()
            raise
        self.timings: list[StepTimings] = []
        self._closed = False
        self._secret: SecretKey | None = None
        self._keys: StoredKeys | None = None
        self._weights_sent = False
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
        """Close the connection and forget the secret key; the vault keeps its seed. The client is of no use then."""
        self._closed = True
        self._secret = None
        self._transport.close()

    def predict(self, x: object, *, for_sharing: Sharing | None = None) -> NDArray[np.float64]:
        """The model's output for one sample (shape `plan.input_shape`) or a batch (one more axis in front).

        `x`: numpy array, torch tensor or nested lists; larger batches than `plan.batch_size` take several requests.
        Returns float64 of shape `plan.output_shape`, with the batch
        axis in front if `x` had one. Give `for_sharing` when anyone but the key holder will see the result: the
        low bits of a plain decryption depend on the key. It adds the noise that hides them and counts the
        result in the vault.

        Raises InputError (shape, type, not finite), RemoteError (server, or this client is closed), WireError (its
        answer is malformed), VaultError (the vault, or too many shared results).
        Warns with InputRangeWarning if `x` leaves the calibrated range.
        """
        samples, single = to_samples(x, self.plan.input_shape, self.plan.input_range)
        self.prepare()
        size = self.plan.batch_size
        batches = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
        results = np.concatenate([self._predict_batch(batch, for_sharing) for batch in batches])
        return np.asarray(results[0]) if single else results

    def prepare(self) -> None:
        """Make the keys if the vault has none and upload them, and the weights if some were given, if the server has
        none; predict does this by itself."""
        keys = self._uploaded_keys()
        if self._weights is not None and not self._weights_sent:
            if not self._is_there(f"{self._path}/weights/{keys.key_id}"):
                self._put_weights(self._weights, keys)
            self._weights_sent = True

    def _uploaded_keys(self) -> StoredKeys:
        if self._closed:
            raise RemoteError(f"this client of {self._transport.url} is closed; make a new one")
        if self._keys is None:
            keys = self.make_keys()
            self._upload(keys)
            self._keys = keys
            self.key_bytes = keys.size
        return self._keys

    def upload_weights(self, weights: WeightSource) -> None:
        """Give the server the weights of a model that it must not see, under this client's key and in the place of
        those that it may have for it. They are kept until the server needs the room; this client uploads them again
        then.

        `weights`: the whole plan or its folder (of which the server has what without_weights returned), encrypted with
        the secret key while it is sent, or a file that `hetorch encrypt-weights` wrote for this client. PlanError or
        WireError if they are for another model, or for other keys; RemoteError if the server refuses.
        """
        opened = open_source(self.plan, weights)
        self._put_weights(opened, self._uploaded_keys())
        self._weights, self._weights_sent = opened, True

    def public_key(self) -> bytes:
        """What the model's owner needs to encrypt the weights for this client (`hetorch encrypt-weights`): the bytes of
        a file, not secret. They are for this plan and the evaluation keys of this vault."""
        return public_key_message(self.plan, self._vault, self._progress)

    def _put_weights(self, weights: Plan | Path, keys: StoredKeys) -> None:
        if isinstance(weights, Plan):
            body = plan_body(weights, self._secret_key(), keys.key_id, self._progress)
        else:
            made_for = read_key_id(self.plan, weights)
            if made_for != keys.key_id:
                raise WireError(
                    f"the weights in {weights} were encrypted for the keys {made_for[:12]}…, those of this vault are "
                    f"{keys.key_id[:12]}…; have them encrypted with its public key (hetorch public-key)"
                )
            body = file_body(weights, self._progress)
        put_weights(self._transport, self.model, keys.key_id, body)

    def make_keys(self) -> StoredKeys:
        """The evaluation keys of the plan from the vault, made first if they are not there."""
        return stored_evaluation_keys(self.plan, self._vault, self._progress)

    def _secret_key(self) -> SecretKey:
        if self._secret is None:
            self._secret = secret_key(self.plan, self._vault)
        return self._secret

    def _is_there(self, path: str) -> bool:
        try:
            self._transport.get(path)
        except RemoteError as error:
            if error.status != 404:
                raise
            return False
        return True

    def _upload(self, keys: StoredKeys) -> None:
        if self._is_there(f"{self._path}/keys/{keys.key_id}"):
            return
        if self._progress is not None:
            self._progress("uploading evaluation keys", 0, 1)
        answer = self._transport.send("PUT", f"{self._path}/keys", content=keys.read())
        key_id = load_key_id(answer.body)
        if key_id != keys.key_id:
            raise WireError(f"the server stored the keys as {key_id[:12]}…, they are {keys.key_id[:12]}…")
        if self._progress is not None:
            self._progress("uploading evaluation keys", 1, 1)

    def _predict_batch(
        self, samples: NDArray[np.float64], for_sharing: Sharing | None
    ) -> NDArray[np.float64]:
        """One request: at most plan.batch_size samples, the answers in their order."""
        plan, secret, keys = self.plan, self._secret_key(), self._keys
        assert keys is not None  # prepare() ran
        start = time.perf_counter()
        ciphertexts = [
            secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
            for slots in plan.pack_batch(samples)
        ]
        request = dump_request(plan, keys.key_id, ciphertexts)
        encrypted = time.perf_counter()
        answer = self._post(request, keys)
        received = time.perf_counter()
        response = load_response(plan, answer.body)
        if response.key_id != keys.key_id:
            raise WireError("the server's answer was made with other keys than ours; ask again")
        if for_sharing is not None:
            self._vault.record_shared(plan.parameters, for_sharing.queries)
        slots = [secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
        result = plan.unpack_batch(slots)[: len(samples)]
        if for_sharing is not None:
            result = flood(result, for_sharing)
        server = min(
            sum(load_server_timing(answer.headers.get("server-timing", "")).values()) / 1e3, answer.first_byte
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

    def _post(self, request: bytes, keys: StoredKeys) -> Answer:
        # The server dropped the keys (404) or the weights (409): memory limit, restart. Give them again, once each.
        given: set[int] = set()
        while True:
            try:
                return self._send(request, keys)
            except RemoteError as error:
                if error.status == 404 and 404 not in given:
                    self._upload(keys)
                elif error.status == 409 and 409 not in given and self._weights is not None:
                    self._put_weights(self._weights, keys)
                else:
                    raise
                given.add(error.status)

    def _send(self, request: bytes, keys: StoredKeys) -> Answer:
        return self._transport.send(
            "POST",
            f"{self._path}/predict",
            content=request,
            headers={"Hetorch-Key-Id": keys.key_id},
            limit=response_limits(self.plan).largest,
        )
