"""Every operation has all that the stages ask for, and a new one is one class: no other file knows the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import KeyMissingError, PlanFormatError
from hetorch.ir.he_operations import (
    Add,
    AddBias,
    Bootstrap,
    DropLevel,
    LinearTransform,
    Multiply,
    Operation,
    PairedTransform,
    Polynomial,
    Rescale,
    RotateAdd,
    Value,
    operation_kinds,
)
from hetorch.ir.he_operations.fields import IntegerField, Layer, Operand, Result, ValueField, field_kinds
from hetorch.ir.he_program import HeProgram
from hetorch.ir.interpreter import run_he_program
from hetorch.ir.layout import Layout
from hetorch.ir.verify import verify_he_program
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small
from hetorch.plan import Plan
from hetorch.plan.fields import Fields, canonical_json
from hetorch.plan.keys import required_keys
from hetorch.plan.manifest import layout_arrays, program_json, read_program
from hetorch.plan.memory import predict_memory
from hetorch.runtime import Runner
from tests.engine.bootstrap_case import small_set
from tests.server.small_plan import small_plan

PARAMETERS = insecure_small(1 << 11, 4)
SLOTS, CHAIN = PARAMETERS.slot_count, PARAMETERS.modulus_chain
SCALE = 2.0**40
TENSOR = Layout.periodic((8,), SLOTS, np.arange(8))
WEIGHTS: dict[str, NDArray[np.generic]] = {
    "map.outputs": np.array([0, 0], np.int32),
    "map.inputs": np.array([0, 1], np.int32),
    "map.giants": np.array([0, 16], np.int32),
    "map.babies": np.array([0, 3], np.int32),
    "map.values": np.array([[0.5] * 8, [0.25] * 8]),
    "bias": np.arange(8.0) / 8,
}


@dataclass(frozen=True, slots=True)
class Example:
    """One operation: `sources` are the level and scale of each operand, `result` those of its result.

    All have one ring degree; bootstrapping needs more primes.
    """

    make: Callable[[tuple[int, ...], int], Operation]
    sources: tuple[tuple[int, float], ...]
    result: tuple[int, float]
    parameters: ParameterSet = PARAMETERS

    @property
    def program(self) -> HeProgram:
        """The operation alone, between inputs and an output that are one tensor each."""
        count = len(self.sources)
        tensor = TENSOR if count == 1 else two_parts()
        values = [Value(level, scale, 0, part) for part, (level, scale) in enumerate(self.sources)]
        values.append(Value(*self.result, 1, 0))
        op = self.make(tuple(range(count)), count)
        inputs = tuple(range(count))
        return HeProgram(SLOTS, ("layer",), (tensor, TENSOR), tuple(values), (op,), inputs, (count,))

    @property
    def operation(self) -> Operation:
        return self.program.operations[0]


def two_parts() -> Layout:
    return Layout.periodic((16,), SLOTS, np.arange(16).reshape(2, 8))


EXAMPLES: dict[type[Operation], Example] = {
    LinearTransform: Example(
        lambda read, made: LinearTransform((made,), read, "map", 0),
        ((3, SCALE), (3, SCALE)),
        (2, 2.0**39),
    ),
    PairedTransform: Example(
        lambda read, made: PairedTransform((made,), read, "map", 0, 0, 256),
        ((3, SCALE), (3, SCALE)),
        (2, 2.0**39),
    ),
    RotateAdd: Example(lambda read, made: RotateAdd(made, read[0], 4, 0), ((3, SCALE),), (3, SCALE)),
    AddBias: Example(lambda read, made: AddBias(made, read[0], "bias", 0), ((3, SCALE),), (3, SCALE)),
    Add: Example(lambda read, made: Add(made, read[0], read[1], 0), ((3, SCALE), (3, SCALE)), (3, SCALE)),
    Multiply: Example(
        lambda read, made: Multiply(made, read[0], read[1], 0), ((3, SCALE), (3, SCALE)), (3, SCALE * SCALE)
    ),
    Rescale: Example(
        lambda read, made: Rescale(made, read[0], 0), ((3, SCALE * SCALE),), (2, SCALE * SCALE / CHAIN[3])
    ),
    DropLevel: Example(lambda read, made: DropLevel(made, read[0], 0), ((3, SCALE),), (1, SCALE)),
    Polynomial: Example(
        lambda read, made: Polynomial(made, read[0], (0.5, 0.25, 0.0, 0.125), 0), ((3, SCALE),), (1, 2.0**38)
    ),
}


BOOT = small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2))
EXAMPLES[Bootstrap] = Example(
    lambda read, made: Bootstrap(made, read[0], (4, 3, 3), (3, 3, 2, 2), 3, 3, 4, 4, 1.5, 0),
    ((BOOT.input_level, SCALE),),
    (BOOT.output_level, 2.0**39),
    BOOT.parameters,
)


@dataclass(frozen=True, slots=True)
class TurnedTwice(Operation):
    """An operation that hetorch does not have: the input rotated, times 2 and squared."""

    result: Result
    input: Operand
    turns: Annotated[int, IntegerField(1, 9)]
    layer: Layer

    def result_of(self, frame: Any, modulus_chain: Sequence[int]) -> tuple[int, float]:
        source = frame.values[self.input]
        return source.level, source.scale**2

    def problem(self, frame: Any) -> str | None:
        return "turns too often" if self.turns > 5 else None

    def rotations(self, frame: Any, weights: Any) -> frozenset[int]:
        return frozenset({self.turns})

    def relinearises(self, frame: Any) -> bool:
        return True

    def evaluate(self, frame: Any, inputs: Sequence[Any], weights: Any) -> list[Any]:
        return [4 * np.roll(inputs[0], -self.turns) ** 2]

    def run(self, engine: Any, frame: Any, inputs: Sequence[Any], prepared: Any) -> list[Any]:
        turned = engine.rotate(inputs[0], self.turns)
        twice = engine.add(turned, turned)
        return [engine.multiply(twice, twice)]


EXAMPLES[TurnedTwice] = Example(
    lambda read, made: TurnedTwice(made, read[0], 3, 0), ((3, SCALE),), (3, SCALE * SCALE)
)


def test_every_operation_has_an_example() -> None:
    assert set(operation_kinds().values()) == set(EXAMPLES)
    assert operation_kinds()["linear_transform"] is LinearTransform
    assert operation_kinds()["turned_twice"] is TurnedTwice


every = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.tag())


@every
def test_operands_results_and_levels(kind: type[Operation]) -> None:
    example = EXAMPLES[kind]
    op, program = example.operation, example.program
    assert op.reads == program.inputs and op.makes == program.outputs
    assert op.level(program) == example.sources[0][0]
    level, scale = op.result_of(program, EXAMPLES[kind].parameters.modulus_chain)
    assert (level, scale) == example.result and op.problem(program) is None
    assert f"{kind.__name__}(" in str(program)


@every
def test_the_verifier_accepts_it_and_refuses_other_levels_and_scales(kind: type[Operation]) -> None:
    program = EXAMPLES[kind].program
    verify_he_program(program, EXAMPLES[kind].parameters.modulus_chain, WEIGHTS)
    last = program.values[-1]
    # The scale of these is free; of the others it follows from the operands.
    planned = kind in (LinearTransform, PairedTransform, Polynomial, Bootstrap)
    for wrong in (replace(last, level=last.level + 1), replace(last, scale=2 * last.scale)):
        changed = replace(program, values=(*program.values[:-1], wrong))
        if (planned and wrong.level == last.level) or (kind is DropLevel and wrong.level != last.level):
            verify_he_program(changed, EXAMPLES[kind].parameters.modulus_chain, WEIGHTS)
            continue
        with pytest.raises(PlanFormatError, match="expected"):
            verify_he_program(changed, EXAMPLES[kind].parameters.modulus_chain, WEIGHTS)


@every
def test_a_plan_holds_it(kind: type[Operation]) -> None:
    program = EXAMPLES[kind].program

    def read(change: Mapping[str, Any] = MappingProxyType({}), without: str = "") -> HeProgram:
        data: Any = program_json(program)
        data["operations"][0].pop(without, None)
        data["operations"][0] |= change
        fields = Fields.parse(canonical_json(data), "program", PlanFormatError)
        return read_program(fields, layout_arrays(program))

    assert read() == program
    fields: Any = program_json(program)
    assert fields["operations"][0]["kind"] == kind.tag()
    names = set(fields["operations"][0])
    assert names == {"kind", *field_kinds(kind)}
    for name in names:
        with pytest.raises(PlanFormatError, match="missing"):
            read(without=name)
        with pytest.raises(PlanFormatError, match=name if name != "kind" else "unknown operation"):
            read({name: "" if name == "kind" else None})
    with pytest.raises(PlanFormatError, match="unknown fields"):
        read({"more": 1})
    # Numbers of values and layers stay inside the program.
    for name, field in field_kinds(kind).items():
        outside = [[99]] if isinstance(field, ValueField) and field.many else [99, -1]
        for value in outside if isinstance(field, ValueField) else []:
            with pytest.raises(PlanFormatError, match="expected an integer in"):
                read({name: value})


@every
def test_its_weights_are_checked(kind: type[Operation]) -> None:
    program, op = EXAMPLES[kind].program, EXAMPLES[kind].operation
    assert op.weight_problem(program, WEIGHTS) is None
    for name in op.weight_names:
        assert name in WEIGHTS
        with pytest.raises(PlanFormatError, match="missing"):
            verify_he_program(
                program,
                EXAMPLES[kind].parameters.modulus_chain,
                {k: v for k, v in WEIGHTS.items() if k != name},
            )
    assert (op.weight_bytes(program, EXAMPLES[kind].parameters, WEIGHTS) > 0) == (
        bool(op.weight_names) or kind is Bootstrap
    )


@every
def test_its_memory_grows_with_the_ring(kind: type[Operation]) -> None:
    program, op = EXAMPLES[kind].program, EXAMPLES[kind].operation
    assert op.working_rows(program, EXAMPLES[kind].parameters, WEIGHTS, 1) >= 0
    spec = required_keys(program, WEIGHTS, EXAMPLES[kind].parameters)
    memory = predict_memory(program, EXAMPLES[kind].parameters, spec, WEIGHTS)
    held = (
        2 * 8 * EXAMPLES[kind].parameters.ring_degree * sum(level + 1 for level, _ in EXAMPLES[kind].sources)
    )
    assert memory.working > held
    assert (memory.keys > 0) == bool(spec.count)
    assert memory.weights == op.weight_bytes(program, EXAMPLES[kind].parameters, WEIGHTS)


def plan_of(
    example: Example, program: HeProgram, key_spec: EvaluationKeySpec, weights: dict[str, Any]
) -> Plan:
    parts: dict[str, Any] = {"program": program, "key_spec": key_spec, "weights": weights}
    return replace(small_plan(0, PARAMETERS), parameters=example.parameters, **parts)


@every
def test_it_runs_with_exactly_its_keys_as_it_is_defined(kind: type[Operation]) -> None:
    program, op = EXAMPLES[kind].program, EXAMPLES[kind].operation
    weights = {name: np.array(WEIGHTS[name]) for name in op.weight_names}
    spec = required_keys(program, weights, EXAMPLES[kind].parameters)
    x = [np.random.default_rng(part).uniform(-1, 1, SLOTS) for part in range(len(program.inputs))]

    def run(keys: EvaluationKeySpec) -> NDArray[np.float64]:
        engine = CleartextEngine(EXAMPLES[kind].parameters, noise=False, key_spec=keys)
        inputs = [
            engine.encrypt(part, level=level, scale=scale)
            for part, (level, scale) in zip(x, EXAMPLES[kind].sources, strict=True)
        ]
        (result,) = Runner(plan_of(EXAMPLES[kind], program, spec, weights), engine).run(inputs)
        assert (result.level, result.scale) == pytest.approx(EXAMPLES[kind].result, rel=1e-12)
        return result.values

    expected = run_he_program(program, weights, x)[0]
    np.testing.assert_allclose(run(spec), expected, rtol=0, atol=1e-12)
    fewer = [replace(spec, galois=tuple(k for k in spec.galois if k != key)) for key in spec.galois]
    fewer += [replace(spec, links=tuple(k for k in spec.links if k != link)) for link in spec.links[::8]]
    if spec.relinearisation_level is not None:
        fewer.append(replace(spec, relinearisation_level=None))
    for missing in fewer:
        with pytest.raises(KeyMissingError):
            run(missing)


def test_a_field_without_a_kind_is_noticed() -> None:
    @dataclass(frozen=True)
    class Careless:
        result: Result
        width: int

    with pytest.raises(TypeError, match=r"Careless\.width is annotated with no kind"):
        field_kinds(Careless)


def test_own_rules_of_a_new_operation() -> None:
    example = EXAMPLES[TurnedTwice]
    often = replace(example, make=lambda read, made: TurnedTwice(made, read[0], 7, 0))
    with pytest.raises(PlanFormatError, match="turns too often"):
        verify_he_program(often.program, CHAIN, {})
    fields: Any = program_json(often.program)
    fields["operations"][0]["turns"] = 10
    with pytest.raises(PlanFormatError, match=r"expected an integer in 1\.\.9"):
        read_program(
            Fields.parse(canonical_json(fields), "program", PlanFormatError), layout_arrays(often.program)
        )
