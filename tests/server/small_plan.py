"""A plan written by hand: y = (W x + b)^2 from 8 numbers to 4, on a small ring that protects nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_operations import AddBias, LinearTransform, Multiply, Rescale, Value
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import UNUSED, Layout
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small
from hetorch.plan.interface import PLAIN
from hetorch.plan.plan import Plan
from hetorch.plan.report import LayerReport, PlanReport

INPUTS = 8
OUTPUTS = 4
SCALE = 2.0**40


def matrix(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return W of shape (4, 8) and b of shape (4,), in [-1, 1]."""
    numbers = np.random.default_rng(seed)
    return numbers.uniform(-1, 1, (OUTPUTS, INPUTS)), numbers.uniform(-1, 1, OUTPUTS)


def expected(x: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Return (W x + b)^2 by its definition in numpy."""
    weights, bias = matrix(seed)
    result: NDArray[np.float64] = (x @ weights.T + bias) ** 2
    return result


def small_plan(seed: int = 0, parameters: ParameterSet | None = None) -> Plan:
    """Make the plan for `matrix(seed)`; other parameters need at least two levels of 40-bit primes."""
    parameters = parameters or insecure_small(1 << 11, 2)
    slots, chain = parameters.slot_count, parameters.modulus_chain
    weights, bias = matrix(seed)
    row = np.arange(INPUTS)
    diagonals = np.zeros((INPUTS, INPUTS))
    for d in range(INPUTS):
        diagonals[d, :OUTPUTS] = weights[row[:OUTPUTS], (row[:OUTPUTS] + d) % INPUTS]
    steps = np.arange(INPUTS, dtype=np.int32)
    zeros = np.zeros(INPUTS, dtype=np.int32)
    source = Layout.periodic((INPUTS,), slots, row)
    target = Layout.periodic((OUTPUTS,), slots, np.where(row < OUTPUTS, row, UNUSED))
    squared = SCALE * SCALE
    values = (
        Value(2, SCALE, 0, 0),
        Value(1, SCALE),
        Value(1, SCALE),
        Value(1, squared),
        Value(0, squared / chain[1], 1, 0),
    )
    operations = (
        LinearTransform((1,), (0,), "dense", 0),
        AddBias(2, 1, "bias", 0),
        Multiply(3, 2, 2, 1),
        Rescale(4, 3, 1),
    )
    layers = (
        LayerReport("dense", "linear", 1, 40.0, INPUTS, 4, 0, 1e-6),
        LayerReport("square", "square", 0, 40.0, 0, 0, 1, 1e-6),
    )
    return Plan(
        name="small",
        program=HeProgram(slots, ("dense", "square"), (source, target), values, operations, (0,), (4,)),
        parameters=parameters,
        key_spec=EvaluationKeySpec.from_rotations(
            {1: 2, 2: 2, 3: 2, 4: 2}, parameters.ring_degree, relinearisation_level=1
        ),
        weights={
            "dense.outputs": zeros,
            "dense.inputs": zeros.copy(),
            "dense.giants": (steps // 4 * 4).astype(np.int32),
            "dense.babies": (steps % 4).astype(np.int32),
            "dense.values": diagonals,
            "bias": np.where(row < OUTPUTS, np.resize(bias, INPUTS), 0.0),
        },
        input_range=(-1.0, 1.0),
        interface=PLAIN,
        report=PlanReport(layers, 1e-6, 0.0, 1.0, 10.0, 16, 1.0, ()),
    )


def outsourced_plan(seed: int = 0, parameters: ParameterSet | None = None) -> Plan:
    """Make the same plan for encrypted weights, with its weights; products of ciphertexts are relinearised at the
    input's level."""
    plan = small_plan(seed, parameters)
    return replace(
        plan,
        program=replace(plan.program, encrypted_weights=True),
        key_spec=replace(plan.key_spec, relinearisation_level=plan.input_level),
    )
