"""Conversion of a plan to plain data and back: the program as JSON, its arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import HetorchError
from hetorch.ir.he_operations import NO_LAYOUT, Operation, Value, operation_kinds
from hetorch.ir.he_operations.fields import (
    FieldKind,
    IntegerField,
    IntegersField,
    LayerField,
    NumberField,
    NumbersField,
    TextField,
    ValueField,
    field_kinds,
)
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.plan.fields import LARGEST, Fields
from hetorch.plan.public import read_expected_outputs
from hetorch.plan.report import ChannelCurve, LayerReport, PlanReport, PolynomialReport

LAYOUT_PREFIX = "layout."
"""Prefix of the names of layouts in the plan's weights file: layout i is the array layout.i."""
MAX_ITEMS = 1 << 20
"""Largest number of operations, values, layers or layouts of a program; a plan with more is refused."""
MAX_POINTS = 1024
"""Largest number of curves of an activation, of points of each, and of bars of a histogram; more are refused."""
MAX_PARTS = 1 << 16
"""Largest number of ciphertexts of one tensor; a plan with more is refused."""
TEXT = 2000
"""Largest number of characters of a name or a note; a plan with longer ones is refused."""


def program_json(program: HeProgram) -> dict[str, object]:
    """Return the program as plain data, without the weights and the layouts' maps, which are arrays (layout_arrays)."""
    return {
        "slot_count": program.slot_count,
        "batch": program.batch,
        "encrypted_weights": int(program.encrypted_weights),
        "layers": list(program.layers),
        "layouts": [list(layout.shape) for layout in program.layouts],
        "values": [[v.level, v.scale, v.layout, v.part] for v in program.values],
        "operations": [_operation_json(op) for op in program.operations],
        "inputs": list(program.inputs),
        "outputs": list(program.outputs),
    }


def layout_arrays(program: HeProgram) -> dict[str, NDArray[np.int32]]:
    """Return one period of each layout's map, named layout.<index>."""
    return {f"{LAYOUT_PREFIX}{i}": np.array(layout.block) for i, layout in enumerate(program.layouts)}


def read_program(fields: Fields, arrays: Mapping[str, NDArray[np.generic]]) -> HeProgram:
    """Return the program from the data of program_json and layout_arrays.

    The structure is checked here, and the error of `fields` names the place; ir.verify checks levels and scales.
    """
    slot_count = fields.integer("slot_count", 1, 1 << 17)
    layers = fields.texts("layers", MAX_ITEMS, TEXT)
    batch = fields.integer("batch", 1, slot_count)
    layouts = _read_layouts(fields, arrays, slot_count, batch)
    values = _read_values(fields, len(layouts))
    last, kinds = len(values) - 1, operation_kinds()
    operations = tuple(
        _read_operation(child, kinds, last, len(layers) - 1)
        for child in fields.children("operations", MAX_ITEMS)
    )
    program = HeProgram(
        slot_count=slot_count,
        layers=layers,
        layouts=layouts,
        values=values,
        operations=operations,
        inputs=fields.integers("inputs", 0, last, MAX_PARTS),
        outputs=fields.integers("outputs", 0, last, MAX_PARTS),
        batch=batch,
        encrypted_weights=bool(fields.integer("encrypted_weights", 0, 1)),
    )
    fields.done()
    return program


def report_json(report: PlanReport) -> dict[str, object]:
    """Return the report as plain data, which read_report reads."""
    # Without their values these fields are left out, so that plans of networks without activations keep their bytes.
    fitted = [_polynomial_json(fit) for fit in report.polynomials]
    optional: dict[str, object] = {"polynomials": fitted} if fitted else {}
    if report.expected_outputs is not None:
        optional["expected_outputs"] = list(report.expected_outputs)
    return optional | {
        "layers": [
            {
                "name": row.name,
                "kind": row.kind,
                "level": row.level,
                "scale_bits": row.scale_bits,
                "diagonals": row.diagonals,
                "rotations": row.rotations,
                "multiplications": row.multiplications,
                "predicted_error": row.predicted_error,
                "predicted_seconds": row.predicted_seconds,
                "ciphertexts": row.ciphertexts,
                "weight_bytes": row.weight_bytes,
                "key_bytes": row.key_bytes,
                "dense_diagonals": row.dense_diagonals,
                **({} if row.gain is None else {"gain": list(row.gain), "offset": list(row.offset)}),
            }
            for row in report.layers
        ],
        "predicted_error": report.predicted_error,
        "approximation_error": report.approximation_error,
        "agreement": report.agreement,
        "output_range": report.output_range,
        "calibration_samples": report.calibration_samples,
        "predicted_seconds": report.predicted_seconds,
        "notes": list(report.notes),
        "machine": report.machine,
        "threads": report.threads,
        "memory_bytes": report.memory_bytes,
        "memory_limit": report.memory_limit,
        "key_limit": report.key_limit,
    }


