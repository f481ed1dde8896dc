"""Timelines of traces: the figures of the trace in the Trace Event Format, and nothing that viewers drop."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetorch.errors import StorageError
from hetorch.inspect import trace
from hetorch.inspect.layer_trace import Errors
from hetorch.inspect.perfetto import MEASURED, PREDICTED, finite, timeline
from hetorch.inspect.trace_result import Trace
from tests.inspect.branched_plan import inputs, model, plan

Events = list[Mapping[str, Any]]


@functools.cache
def encrypted() -> Trace:
    return trace(plan(), inputs()[:8], model(), progress=False)


def document(traced: Trace, path: Path) -> dict[str, Any]:
    traced.to_perfetto(path)
    # A parser of JSON knows neither NaN nor Infinity; Python's does, unless it is told so.
    parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return parsed


def slices(events: Events, thread: int) -> Events:
    return [event for event in events if event["ph"] == "X" and event["tid"] == thread]


def counter(events: Events, name: str) -> list[tuple[int, float]]:
    return [
        (event["ts"], *event["args"].values())
        for event in events
        if event["ph"] == "C" and event["name"] == name
    ]


def test_layers_follow_one_another_and_add_up(tmp_path: Path) -> None:
    traced = encrypted()
    events = document(traced, tmp_path / "t.json")["traceEvents"]
    for thread, times in (
        (MEASURED, [layer.seconds for layer in traced.layers]),
        (PREDICTED, [layer.predicted_seconds for layer in traced.layers]),
    ):
        layers = slices(events, thread)
        assert [event["name"] for event in layers] == [layer.name for layer in traced.layers]
        end = 0
        for event, seconds in zip(layers, times, strict=True):
            assert isinstance(event["ts"], int) and event["ts"] == end  # Perfetto drops what overlaps
            end += event["dur"]
            # Both ends are rounded to a microsecond, each by half of one at most.
            assert abs(event["dur"] - 1e6 * (seconds or 0)) <= 1
    assert traced.seconds is not None and abs(end - 1e6 * sum(times)) <= 1  # type: ignore[arg-type]


def test_counters_are_the_trace(tmp_path: Path) -> None:
    traced = encrypted()
    events = document(traced, tmp_path / "t.json")["traceEvents"]
    assert [value for _, value in counter(events, "level")] == [layer.level for layer in traced.layers]
    memory = [value for _, value in counter(events, "memory")]
    assert memory[:-1] == [layer.memory_bytes / 1e6 for layer in traced.layers]
    worst = [value for _, value in counter(events, "noise")]
    assert worst == [layer.noise.worst for layer in traced.layers if layer.noise]
    layers = slices(events, MEASURED)
    ends = [event["ts"] + event["dur"] for event in layers]
    assert [moment for moment, _ in counter(events, "level")][1:] == ends[1:]
    for event, layer in zip(layers, traced.layers, strict=True):
        known = {name: value for name, value in layer.to_dict().items() if value is not None}
        assert event["args"] == finite(known)


def test_the_file_says_what_it_holds_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    told = document(encrypted(), path)["otherData"]
    assert "decrypted" in told["content"] and told["samples"] == 8 and told["run"] == "encrypted"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    encrypted().to_perfetto(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_run_that_was_not_encrypted_has_predicted_times_only(tmp_path: Path) -> None:
    traced = trace(plan(), inputs()[:2], run="cleartext", progress=False)
    events = document(traced, tmp_path / "t.json")["traceEvents"]
    assert not slices(events, MEASURED) and len(slices(events, PREDICTED)) == len(traced.layers)
    assert counter(events, "level") and not counter(events, "noise")


def test_values_that_json_lacks() -> None:
    exact = Errors(0.0, 0.0, 0.0, math.inf)
    broken = Errors(math.nan, math.inf, math.inf, -math.inf)
    layers = [
        replace(encrypted().layers[0], noise=exact, name="\ud800"),
        replace(encrypted().layers[1], noise=broken),
    ]
    events = json.loads(timeline("t", layers, {}), parse_constant=pytest.fail)["traceEvents"]
    assert [value for _, value in counter(events, "noise")] == [0.0]
    assert not counter(events, "precision")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        encrypted().to_perfetto(tmp_path / "none" / "t.json")
