from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hetorch import run_encrypted, simulate
from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.activations.most_levels import most_levels
from hetorch.compiler.api import compile
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.pipeline import FINEST, NOISE_SHARE
from hetorch.compiler.stages import Stage
from hetorch.errors import ApproximationWarning, InfeasibleError, InputError, ParameterError, PlanError
from hetorch.ir.interpreter import run_he_program, run_tensor_program
from hetorch.plan import Plan
from tests.compiler.networks import NETWORKS, Square, inputs, model, plan


@pytest.mark.filterwarnings(
    "ignore::hetorch.errors.InputRangeWarning"
)  # new samples leave the range a little
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_interpreters_and_engine_agree(name: str) -> None:
    made, x = plan(name), inputs(name)[64:68]
    captured = capture(model(name), inputs(name)[:64])
    reference = run_tensor_program(
        approximate_activations(
            fuse_affine(captured.program),
            captured.inputs,
            captured.outputs,
            CompileOptions(activation_degree=3),
        ).program,
        x,
    )
    span = output_range(captured.outputs)
    for i, sample in enumerate(x):
        slots = run_he_program(made.program, made.weights, made.public().pack(sample))
        np.testing.assert_allclose(made.public().unpack(slots), reference[i], atol=1e-9 * span)
    ended = made.public().named(reference)  # a softmax at the end is the client's
    np.testing.assert_allclose(simulate(made, x, noise=False), ended, atol=1e-9 * span)
    noisy = simulate(made, x)
    assert np.max(np.abs(noisy - ended)) <= made.report.predicted_error * span
    assert made.report.predicted_error <= max(FINEST, NOISE_SHARE * made.report.approximation_error)


@pytest.mark.filterwarnings(
    "ignore::hetorch.errors.InputRangeWarning"
)  # new samples leave the range a little
@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "image"])
def test_polynomial_networks_are_exact(name: str) -> None:
    x = inputs(name)[64:]
    with torch.no_grad():
        expected = model(name)(torch.from_numpy(x).float()).numpy()
    span = plan(name).report.output_range
    np.testing.assert_allclose(simulate(plan(name), x[:4], noise=False), expected[:4], atol=1e-5 * span)
    assert plan(name).report.approximation_error < 1e-5


