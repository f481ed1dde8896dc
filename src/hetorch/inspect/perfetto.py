"""A trace as a timeline for Perfetto (https://ui.perfetto.dev) and chrome://tracing.

The format is the JSON of the Trace Event Format (Google, "Trace Event Format", 2016): complete events ("X") for layers,
counters ("C") for level, memory and noise, metadata ("M") for names; times in microseconds. All times are rounded to
whole ones, so that no layer begins before the one above it ends: Perfetto drops a layer that does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from hetorch.inspect.layer_trace import LayerTrace

MICROSECONDS = 1e6
"""Microseconds of a second; the file has its times in them."""
PROCESS, MEASURED, PREDICTED = 1, 2, 3
"""The numbers of the only process and of the two rows of layers; a row of number 1 would be called main thread."""
CONTENT = (
    "ranges and errors of the values of an inference, decrypted or in clear: keep this file as you keep the samples; "
    "it holds neither keys nor weights"
)
"""The sentence on the file's content that the file itself holds."""

Event = dict[str, object]


def timeline(title: str, layers: Sequence[LayerTrace], facts: Mapping[str, object]) -> bytes:
    """Return the file: one run of the layers, by measured times if the run was encrypted, and by predicted ones.

    Args:
        title: the name of the process.
        layers: in the order in which they ran.
        facts: further figures of the whole trace.
    """
    measured = all(layer.seconds is not None for layer in layers)
    events: list[Event] = [_name("process_name", title)]
    seconds = [layer.seconds if layer.seconds is not None else layer.predicted_seconds for layer in layers]
    if measured:
        events += [_name("thread_name", "measured: one run on ciphertexts", MEASURED)]
        events += _slices(layers, seconds, MEASURED)
    events += [_name("thread_name", "predicted by the plan", PREDICTED)]
    events += _slices(layers, [layer.predicted_seconds for layer in layers], PREDICTED)
    events += _counters(layers, seconds)
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"producer": "hetorch", "content": CONTENT, **facts},
    }
    return json.dumps(finite(document), allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")


def finite(data: object) -> object:
    """Return plain data with None in place of NaN and infinity, which JSON has no words for."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {name: finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(item) for item in data]
    return data


def _name(kind: str, name: str, thread: int = 0) -> Event:
    return {"ph": "M", "name": kind, "pid": PROCESS, "tid": thread, "args": {"name": name}}


def _slices(layers: Sequence[LayerTrace], seconds: Sequence[float], thread: int) -> Iterator[Event]:
    """Yield an event for each layer, one after the other; its arguments are all figures of the layer."""
    moments = _moments(seconds)
    for layer, begin, end in zip(layers, moments, moments[1:], strict=False):
        yield {
            "ph": "X",
            "name": layer.name,
            "cat": layer.kind or "layer",
            "pid": PROCESS,
            "tid": thread,
            "ts": begin,
            "dur": end - begin,
            "args": {name: value for name, value in layer.to_dict().items() if value is not None},
        }


def _counters(layers: Sequence[LayerTrace], seconds: Sequence[float]) -> Iterator[Event]:
    """Yield the counters: memory while a layer runs, level and noise of its result; each stays until the next one."""
    moments = _moments(seconds)
    for number, layer in enumerate(layers):
        yield from _counter("memory", "MB", moments[number], layer.memory_bytes / 1e6)
        # Until a layer ends there are the level and the noise of its operands; the input has its own from the start.
        end = moments[number + 1] if number else moments[0]
        yield from _counter("level", "rescalings left", end, layer.level)
        if layer.noise is not None:
            yield from _counter("noise", "largest error", end, layer.noise.worst)
            yield from _counter("precision", "bits", end, layer.noise.bits)
    yield from _counter("memory", "MB", moments[-1], layers[-1].memory_bytes / 1e6)


def _moments(seconds: Sequence[float]) -> list[int]:
    """Return the beginning of each layer and the end of the last one, in microseconds."""
    return [round(sum(seconds[:number]) * MICROSECONDS) for number in range(len(seconds) + 1)]


def _counter(name: str, unit: str, moment: int, value: float) -> Iterator[Event]:
    if math.isfinite(value):
        yield {"ph": "C", "name": name, "pid": PROCESS, "ts": moment, "args": {unit: value}}
