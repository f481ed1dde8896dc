"""Plans as ONNX graphs, read back by the onnx package and held against the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from hetorch.errors import InputError, MissingPackageError, StorageError
from hetorch.inspect import to_onnx_graph
from hetorch.ir.he_operations import LinearTransform
from hetorch.plan import Plan
from tests.inspect.branched_plan import plan
from tests.server.small_plan import outsourced_plan, small_plan

BAD_NAMES = ("a/b c", "\x1b[31m\x00", "名前", "", "one", "x" * 2000)


def read(made: Plan, path: Path, detail: str = "layers") -> onnx.ModelProto:
    to_onnx_graph(made, path, detail=detail)  # type: ignore[arg-type]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def test_nodes_are_the_layers_with_their_figures(tmp_path: Path) -> None:
    model, rows = read(plan(), tmp_path / "plan.onnx"), plan().report.layers[1:]
    assert len(model.graph.node) == len(rows)
    for node, row in zip(model.graph.node, rows, strict=True):
        known = attributes(node)
        assert node.name.partition(" #")[0] == row.name and node.domain == "org.hetorch"
        assert node.doc_string == row.kind
        assert (known["level"], known["ciphertexts"]) == (row.level, row.ciphertexts)
        assert (known["rotations"], known["diagonals"]) == (row.rotations, row.diagonals)
        assert known["scale_bits"] == pytest.approx(row.scale_bits)
        assert known["predicted_seconds"] == pytest.approx(row.predicted_seconds)
    (fit,) = plan().report.polynomials
    (tanh,) = (node for node in model.graph.node if node.name == fit.layer)
    known = attributes(tanh)
    assert known["function"] == b"tanh" and known["degree"] == fit.degree
    assert (known["fitted_low"], known["fitted_high"]) == pytest.approx((fit.low, fit.high))


def test_edges_are_those_of_the_network(tmp_path: Path) -> None:
    model = read(plan(), tmp_path / "plan.onnx")
    reads = {node.name: list(node.input) for node in model.graph.node}
    assert reads["one"] == reads["two"] == ["input"] and reads["tanh"] == ["two"]
    assert [value.name for value in model.graph.input] == ["input"]
    (output,) = model.graph.output
    assert output.name == model.graph.node[-1].output[0]
    assert [axis.dim_value for axis in output.type.tensor_type.shape.dim[1:]] == [3]


def test_the_properties_are_those_of_the_plan(tmp_path: Path) -> None:
    model = read(plan(), tmp_path / "plan.onnx")
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts["fingerprint"] == plan().fingerprint
    assert facts["ring_degree"] == str(plan().parameters.ring_degree)
    assert model.producer_name == "hetorch"


def test_every_operation(tmp_path: Path) -> None:
    model, program = read(plan(), tmp_path / "plan.onnx", "operations"), plan().program
    assert [node.op_type for node in model.graph.node] == [type(op).__name__ for op in program.operations]
    for node, op in zip(model.graph.node, program.operations, strict=True):
        known = attributes(node)
        assert [int(name[1:]) for name in node.input] == list(op.reads)
        assert known["level"] == program.values[op.makes[0]].level
        assert known["layer"] == program.layers[op.layer].encode()
        if isinstance(op, LinearTransform):
            assert known["diagonals"] == len(plan().weights[f"{op.weight}.values"])


@pytest.mark.parametrize("detail", ["layers", "operations"])
def test_no_weight_is_in_the_file(tmp_path: Path, detail: str) -> None:
    made = small_plan()
    model = read(made, tmp_path / "plan.onnx", detail)
    assert not model.graph.initializer
    data = (tmp_path / "plan.onnx").read_bytes()
    for array in made.weights.values():
        if array.dtype == np.float64:
            assert all(value.tobytes() not in data for value in array[array != 0].ravel())


@pytest.mark.parametrize("name", BAD_NAMES)
def test_any_name_makes_a_valid_graph(tmp_path: Path, name: str) -> None:
    """Empty names mean a missing value in ONNX, and equal ones the same value."""
    layers = plan().program.layers
    program = replace(plan().program, layers=(layers[0], name, name, *layers[3:]))
    rows = [replace(row, kind=name) for row in plan().report.layers]
    made = replace(plan(), program=program, report=replace(plan().report, layers=tuple(rows)))
    for detail in ("layers", "operations"):
        names = [node.name for node in read(made, tmp_path / "plan.onnx", detail).graph.node]
        assert len(set(names)) == len(names)


def test_a_plan_without_its_weights(tmp_path: Path) -> None:
    whole, public = outsourced_plan(), outsourced_plan().without_weights()
    first, second = (read(made, tmp_path / "plan.onnx") for made in (whole, public))
    assert first.graph == second.graph


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="takes a plan, got str"):
        to_onnx_graph("plan", tmp_path / "plan.onnx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="detail must be one of 'layers', 'operations', got 'all'"):
        to_onnx_graph(plan(), tmp_path / "plan.onnx", detail="all")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="cannot write"):
        to_onnx_graph(plan(), tmp_path / "none" / "plan.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"hetorch\[onnx\]"):
        to_onnx_graph(plan(), tmp_path / "plan.onnx")
