"""The client: encrypts, sends, receives and decrypts. The server sees ciphertexts and evaluation keys only."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.client.blocking import BlockingDriver, finish
from hetorch.client.client_base import ClientBase
from hetorch.client.jobs import Job
from hetorch.client.vault import StoredKeys
from hetorch.client.weights import WeightSource
from hetorch.engine.sharing import Sharing


class Client(ClientBase):
    """A connection to one model of a hetorch server.

    Making the object fetches and checks the public plan; keys are made and uploaded on first use. A new secret key is
    told in the log `hetorch.client`, which goes to stderr unless logging is configured otherwise. Many threads may use
    one client: calls at the same time are gathered into one request where the plan takes several samples.

    Args:
        url: base address, such as "http://127.0.0.1:8000". Name and password for a proxy that asks for them may be
            part of it, as in "https://name:password@host"; messages leave them out. Several addresses are those of
            servers with the same plan: where one is busy or away, the next one is asked, which the log tells. Each gets
            keys and weights when it is used.
        vault: a Vault, or the path of its folder; `default_vault_path()` if left out. A sealed one is opened with the
            passphrase in the environment's HETORCH_VAULT_PASSPHRASE, or by Vault(path, passphrase=…).
        model: the model's name; may be left out if the server has only one.
        timeout: seconds for one request, also where the server makes a job of it to tell its layers. By default as long
            as the server allows (300 s unless its owner chose another limit, `hetorch serve --request-timeout`), and
            half a minute more. What is expected to take longer than that limit is a job without this bound.
        deadline: seconds for a whole call, with uploads, repeats and all its requests; no bound if left out. A
            computation on this machine, such as that of keys, is not interrupted.
        allow_insecure: accept parameters below 128-bit security, for tests only.
        max_key_bytes: the most evaluation keys that a server may ask for, in bytes on the wire.
        max_message_bytes: the longest request or response that a server may ask for, in bytes on the wire.
        progress: called with a stage and its fraction while keys and weights are made and uploaded, and samples
            predicted. By default a bar on the terminal, and a line in a notebook, for what takes more than a second;
            "lines" for a line on stderr every 10 s elsewhere too, such as in a log; False for none. Predictions that
            take more than 5 s tell their layers.
        weights: for a server that must not see the model: the whole plan or its folder, whose weights are encrypted and
            uploaded when the server has none, or a file with the encrypted weights (see upload_weights).
        pinned: the plan that the server must run, from whoever compiled it: a plan, its folder, or the SHA-256 of its
            public part, which `hetorch inspect` shows. Results for sharing need it.
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
        InputError: `url` is no address, `timeout` or `deadline` no positive number, the server has several models, or
            token, headers or certificates cannot be used there.
        RemoteError: the server cannot be reached, or has no such model.
        SecurityError: the plan's parameters are below 128-bit security.
        PlanError: the plan asks for too much, or is not the one of `weights`.
    """

    _driver = BlockingDriver

    def _open(self) -> None:
        finish(self._session.open())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and wipe the secret key; the vault keeps its seed. The client cannot be used again."""
        finish(self._session.close())

    def predict(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the model's output for one sample or a batch of samples.

        Warns with InputRangeWarning if `x` leaves the calibrated range, or seems to have another unit. A finite value
        far beyond it is refused at the end only, with the same error whatever its size: a server that chose the range
        would see from a missing request that the input is beyond it.

        Warns with InputRangeWarning too, by name and sample, if a decrypted result lies far outside those of
        calibration (`plan.warn_of_results`): it may be meaningless, even where the input is within its range.

        Args:
            x: numpy array, torch tensor or nested lists, of shape `plan.input_shape`, or with a batch axis in front; or
                an image of Pillow or a list of them, whose pixels are taken as they are, channels first.
                Batches larger than `plan.batch_size` take several requests. For a model of columns, a table: a
                DataFrame, a mapping from names to columns or a list of rows (`to_dict("records")`), in any order;
                or one row of it.
            for_sharing: must be given when anyone but the key holder will see the result, because the low bits of a
                plain decryption depend on the secret key. Adds the noise that hides them, and counts the result in the
                vault. Needs `pinned` or a whole plan as `weights`, since the noise follows from the error that the plan
                predicts.

        Returns:
            float64 of shape `plan.output_shape`, with the batch axis in front if `x` has one. For a model of several
            outputs a dictionary of such arrays by name, or a tuple if the model returns one. A softmax, sigmoid or
            argmax that ends the model is applied here, after decryption. For a classifier of scikit-learn or ONNX these
            are its scores.

        Raises:
            InputError: `x` has another shape or other columns, no numbers, or numbers that are not finite or far beyond
                the range; or the plan is not pinned for `for_sharing`, its error bound is below what the plan predicts,
                or the noise is too large a share of the range of the outputs.
            RemoteError: the server cannot be reached or refuses, or this client is closed.
            WireError: the server's answer is malformed, or for another request.
            VaultError: the vault cannot be used, or too many results were shared.
        """
        return finish(self._session.predict(x, for_sharing))

    def submit(self, x: object, *, for_sharing: Sharing | None = None) -> Job:
        """Ask for the model's output without waiting for it.

            job = client.submit(x)
            print(job.progress)
            y = job.result()

        Arguments and errors are those of `predict`. The server keeps the result for a day, unless its owner chose
        another time, or until it was fetched.

        Returns:
            A Job with `progress`, `result()` and `cancel()`. It is bound to this client.
        """
        return Job(finish(self._session.submit(x, for_sharing)))

    def predict_proba(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the probabilities of the classes, as predict_proba of the scikit-learn classifier does.

        They are computed here from the scores that `predict` returns; its arguments and errors are the same.

        Returns:
            float64 (classes,) of one sample or (batch, classes), whose columns are the labels `classes`, in order; of
            several classifiers a list of them.

        Raises:
            InputError: as predict; or the model is no classifier of scikit-learn or ONNX, or has no probabilities.
        """
        return finish(self._session.predict_proba(x, for_sharing))

    def classify(self, x: object, *, for_sharing: Sharing | None = None) -> NDArray[np.generic]:
        """Return the labels of the classes, as predict of the scikit-learn classifier does.

        They are chosen here from the scores that `predict` returns; its arguments and errors are the same.

        Returns:
            The label of one sample, or (batch,); with one more axis for several classifiers or labels.

        Raises:
            InputError: as predict; or the model is no classifier of scikit-learn or ONNX.
        """
        return finish(self._session.classify(x, for_sharing))

    def predict_samples(
        self, samples: NDArray[np.float64], *, for_sharing: Sharing | None = None
    ) -> NDArray[np.float64]:
        """Return the results (batch, *output_shape) of samples that plan.samples returned: the one row of a model of
        several outputs, the scores of a classifier, and what goes into a softmax or sigmoid that ends the model.

        The errors are those of `predict`.
        """
        return finish(self._session.predict_samples(samples, for_sharing))

    def prepare(self) -> None:
        """Make the keys if the vault has none, and upload keys and weights that the server does not have.

        predict does this by itself. Weights are uploaded only if this client was given some.
        """
        finish(self._session.prepare())

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
        finish(self._session.upload_weights(weights))

    def rotate_keys(self) -> bool:
        """Replace the secret key of this plan's parameters, and the evaluation keys here and on the servers.

        What was encrypted under the old key cannot be decrypted any more. Other plans with the same parameters have the
        same secret key: theirs are made again when they are used, and their old ones stay on their servers. A model
        whose weights are in a file needs another file, for the new public key. Calls of other threads that are under
        way end with an answer or an error.

        Returns:
            True if no server has the old evaluation keys any more; the log names those that may have them.

        Raises:
            VaultError: the vault cannot be written.
            RemoteError: no server takes the new keys now; the next prediction uploads them.
        """
        return finish(self._session.rotate_keys())

    def public_key(self) -> bytes:
        """Return the public key with which the model's owner encrypts the weights for this client.

        The result is the content of a file for `hetorch encrypt-weights`. It is not secret, and belongs to this plan
        and the evaluation keys of this vault. PlanError if the server has the weights in clear.
        """
        return self._session.public_key()

    def make_keys(self) -> StoredKeys:
        """Return the evaluation keys of the plan from the vault, making them first if it has none."""
        return self._session.make_keys()
