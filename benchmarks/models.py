"""Whole networks on encrypted images: the server's time for one sample, against TenSEAL's tutorials in the same run.

The same weights in both. Sizes, compile times and the worst errors against the network in clear go to standard error.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import hetorch
from benchmarks.measure import Row, compare
from benchmarks.output import arguments, rows_for_each_thread_count, write
from hetorch.engine import _native
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.runtime import Runner

SAMPLES = 64


class Square(nn.Module):
    """x^2 in every element."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


@dataclass(frozen=True, slots=True)
class Network:
    """A network, and the name of the class in benchmarks.tenseal_models that runs it there."""

    name: str
    module: nn.Sequential
    peer: str


def networks() -> list[Network]:
    """The two networks of TenSEAL's tutorials, with seeded weights."""
    torch.manual_seed(0)
    convolutional = nn.Sequential(
        nn.Conv2d(1, 4, 7, stride=3), Square(), nn.Flatten(), nn.Linear(256, 64), Square(), nn.Linear(64, 10)
    )
    dense = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), Square(), nn.Linear(128, 10))
    return [
        Network("CNN: Conv(1,4,7x7,s3) - x^2 - 256-64 - x^2 - 64-10", convolutional.eval(), "Convolutional"),
        Network("MLP: 784-128 - x^2 - 128-10", dense.eval(), "Dense"),
    ]


def measure(network: Network, threads: int) -> Row:
    """One row: TenSEAL's server-side run against ours, each on its own ciphertext of the same image."""
    images = torch.rand(SAMPLES, 1, 28, 28)
    image: NDArray[np.float64] = images[0].numpy().astype(np.float64)
    expected = network.module(images[:1]).detach().numpy()[0]

    start = time.perf_counter()
    plan = hetorch.compile(network.module, images)
    compiled = time.perf_counter() - start
    public = plan.public()
    key = SecretKey.generate(plan.parameters)
    engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
    runner = Runner(plan, engine)
    runner.prepare()
    encrypted = [
        key.encrypt(s, level=public.input_level, scale=public.input_scale) for s in public.pack(image)
    ]
    result = public.unpack([key.decrypt(c) for c in runner.run(encrypted)])
    facts = {
        "network": network.name,
        "compile_s": round(compiled, 2),
        "key_bytes": public.evaluation_key_bytes,
        "input_bytes": public.input_ciphertext_bytes,
        "worst_error": float(np.abs(result - expected).max()),
        "output_range": float(np.ptp(expected)),
    }
    try:
        peer_version = version("tenseal")
    except PackageNotFoundError:
        print(json.dumps(facts), file=sys.stderr)
        return compare(
            network.name, "TenSEAL", "", threads, None, lambda: runner.run(encrypted), reason="not installed"
        )
    from benchmarks import tenseal_models

    peer = getattr(tenseal_models, network.peer)(network.module, tenseal_models.context())
    theirs = np.array(peer.run(peer.encrypt(image[0])).decrypt())
    facts["peer_worst_error"] = float(np.abs(theirs - expected).max())
    print(json.dumps(facts), file=sys.stderr)
    inputs = [peer.encrypt(image[0]) for _ in range(4)]  # TenSEAL's products change their argument
    return compare(
        network.name,
        "TenSEAL",
        peer_version,
        threads,
        lambda: peer.run(inputs.pop()),
        lambda: runner.run(encrypted),
        repetitions=3,
    )


def main() -> None:
    """Print the table; `--rows` measures with this process's threads and writes JSON."""
    options = arguments(__doc__ or "")
    if options.rows:
        threads = _native.thread_count()
        print(json.dumps([measure(network, threads).to_json() for network in networks()]))
        return
    write(
        "Networks, server time for one sample",
        rows_for_each_thread_count("benchmarks.models", (1, 2)),
        options.json,
    )


if __name__ == "__main__":
    main()