def _polynomial_json(fit: PolynomialReport) -> dict[str, object]:
    return {
        "layer": fit.layer,
        "function": fit.function,
        "degree": fit.degree,
        "low": fit.low,
        "high": fit.high,
        "error": fit.error,
        "curves": [
            {
                "low": curve.low,
                "high": curve.high,
                "function": list(curve.function),
                "polynomial": list(curve.polynomial),
            }
            for curve in fit.curves
        ],
        "histogram": list(fit.histogram),
        "channel_low": list(fit.channel_low),
        "channel_high": list(fit.channel_high),
    }


def read_report(fields: Fields) -> PlanReport:
    """Return the report from the data of report_json; raise the error of `fields` for any other data."""
    rows = []
    for child in fields.children("layers", MAX_ITEMS):
        row = LayerReport(
            name=child.text("name", TEXT),
            kind=child.text("kind", TEXT),
            level=child.integer("level", 0, 1024),
            scale_bits=child.number("scale_bits", -1000, 1000),
            diagonals=child.integer("diagonals", 0, 1 << 40),
            rotations=child.integer("rotations", 0, 1 << 40),
            multiplications=child.integer("multiplications", 0, 1 << 40),
            predicted_error=child.number("predicted_error", 0, LARGEST),
            predicted_seconds=child.number("predicted_seconds", 0, LARGEST),
            ciphertexts=child.integer("ciphertexts", 1, MAX_PARTS),
            weight_bytes=child.integer("weight_bytes", 0, 1 << 60),
            key_bytes=child.integer("key_bytes", 0, 1 << 60),
            dense_diagonals=child.integer("dense_diagonals", 0, 1 << 60),
            **_read_units(child),
        )
        child.done()
        rows.append(row)
    report = PlanReport(
        layers=tuple(rows),
        predicted_error=fields.number("predicted_error", 0, LARGEST),
        approximation_error=fields.number("approximation_error", 0, LARGEST),
        agreement=fields.number("agreement", 0, 1),
        output_range=fields.number("output_range", 0, LARGEST),
        calibration_samples=fields.integer("calibration_samples", 0, 1 << 40),
        predicted_seconds=fields.number("predicted_seconds", 0, LARGEST),
        notes=fields.texts("notes", 1000, TEXT),
        machine=fields.text("machine", 200),
        threads=fields.integer("threads", 1, 1 << 16),
        memory_bytes=fields.integer("memory_bytes", 0, 1 << 60),
        memory_limit=fields.integer("memory_limit", 0, 1 << 60),
        key_limit=fields.integer("key_limit", 0, 1 << 60),
        polynomials=_read_polynomials(fields),
        expected_outputs=read_expected_outputs(fields),
    )
    fields.done()
    return report


def _read_units(fields: Fields) -> dict[str, Any]:
    """Return `gain` and `offset` of a layer; none if it has none."""
    if not fields.has("gain"):
        return {}
    pairs = {name: fields.numbers(name, -LARGEST, LARGEST, MAX_ITEMS) for name in ("gain", "offset")}
    if len(pairs["gain"]) != len(pairs["offset"]):
        raise fields.error("a layer needs as many offsets as gains")
    return pairs


def _read_polynomials(fields: Fields) -> tuple[PolynomialReport, ...]:
    polynomials = []
    for child in fields.children("polynomials", MAX_ITEMS) if fields.has("polynomials") else []:
        ranges = [
            child.numbers(end, -LARGEST, LARGEST, MAX_ITEMS) if child.has(end) else ()
            for end in ("channel_low", "channel_high")
        ]
        if len(ranges[0]) != len(ranges[1]):
            raise child.error("as many channels need a low end of their ranges as a high one")
        polynomials.append(
            PolynomialReport(
                layer=child.text("layer", TEXT),
                function=child.text("function", TEXT),
                degree=child.integer("degree", 0, 1 << 20),
                low=child.number("low", -LARGEST, LARGEST),
                high=child.number("high", -LARGEST, LARGEST),
                error=child.number("error", 0, LARGEST),
                channel_low=ranges[0],
                channel_high=ranges[1],
                curves=_read_curves(child),
                histogram=child.numbers("histogram", 0, 1, MAX_POINTS) if child.has("histogram") else (),
            )
        )
        child.done()
    return tuple(polynomials)