def test_activations_stay_within_the_tolerance_on_new_inputs() -> None:
    made = compile(model("pooled"), inputs("pooled")[:64], activation_tolerance=0.02)
    x = inputs("pooled")[64:]
    with torch.no_grad():
        expected = model("pooled")(torch.from_numpy(x).float()).numpy()
    error = np.abs(simulate(made, x) - expected).max() / made.report.output_range
    assert made.report.approximation_error <= 0.02
    # Not seen in calibration: twice as much is allowed.
    assert error <= 0.04


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        compile(model("gate"), inputs("gate")[:64], activation_degree=3).save(tmp_path / folder)
    for file in ("manifest.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_progress_goes_forward_to_the_end() -> None:
    told: list[tuple[str, float]] = []
    compile(model("linear"), inputs("linear"), progress=lambda stage, part: told.append((stage, part)))
    fractions = [part for _, part in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    # The frontend comes first, then the stages in their order.
    assert list(dict.fromkeys(stage for stage, _ in told))[1:] == [stage.title for stage in Stage]


def test_the_image_shape_is_kept() -> None:
    assert plan("image").public().output_shape == (2, 3, 3)
    assert simulate(plan("image"), inputs("image")[0]).shape == (2, 3, 3)


def test_a_network_that_only_reshapes_keeps_the_shape_of_its_input() -> None:
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = compile(torch.nn.Flatten().eval(), x)
    public = made.public()
    assert (public.input_shape, public.output_shape) == ((1, 8, 8), (64,))
    found = run_encrypted(made, x[:3].numpy())
    assert np.abs(found - x[:3].reshape(3, 64).numpy()).max() < made.report.predicted_error


def test_overrides() -> None:
    made = compile(model("linear"), inputs("linear"), ring_degree=1 << 13, scale_bits=30, name="mine")
    assert made.parameters.ring_degree == 1 << 13 and made.name == "mine"
    assert 29.5 < np.log2(made.parameters.modulus_chain[1]) < 30.5
    for digit_size in (1, 2):
        made = compile(model("mlp"), inputs("mlp"), digit_size=digit_size)
        assert made.parameters.digit_size == digit_size
    with pytest.raises(PlanError, match="no parameters fit"):
        compile(model("linear"), inputs("linear"), digit_size=16)
    finer = compile(model("linear"), inputs("linear"), precision=2.0**-20)
    assert finer.report.predicted_error <= 2.0**-20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": 0.0}, "precision"),
        ({"precision": 2.0}, "precision"),
        ({"activation_tolerance": -1.0}, "activation_tolerance"),
        ({"activation_degree": 0}, "activation_degree"),
        ({"ring_degree": 5000}, "power of two"),
        ({"scale_bits": 60}, "scale_bits"),
        ({"digit_size": 0}, "digit_size"),
        ({"name": "a\nb"}, "printable"),
        ({"name": 3}, "name must be printable text"),
        ({"precision": "fine"}, "precision must be a number"),
        ({"activation_degree": 3.5}, "activation_degree must be a whole number"),
        ({"activation_precision": "s"}, "activation_precision must be a number"),
        ({"activation_tolerance": None}, "activation_tolerance must be a number between"),
        ({"batch_size": "4"}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"scale_bits": 30.0}, "scale_bits must be a whole number"),
        ({"digit_size": 2.5}, "digit_size must be a whole number"),
        ({"key_limit": 1.5}, "key_limit must be a whole number"),
        ({"progress": 3}, "progress must be a function"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile(model("linear"), inputs("linear"), **arguments)  # type: ignore[arg-type]


def test_unknown_security_is_refused() -> None:
    with pytest.raises(ParameterError, match="not known"):
        compile(model("linear"), inputs("linear"), security="64")


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    with pytest.raises(PlanError, match=r"2\^11: .*bits"):
        compile(model("mlp"), inputs("mlp"), ring_degree=1 << 11)
    with pytest.raises(PlanError, match="4096 samples side by side take more slots"):
        compile(torch.nn.Linear(5, 2), torch.randn(4, 5), ring_degree=1 << 12, batch_size=4096)


def test_a_tolerance_out_of_reach_is_told_with_a_remedy() -> None:
    torch.manual_seed(0)
    steep = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Hardtanh(-1e-3, 1e-3), torch.nn.Linear(3, 2))
    x = torch.randn(200, 3)
    message = r"degree (95|127) .*activation_tolerance allows 0\.10%.*hardtanh.*activation_tolerance=\S+ .*accepts it"
    with pytest.warns(ApproximationWarning, match=message) as caught:
        plan = compile(steep, x, activation_tolerance=1e-3)
    assert plan.report.approximation_error > 1e-3
    with pytest.raises(InfeasibleError, match=message):
        compile(steep, x, activation_tolerance=1e-3, strict=True)
    # The remedy does what the message says.
    offered = re.findall(r"(activation_\w+)=(\S+) ", str(caught[0].message))
    accepted: dict[str, Any] = {name: float(value) for name, value in offered}
    compile(steep, x, strict=True, **accepted)


def regression() -> torch.nn.Module:
    """A single output that is a step."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Hardtanh(-1e-3, 1e-3), torch.nn.Linear(3, 1))


def test_a_single_output_has_no_argmax_to_keep() -> None:
    """Only the tolerance counts, whatever agreement is asked for, and a refusal does not speak of it."""
    x = torch.randn(300, 3)
    plans = [compile(regression(), x, activation_tolerance=0.3, activation_agreement=a) for a in (0.0, 1.0)]
    assert plans[0].report.approximation_error == plans[1].report.approximation_error <= 0.3
    assert [plan.report.agreement for plan in plans] == [1.0, 1.0]
    with pytest.raises(PlanError, match="activation_tolerance") as raised:
        compile(regression(), x, activation_tolerance=1e-3, activation_agreement=1.0, strict=True)
    assert "agreement" not in str(raised.value) and "argmax" not in str(raised.value)


def test_where_no_parameters_fit_fewer_levels_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for degrees believes here that the ring has twice its levels."""
    monkeypatch.setattr(
        "hetorch.compiler.activations.approximate_activations.most_levels",
        lambda options: 2 * most_levels(options),
    )
    torch.manual_seed(0)
    layers = (
        torch.nn.Linear(3, 3),
        torch.nn.ReLU(),
        torch.nn.Linear(3, 3),
        torch.nn.ReLU(),
        torch.nn.Linear(3, 2),
    )
    network, x = torch.nn.Sequential(*layers), torch.randn(200, 3)
    options: dict[str, Any] = {
        "activation_tolerance": 1e-4,
        "activation_agreement": 0.0,
        "ring_degree": 2**14,
    }
    with pytest.warns(ApproximationWarning, match="activation_tolerance allows 0.01%"):
        plan = compile(network, x, **options)
    assert plan.parameters.ring_degree == 2**14 and plan.report.approximation_error > 1e-4
    with pytest.raises(InfeasibleError, match="no parameters fit"):
        compile(network, x, activation_degree=63, **options)


def test_an_agreement_out_of_reach_names_its_argument() -> None:
    torch.manual_seed(0)
    votes = torch.nn.Linear(41, 2, bias=False)
    with torch.no_grad():
        votes.weight[0], votes.weight[1] = 1.0, -1.0
    step = torch.nn.Sequential(torch.nn.Linear(3, 41), torch.nn.Hardtanh(-1e-3, 1e-3), votes)
    with pytest.raises(InfeasibleError, match=r"activation_agreement=0[.][0-9]+ accepts it") as raised:
        compile(step, torch.randn(300, 3), activation_tolerance=0.9, activation_agreement=1.0, strict=True)
    assert "activation_tolerance" not in str(raised.value)


DEEP: dict[str, Any] = {"activation_degree": 31}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ring_degree": 1 << 11, **DEEP}, "a larger ring_degree="),
        ({"ring_degree": 1 << 11, "security": "192", **DEEP}, 'security="128"'),
        ({"ring_degree": 1 << 11, "scale_bits": 40, **DEEP}, "no scale_bits="),
        ({"ring_degree": 1 << 11, "engine": "seal", **DEEP}, 'engine="native"'),
        ({"activation_precision": 2.0**-14}, "a larger activation_precision="),
    ],
)
def test_a_program_without_parameters_names_what_helps(arguments: dict[str, Any], named: str) -> None:
    torch.manual_seed(0)
    deep = torch.nn.Sequential(
        *[part for _ in range(4) for part in (torch.nn.Linear(3, 3), torch.nn.ReLU())], torch.nn.Linear(3, 2)
    )
    with pytest.raises(PlanError, match="what helps: ") as raised:
        compile(deep, torch.randn(60, 3), **arguments)
    assert named in str(raised.value)
    assert ("digit_size" in str(raised.value)) == ("digit_size" in arguments)


def test_a_typical_image_network_needs_no_more_than_2_to_the_13() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5, stride=2),
        Square(),
        torch.nn.Conv2d(8, 16, 5, stride=2),
        Square(),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 10),
    )
    made = compile(network, torch.rand(32, 1, 28, 28))
    assert made.parameters.ring_degree == 1 << 13 and made.parameters.is_simd
    diagonals = [row.diagonals for row in made.report.layers if row.diagonals]
    # 10 outputs fit 16 diagonals; up to twice as many where products cost less than the rotations that fold them.
    assert diagonals[0] <= 36 and diagonals[1] <= 169 and diagonals[2] <= 32
    assert len(made.key_spec.galois) <= 48
    assert isinstance(made, Plan)
