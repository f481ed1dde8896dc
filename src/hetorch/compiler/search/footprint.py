"""The memory that a run of a choice will take, and the form in which each map keeps its diagonals.

The operations of the program do not exist yet, so the figures come from outlines: the formulas are those of
hetorch.ir.he_operations, for one operation at a time. Ciphertexts are counted tensor by tensor, so the peak is never
below that of hetorch.plan.memory by more than copies at lower levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.lower import MapOutline
from hetorch.engine.bootstrap_keys import diagonal_bytes
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_operations import Bootstrap as HeBootstrap
from hetorch.ir.he_operations import LinearTransform, PairedTransform, Polynomial
from hetorch.ir.he_operations import Multiply as HeMultiply
from hetorch.ir.he_operations.operation import WORD_BYTES, Operation, Value
from hetorch.ir.layout import Layout
from hetorch.ir.tensor_program import Affine, Bootstrap, Chebyshev, Multiply, TensorOp, TensorProgram
from hetorch.params import ParameterSet
from hetorch.plan.memory import key_memory

MUCH_MEMORY = 4_000_000_000
"""Bytes of a run above which maps keep coefficients if that costs little time, whatever the memory limit is. Raised,
plans are faster and take more memory."""
WORTHWHILE = 40_000_000
"""Fewest bytes that a map must then save. Raised, fewer maps keep coefficients without need."""
MEMORY_WORTH = 0.1
"""Time that this may cost, relative to that of the run. Raised, such plans are slower and take less memory."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The predicted memory of a run in bytes, and the decision on each map.

    `keys`: the evaluation keys, in memory. `working`: ciphertexts and intermediate results at their peak. `weights`:
    the encoded weights of each affine operation and bootstrap, by its index. `coefficients`: the operations whose
    diagonals are kept as coefficients, with the seconds that their transforms take in a run.
    """

    keys: int
    working: int
    weights: Mapping[int, int]
    coefficients: Mapping[int, float]

    @property
    def total(self) -> int:
        """The peak of one run in bytes."""
        return self.keys + self.working + sum(self.weights.values())


@dataclass(frozen=True, slots=True)
class _Frame:
    """The part of a program that one operation reads: its operands, then its results."""

    slot_count: int
    values: tuple[Value, ...]
    batch: int
    encrypted_weights: bool
    layouts: tuple[Layout, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """An operation in its frame, with stand-ins for its weights that have their shapes and take no memory."""

    op: Operation
    frame: _Frame
    weights: Mapping[str, NDArray[np.generic]]

    def rows(self, parameters: ParameterSet, threads: int) -> int:
        return self.op.working_rows(self.frame, parameters, self.weights, threads)

    def bytes(self, parameters: ParameterSet) -> int:
        return self.op.weight_bytes(self.frame, parameters, self.weights)


@dataclass(frozen=True, slots=True)
class PlacedProgram:
    """A network with its outlines, placed on ciphertexts.

    `maps`: the outlines of its affine maps, by index of operation. `levels` and `parts`: the level and the number of
    ciphertexts of each value. `batch`: samples side by side. `encrypted`: True if the weights are ciphertexts.
    `bootstraps`: the numbers of each bootstrap, by index of operation; equal ones share their maps.
    """

    network: TensorProgram
    maps: Mapping[int, MapOutline]
    levels: Sequence[int]
    parts: Sequence[int]
    batch: int
    encrypted: bool
    bootstraps: Mapping[int, PlannedBootstrap] = field(default_factory=dict)


def footprint(
    program: PlacedProgram,
    parameters: ParameterSet,
    keys: EvaluationKeySpec,
    model: CostModel,
    seconds: float,
    limit: int | None,
    *,
    transforms_on_use: bool = True,
) -> Footprint:
    """Predict the memory of a run, with as few maps as coefficients as the limit allows.

    Args:
        program: the network and its outlines.
        parameters: the parameters.
        keys: the evaluation keys.
        model: predicts the time of transforms; the memory is that of a run on as many threads as its machine has.
        seconds: the time of a run in which no map keeps coefficients.
        limit: a bound on the bytes of a run; None for no limit. If coefficients are not enough, the result exceeds it.
        transforms_on_use: False for engines that cannot keep coefficients.
    """
    threads = model.machine.threads
    held = key_memory(parameters, keys)
    plain = {index: _map_step(program, parameters, index, coefficients=False) for index in program.maps}
    kept = {index: _map_step(program, parameters, index, coefficients=True) for index in program.maps}
    biases = {index: _bias_bytes(program, parameters, index) for index in program.maps}
    full = {index: step.bytes(parameters) for index, step in plain.items()}
    small = {index: step.bytes(parameters) for index, step in kept.items()}
    costs = {
        index: model.transformed_on_use(
            program.levels[index + 1] + 1,
            outline.diagonals,
            small[index] / (outline.diagonals * parameters.ring_degree * WORD_BYTES),
        )
        for index, outline in program.maps.items()
    }
    able = transforms_on_use and not program.encrypted
    saved = {
        index: full[index] - small[index] for index in program.maps if able and small[index] < full[index]
    }
    shared = {one: index for index, one in sorted(program.bootstraps.items(), key=lambda item: -item[0])}
    refreshing = {index: diagonal_bytes(one.bootstrap_set) for one, index in shared.items()}
    fixed = held + sum(biases.values()) + sum(refreshing.values())
    total = fixed + sum(full.values()) + _working(program, parameters, plain, threads)
    chosen = _choose(saved, costs, 0 if limit is None else total - limit, total - MUCH_MEMORY, seconds)
    steps = {index: kept[index] if index in chosen else plain[index] for index in program.maps}
    return Footprint(
        keys=held,
        working=_working(program, parameters, steps, threads),
        weights={
            **{i: (small[i] if i in chosen else full[i]) + biases[i] for i in program.maps},
            **refreshing,
        },
        coefficients={index: costs[index] for index in sorted(chosen)},
    )


def _choose(
    saved: Mapping[int, int], costs: Mapping[int, float], needed: int, wanted: int, seconds: float
) -> set[int]:
    """Choose the maps that keep coefficients, few of them and for little time.

    Args:
        saved: the bytes that each of the maps saves.
        costs: the seconds that each takes.
        needed: the bytes that must be saved, whatever the time; not above 0 for none.
        wanted: the bytes to save in a share MEMORY_WORTH of the time.
        seconds: the time of a run.
    """
    chosen: set[int] = set()
    for excess, most, least in ((needed, np.inf, 1), (wanted, MEMORY_WORTH * seconds, WORTHWHILE)):
        while excess > sum(saved[index] for index in chosen):
            left = excess - sum(saved[index] for index in chosen)
            spent = sum(costs[index] for index in chosen)
            able = [i for i in saved if i not in chosen and saved[i] >= least and spent + costs[i] <= most]
            if not able:
                break
            enough = [index for index in able if saved[index] >= left]
            chosen.add(
                min(enough, key=lambda index: (costs[index], index))
                if enough
                else max(able, key=lambda index: (saved[index], -index))
            )
    return chosen


def _map_step(program: PlacedProgram, parameters: ParameterSet, index: int, *, coefficients: bool) -> _Step:
    outline, level = program.maps[index], program.levels[index + 1] + 1
    transform = outline.transform
    values = [Value(level, 1.0)] * transform.input_count + [Value(level - 1, 1.0)] * transform.output_count
    numbers = tuple(range(len(values)))
    places = (numbers[transform.input_count :], numbers[: transform.input_count], "map", 0, int(coefficients))
    op = (
        PairedTransform(*places, transform.pair * program.batch)
        if transform.pair
        else LinearTransform(*places)
    )
    weights: dict[str, NDArray[np.generic]] = {
        "map.outputs": transform.outputs,
        "map.inputs": transform.inputs,
        "map.giants": transform.giants * np.int32(program.batch),
        "map.babies": transform.babies * np.int32(program.batch),
        "map.values": np.broadcast_to(np.zeros(1), (outline.diagonals, outline.period)),
    }
    frame = _Frame(parameters.slot_count, tuple(values), program.batch, program.encrypted)
    return _Step(op, frame, weights)


def _bias_bytes(program: PlacedProgram, parameters: ParameterSet, index: int) -> int:
    op, value = program.network.operations[index], index + 1
    if not (isinstance(op, Affine) and np.any(op.bias)):
        return 0
    halves = 2 if program.encrypted else 1
    return halves * program.parts[value] * (program.levels[value] + 1) * parameters.ring_degree * WORD_BYTES


def _working(
    program: PlacedProgram, parameters: ParameterSet, maps: Mapping[int, _Step], threads: int
) -> int:
    """Return the peak, in bytes, of live ciphertexts and the intermediate results of one operation together."""
    network, element = program.network, parameters.ring_degree * WORD_BYTES
    size = [
        2 * (level + 1) * count * element for level, count in zip(program.levels, program.parts, strict=True)
    ]
    last = dict.fromkeys(range(network.value_count), 0)
    for index, op in enumerate(network.operations):
        for value in (*op.reads, index + 1):
            last[value] = index
    last[0] = last[network.output] = len(network.operations)
    alive, peak = {0}, size[0]
    for index, op in enumerate(network.operations):
        alive.add(index + 1)
        step = maps.get(index) or _elementwise_step(program, parameters, index)
        rows = step.rows(parameters, threads) if step is not None else 0
        held = sum(size[value] for value in alive)
        # Operands above the level of the operation are copied down to it.
        working = _level(op, program.levels[index + 1])
        held += sum(
            2 * (working + 1) * program.parts[value] * element
            for value in op.reads
            if program.levels[value] > working
        )
        if isinstance(op, Multiply):  # a product, before it is rescaled to a part of the result
            held += 2 * (working + 1) * element
        peak = max(peak, held + rows * element)
        alive = {value for value in alive if last[value] > index}
    return peak


def _level(op: TensorOp, result: int) -> int:
    """Return the level at which an operation works; its result is at `result`."""
    match op:
        case Affine() | Multiply():
            return result + 1
        case Chebyshev():
            return result + op.depth
        case _:
            return result


def _elementwise_step(program: PlacedProgram, parameters: ParameterSet, index: int) -> _Step | None:
    """Return an operation on one ciphertext; None for a sum, which takes no memory besides its result."""
    op = program.network.operations[index]
    level = _level(op, program.levels[index + 1])
    frame = _Frame(parameters.slot_count, (Value(level, 1.0),) * 3, program.batch, program.encrypted)
    match op:
        case Multiply():
            return _Step(HeMultiply(2, 0, 1, 0), frame, {})
        case Chebyshev():
            return _Step(Polynomial(2, 0, op.coefficients, 0), frame, {})
        case Bootstrap():
            return _Step(HeBootstrap.of(program.bootstraps[index], 2, 0, 0), frame, {})
        case _:
            return None
