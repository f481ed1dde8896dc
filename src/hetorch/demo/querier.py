"""The client process of the demo: `python -m hetorch.demo.querier URL VAULT IMAGES OUTPUTS`.

It reads images (.npy), sends each one encrypted, and writes an .npz with the logits, the seconds of each step, the
sizes, and some bytes of the first request as they were sent. Progress goes to standard output, a JSON line a step.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from hetorch.client import Client, StepTimings
from hetorch.errors import HetorchError

SEEN_BYTES = 28 * 28
"""Bytes of the request that the report shows in place of a digit: as many as an image has pixels."""
SKIPPED = 512
"""Bytes at the beginning of the request that are not shown; the headers are among them."""


class RequestRecorder(httpx.BaseTransport):
    """A transport that sends as httpx does, and keeps a piece of the first request to predict."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.seen = b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        if not self.seen and request.url.path.endswith("/predict"):
            self.seen = request.content[SKIPPED : SKIPPED + SEEN_BYTES]
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def query(url: str, vault: Path, images: Path, outputs: Path) -> None:
    """Predict all images encrypted, and write `outputs`; HetorchError if a prediction fails."""
    samples = np.load(images, allow_pickle=False)
    recorder = RequestRecorder()
    logits = []
    with Client(url, vault=vault, progress=_say, transport=recorder) as client:
        client.prepare()
        for index, sample in enumerate(samples):
            logits.append(client.predict(sample))
            _say("encrypted predictions", (index + 1) / len(samples))
        steps = {
            field.name: np.array([getattr(timing, field.name) for timing in client.timings])
            for field in dataclasses.fields(StepTimings)
        }
        sizes = np.array([client.key_bytes, client.request_bytes, client.response_bytes])
    seen = np.frombuffer(recorder.seen, dtype=np.uint8)
    arrays: dict[str, NDArray[Any]] = {"logits": np.stack(logits), "sizes": sizes, "seen": seen, **steps}
    np.savez(outputs, allow_pickle=False, **arrays)


def _say(stage: str, fraction: float) -> None:
    print(json.dumps([stage, fraction]), flush=True)


def main(arguments: list[str]) -> int:
    """Return the exit code: 0, or 1 after an error, which is printed to standard error in one line."""
    url, vault, images, outputs = arguments
    try:
        query(url, Path(vault), Path(images), Path(outputs))
    except HetorchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
