"""The joint model, compiled and served, answers encrypted queries: training together meets inference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.client import StepTimings
from hetorch.demo.child import python_child, tail, wait_for_file
from hetorch.demo.federated.models import HIDDEN, FloatArray, Weights, logits
from hetorch.demo.federated.processes import START_SECONDS
from hetorch.demo.federated.records import FEATURES, Data
from hetorch.demo.federated.result import Query
from hetorch.errors import HetorchError

MODEL = "heart"
TOLERANCE = 0.005
"""Largest error of the polynomials, relative to the range of the logits; a smaller one costs levels."""


def ask_encrypted(weights: Weights, data: Data, folder: Path) -> Query:
    """Compile the small network at the first hospital, whose records set its ranges, serve it in a process of its own,
    and query it for one test patient of each hospital. The server sees neither the patient nor the answer."""
    import torch  # it takes seconds to import, and only this part of the demonstration needs it
    from torch import nn

    from hetorch import compile as compile_model

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        network.load_state_dict({name: torch.from_numpy(value).float() for name, value in weights.items()})
        calibration = torch.from_numpy(data.hospitals[0].train.features).float()
        plan = compile_model(
            network.eval(), calibration, name=MODEL, activation_tolerance=TOLERANCE, progress=False
        )
    finally:
        torch.set_num_threads(threads)
    plan.save(folder / f"{MODEL}.hetorch")
    patients = np.stack([hospital.test.features[0] for hospital in data.hospitals])
    answers = _serve_and_query(patients, folder)
    return Query(
        tuple(hospital.name for hospital in data.hospitals),
        _probabilities(logits(weights, patients)),
        _probabilities(answers["logits"][:, 0]),
        tuple(bool(hospital.test.labels[0]) for hospital in data.hospitals),
        1e3 * float(np.median(sum(answers[step.name] for step in dataclasses.fields(StepTimings)))),
        int(answers["sizes"][1]),
    )


def _serve_and_query(patients: FloatArray, folder: Path) -> dict[str, NDArray[Any]]:
    """Return what `hetorch.demo.querier` writes for these patients, with a server in a process of its own."""
    np.save(folder / "patients.npy", patients)
    ready, outputs = folder / "ready", folder / "answers.npz"
    server_log, client_log = folder / "server.log", folder / "client.log"
    serve = ["serve", str(folder / f"{MODEL}.hetorch"), "--port", "0", "--ready-file", str(ready), "--json"]
    with python_child("hetorch.cli.main", serve, server_log) as server:
        url = wait_for_file(ready, server, server_log, START_SECONDS)
        arguments = [url, str(folder / "vault"), str(folder / "patients.npy"), str(outputs)]
        with python_child("hetorch.demo.querier", arguments, client_log) as client:
            assert client.stdout is not None
            client.stdout.read()
            if client.wait() != 0:
                raise HetorchError(
                    f"the encrypted query failed: {tail(client_log)}; the server says: {tail(server_log)}"
                )
    with np.load(outputs, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _probabilities(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(1 / (1 + np.exp(-value))) for value in values)
