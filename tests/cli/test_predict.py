from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import torch
from torch import nn

import hetorch
from tests.cli.command import hetorch as run
from tests.cli.command import refusal, server_process


def test_samples_that_a_plan_takes_side_by_side_go_out_together(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Linear(6, 2).eval()
    plan = hetorch.compile(module, torch.randn(100, 6), batch_size=4)
    plan.save(tmp_path / "scores")
    assert len(repr(plan)) < 200 and "(6,) -> (2,)" in repr(plan)
    x = np.random.default_rng(0).uniform(-1, 1, (9, 6))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "one.npy", x[0])
    with server_process([tmp_path / "scores"], tmp_path) as (url, _):
        given = ("predict", url, tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--json")
        document = json.loads(run(*given, vault=tmp_path / "vault").stdout)
        run("predict", url, tmp_path / "one.npy", "-o", tmp_path / "z.npy", vault=tmp_path / "vault")
    assert document["shape"] == [9, 2] and len(document["timings"]) == 3
    expected = module(torch.from_numpy(x).float()).detach().numpy()
    bound = plan.report.predicted_error * plan.report.output_range + 1e-5
    assert np.abs(np.load(tmp_path / "y.npy") - expected).max() < bound
    found = np.load(tmp_path / "z.npy")
    assert found.shape == (2,) and np.abs(found - expected[0]).max() < bound


def test_an_answer_that_takes_too_long_names_the_option(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(6))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given = ("predict", url, tmp_path / "x.npy", "--timeout", 0.3)
        assert refusal(*given, vault=tmp_path / "vault").endswith("within 0.3 s; wait longer with --timeout")
