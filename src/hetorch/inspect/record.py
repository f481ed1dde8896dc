"""Runs of a plan that keep the values of every layer: by exact arithmetic, with modelled noise, and encrypted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.native import Ciphertext
from hetorch.inspect.batches import Slots
from hetorch.inspect.layers import Layer
from hetorch.plan import Plan
from hetorch.runtime import Event, Listener, Runner

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The values of the layers in one run of some samples.

    values     the result of each layer, (samples, elements); empty if only times were asked for
    added      the noise that each layer added by itself: its result less what exact arithmetic makes of its operands;
               empty for a run by exact arithmetic
    seconds    time of each layer in one run, 0 by exact arithmetic
    rotations  number of rotations of each layer in one run, 0 by exact arithmetic
    """

    values: tuple[Array, ...]
    added: tuple[Array, ...]
    seconds: tuple[float, ...]
    rotations: tuple[int, ...]


def record_cleartext(plan: Plan, layers: Sequence[Layer], samples: Array, told: Callable[[], None]) -> Record:
    """Return the values by exact arithmetic; `told` is called after each operation."""
    parts: list[list[Array]] = []
    for packed, count in _batches(plan, samples):
        slots: dict[int, Slots] = dict(zip(plan.program.inputs, packed, strict=True))
        for layer in layers:
            _evaluate(plan, layer, slots, told)
        parts.append([layer.unpack(slots)[:count] for layer in layers])
    zeros = (0,) * len(layers)
    return Record(_joined(parts), (), zeros, zeros)


def record_simulated(
    plan: Plan, layers: Sequence[Layer], samples: Array, seed: int, told: Callable[[], None]
) -> Record:
    """Return the values with the modelled noise of encryption."""
    engine = CleartextEngine(plan.parameters, seed=seed)
    runner = Runner(plan, engine)
    taken: dict[int, Slots] = {}

    def run(packed: Sequence[Slots], listener: Listener) -> None:
        inputs = [engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale) for slots in packed]
        for value, ciphertext in zip(plan.program.inputs, inputs, strict=True):
            taken[value] = ciphertext.values
        runner.run(inputs, on_event=listener)

    return _record(plan, layers, samples, run, lambda ciphertext: ciphertext.values, taken, told)


def record_encrypted(
    plan: Plan,
    layers: Sequence[Layer],
    samples: Array,
    encrypt: Callable[[Slots], Ciphertext],
    decrypt: Callable[[Ciphertext], Slots],
    run_ciphertexts: Callable[[Sequence[Ciphertext], Listener], object],
    told: Callable[[], None],
) -> Record:
    """Return the decrypted values of a run on ciphertexts, which the last functions encrypt, decrypt and run."""
    taken: dict[int, Slots] = {}

    def run(packed: Sequence[Slots], listener: Listener) -> None:
        inputs = [encrypt(slots) for slots in packed]
        for value, ciphertext in zip(plan.program.inputs, inputs, strict=True):
            taken[value] = decrypt(ciphertext)
        run_ciphertexts(inputs, listener)

    return _record(plan, layers, samples, run, decrypt, taken, told)


def record_times(
    plan: Plan,
    layers: Sequence[Layer],
    samples: Array,
    encrypt: Callable[[Slots], Ciphertext],
    run_ciphertexts: Callable[[Sequence[Ciphertext], Listener], object],
    told: Callable[[], None],
) -> Record:
    """Return times and rotations of a run on ciphertexts, and no values."""
    totals, runs = _Totals(layers), 0

    def listen(event: Event) -> None:
        totals.count(event)
        told()

    for packed, _ in _batches(plan, samples):
        runs += 1
        run_ciphertexts([encrypt(slots) for slots in packed], listen)
    return totals.record(runs, (), ())


class _Totals:
    """Times and rotations of each layer, over several runs."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.place = {
            value: number
            for number, layer in enumerate(layers)
            for op in layer.operations
            for value in op.makes
        }
        self.seconds, self.rotations = [0.0] * len(layers), [0] * len(layers)

    def count(self, event: Event) -> None:
        """Add an event to its layer (Layer.operations), so that the times of the layers add up to that of the run."""
        number = self.place[event.operation.makes[0]]
        self.seconds[number] += event.seconds
        self.rotations[number] += event.rotations

    def record(self, runs: int, values: tuple[Array, ...], added: tuple[Array, ...]) -> Record:
        """Return a record with the mean of that many runs."""
        return Record(
            values,
            added,
            tuple(total / runs for total in self.seconds),
            tuple(total // runs for total in self.rotations),
        )


def _record(
    plan: Plan,
    layers: Sequence[Layer],
    samples: Array,
    run: Callable[[Sequence[Slots], Listener], None],
    decrypt: Callable[[Any], Slots],
    taken: dict[int, Slots],
    told: Callable[[], None],
) -> Record:
    """Run every batch, keep the slots of each layer's results in `taken`, and unpack them."""
    wanted = {value for layer in layers for value in layer.results}
    totals = _Totals(layers)
    values, added, runs = [], [], 0

    def listen(event: Event) -> None:
        for value, ciphertext in zip(event.operation.makes, event.results, strict=True):
            if value in wanted:
                taken[value] = np.asarray(decrypt(ciphertext), dtype=np.float64)
        totals.count(event)
        told()

    for packed, count in _batches(plan, samples):
        runs += 1
        with np.errstate(over="ignore", invalid="ignore"):
            run(packed, listen)
        values.append([layer.unpack(taken)[:count] for layer in layers])
        exact = [_own_result(plan, layer, packed, taken) for layer in layers]
        added.append([values[-1][number] - result[:count] for number, result in enumerate(exact)])
    return totals.record(runs, _joined(values), _joined(added))


def _own_result(plan: Plan, layer: Layer, packed: Sequence[Slots], taken: dict[int, Slots]) -> Array:
    """Return what a layer makes of its operands in a run by exact arithmetic; the input is what was packed."""
    if not layer.operations:
        return layer.unpack(dict(zip(layer.results, packed, strict=True)))
    own = dict(taken)
    _evaluate(plan, layer, own, lambda: None)
    return layer.unpack(own)


def _evaluate(plan: Plan, layer: Layer, slots: dict[int, Slots], told: Callable[[], None]) -> None:
    """Add the results of a layer's operations to `slots`."""
    with np.errstate(over="ignore", invalid="ignore"):  # far outside a range a polynomial may overflow
        for op in layer.operations:
            results = op.evaluate(plan.program, [slots[value] for value in op.reads], plan.weights)
            slots.update(zip(op.makes, results, strict=True))
            told()


def _batches(plan: Plan, samples: Array) -> Iterator[tuple[list[Slots], int]]:
    """Yield the slots of each run, and the number of samples in them."""
    size = plan.batch_size
    for begin in range(0, len(samples), size):
        part = samples[begin : begin + size]
        yield plan.input_layout.pack_batch(part), len(part)


def _joined(parts: list[list[Array]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
