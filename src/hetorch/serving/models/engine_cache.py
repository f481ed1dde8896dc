"""Engines with the keys of the last few clients, for a backend that converts keys into a form of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from hetorch.engine.backend import AnyBackend
from hetorch.engine.native import EvaluationKeys
from hetorch.params import ParameterSet

CLIENTS = 4
"""Number of clients whose engine is kept beside their native keys. A higher number saves conversions, which take about
10 ms a megabyte, and takes as much memory again as the keys of each client."""


class EngineCache:
    """The engines of one backend for one parameter set, by the client's keys; safe from many threads.

    A backend that uses native keys as they are gets a new engine each time, and nothing is kept.
    """

    def __init__(self, backend: AnyBackend, parameters: ParameterSet) -> None:
        self._backend = backend
        self._parameters = parameters
        self._lock = threading.Lock()
        # By the identity of the keys, which the entry keeps alive.
        self._engines: OrderedDict[int, tuple[EvaluationKeys, Any]] = OrderedDict()

    def clear(self) -> None:
        """Forget the engines; those in use stay until their computation ends."""
        with self._lock:
            self._engines.clear()

    def engine(self, keys: EvaluationKeys) -> Any:
        """Return an engine with these keys."""
        if self._backend.converted_key_bytes is None:
            return self._backend.make(self._parameters, keys)
        with self._lock:
            entry = self._engines.get(id(keys))
            if entry is None:
                entry = keys, self._backend.make(self._parameters, keys)
                self._engines[id(keys)] = entry
            self._engines.move_to_end(id(keys))
            if len(self._engines) > CLIENTS:
                self._engines.popitem(last=False)
            return entry[1]