def _read_curves(fields: Fields) -> tuple[ChannelCurve, ...]:
    curves = []
    for child in fields.children("curves", MAX_POINTS) if fields.has("curves") else []:
        curve = ChannelCurve(
            low=child.number("low", -LARGEST, LARGEST),
            high=child.number("high", -LARGEST, LARGEST),
            function=child.numbers("function", -LARGEST, LARGEST, MAX_POINTS),
            polynomial=child.numbers("polynomial", -LARGEST, LARGEST, MAX_POINTS),
        )
        if not curve.function or len(curve.function) != len(curve.polynomial):
            raise child.error("a curve needs as many values of the polynomial as of the function, and some")
        child.done()
        curves.append(curve)
    return tuple(curves)


def _operation_json(op: Operation) -> dict[str, object]:
    data: dict[str, object] = {"kind": op.tag()}
    for name in field_kinds(type(op)):
        value = getattr(op, name)
        data[name] = list(value) if isinstance(value, tuple) else value
    return data


def _read_operation(
    fields: Fields, kinds: Mapping[str, type[Operation]], last_value: int, last_layer: int
) -> Operation:
    tag = fields.text("kind", 40)
    operation = kinds.get(tag)
    if operation is None:
        raise fields.error(f"unknown operation {tag!r}; was the plan made by a newer version?")
    arguments = {
        name: _read_field(fields, name, kind, last_value, last_layer)
        for name, kind in field_kinds(operation).items()
    }
    fields.done()
    return operation(**arguments)


def _read_field(fields: Fields, name: str, kind: FieldKind, last_value: int, last_layer: int) -> Any:
    match kind:
        case LayerField():
            return fields.integer(name, 0, last_layer)
        case ValueField(many=False):
            return fields.integer(name, 0, last_value)
        case ValueField():
            numbers = fields.integers(name, 0, last_value, MAX_PARTS)
            if not numbers:
                raise fields.error(f"{name} must name one value at least")
            return numbers
        case IntegerField(low, high):
            return fields.integer(name, low, high)
        case TextField(longest):
            return fields.text(name, longest)
        case NumberField(smallest, largest):
            return fields.number(name, smallest, largest)
        case IntegersField(fewest, most, low, high):
            integers = fields.integers(name, low, high, most)
            if len(integers) < fewest:
                raise fields.error(f"{name} must hold {fewest} integers at least, got {len(integers)}")
            return integers
        case NumbersField(fewest, most, largest):
            values = fields.numbers(name, -largest, largest, most)
            if len(values) < fewest:
                raise fields.error(f"{name} must hold {fewest} numbers at least, got {len(values)}")
            return values


def _read_layouts(
    fields: Fields, arrays: Mapping[str, NDArray[np.generic]], slot_count: int, batch: int
) -> tuple[Layout, ...]:
    shapes = fields.take("layouts")
    if not isinstance(shapes, list) or len(shapes) > MAX_ITEMS:
        raise fields.error("layouts must be a list of shapes")
    layouts = []
    for i, shape in enumerate(shapes):
        if not isinstance(shape, list) or not all(type(n) is int and 0 < n <= 1 << 24 for n in shape):
            raise fields.error(f"layouts[{i}] must be a shape, got {repr(shape)[:60]}")
        block = arrays.get(f"{LAYOUT_PREFIX}{i}")
        if block is None or block.dtype != np.int32 or block.ndim != 2:
            raise fields.error(f"the array {LAYOUT_PREFIX}{i} is missing or not int32 with two axes")
        try:
            layouts.append(Layout.periodic(tuple(shape), slot_count, block, batch))
        except HetorchError as error:
            raise fields.error(f"layout {i}: {error}") from None
    return tuple(layouts)


def _read_values(fields: Fields, layouts: int) -> tuple[Value, ...]:
    items = fields.take("values")
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise fields.error("values must be a list")
    values = []
    for i, item in enumerate(items):
        if (
            not isinstance(item, list)
            or len(item) != 4
            or not all(type(item[k]) is int for k in (0, 2, 3))
            or type(item[1]) not in (int, float)
            or not (0 <= item[0] <= 1024 and 0 < item[1] <= LARGEST)
            or not (NO_LAYOUT <= item[2] < layouts and 0 <= item[3] < MAX_PARTS)
        ):
            raise fields.error(f"values[{i}] must be [level, scale, layout, part], got {repr(item)[:60]}")
        values.append(Value(item[0], float(item[1]), item[2], item[3]))
    return tuple(values)
