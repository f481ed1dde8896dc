from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from hetorch.engine.cleartext import CleartextCiphertext, CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.protocol import Engine
from hetorch.errors import InputError, InputRangeWarning, KeyMissingError, PlanError
from hetorch.inspect.run_slots import run_slots
from hetorch.runtime import Event, Runner
from tests.compiler.networks import inputs, plan


def encrypted(name: str, engine: CleartextEngine, sample: int) -> list[CleartextCiphertext]:
    made = plan(name)
    slots = made.public().pack(inputs(name)[sample])
    return [engine.encrypt(part, level=made.input_level, scale=made.input_scale) for part in slots]


def test_many_threads_give_what_one_gives() -> None:
    made = plan("residual")
    engine = CleartextEngine(made.parameters, noise=False, key_spec=made.key_spec)
    runner = Runner(made, engine)
    jobs = [encrypted("residual", engine, i) for i in range(8)]
    alone = [runner.run(job)[0].values for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: runner.run(job)[0].values, jobs))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_prepare_tells_progress_and_works_once() -> None:
    made = plan("mlp")
    runner = Runner(made, CleartextEngine(made.parameters))
    told: list[float] = []
    runner.prepare(told.append)
    assert told == sorted(told) and told[-1] == 1.0
    runner.prepare(told.append)
    assert told[-1] == 1.0 and len(told) == len(made.program.operations)


def test_weights_can_be_shared_by_engines_with_other_keys() -> None:
    made = plan("mlp")
    first = Runner(made, CleartextEngine(made.parameters, noise=False))
    engine = CleartextEngine(made.parameters, noise=False, key_spec=made.key_spec)
    second = Runner(made, engine, share=first)
    job = encrypted("mlp", engine, 0)
    np.testing.assert_array_equal(second.run(job)[0].values, first.run(job)[0].values)
    with pytest.raises(PlanError, match="one plan"):
        Runner(plan("linear"), CleartextEngine(plan("linear").parameters), share=first)


def test_events_tell_every_operation_with_its_planned_level_and_scale() -> None:
    made = plan("gate")
    engine = CleartextEngine(made.parameters, key_spec=made.key_spec)
    seen: list[Event] = []
    result = Runner(made, engine).run(encrypted("gate", engine, 0), on_event=seen.append)
    assert [event.operation for event in seen] == list(made.program.operations)
    assert all(event.seconds >= 0 for event in seen)
    assert {event.layer for event in seen} <= set(made.program.layers)
    assert seen[-1].results[0] is result[0]
    # The report counts the rotations of each layer from its diagonals, by a formula of its own.
    for index, row in enumerate(made.report.layers):
        assert sum(event.rotations for event in seen if event.operation.layer == index) == row.rotations
    assert (result[0].level, result[0].scale) == (made.output_level, made.output_scale)


def test_levels_and_scales_are_exactly_the_planned_ones() -> None:
    for name in ("cnn", "residual", "wide"):
        made = plan(name)
        engine = CleartextEngine(made.parameters, key_spec=made.key_spec)

        def check(event: Event, made=made) -> None:  # type: ignore[no-untyped-def]
            value = made.program.values[event.operation.makes[0]]
            assert event.level == value.level and event.scale == pytest.approx(value.scale, rel=1e-13)

        Runner(made, engine).run(encrypted(name, engine, 1), on_event=check)


def test_wrong_inputs() -> None:
    made = plan("mlp")
    engine = CleartextEngine(made.parameters)
    runner = Runner(made, engine)
    good = encrypted("mlp", engine, 0)
    with pytest.raises(InputError, match="takes 1 ciphertext, got 2"):
        runner.run(good * 2)
    with pytest.raises(InputError, match="expected level"):
        runner.run([engine.drop_level(good[0], 1)])
    with pytest.raises(InputError, match="scale"):
        runner.run([replace(good[0], scale=good[0].scale * 2)])
    with pytest.raises(PlanError, match="other parameters"):
        Runner(plan("linear"), engine)


def test_a_missing_key_is_named() -> None:
    made = plan("mlp")
    for spec, message in (
        (EvaluationKeySpec(None, made.key_spec.galois), "relinearisation"),
        (EvaluationKeySpec(made.key_spec.relinearisation_level, ()), "rotation by"),
        (
            EvaluationKeySpec(
                made.key_spec.relinearisation_level, tuple((e, 0) for e, _ in made.key_spec.galois)
            ),
            "level",
        ),
    ):
        engine = CleartextEngine(made.parameters, key_spec=spec)
        with pytest.raises(KeyMissingError, match=message):
            Runner(made, engine).run(encrypted("mlp", engine, 0))


def test_inputs_far_outside_are_noticed() -> None:
    made = plan("mlp")
    with pytest.raises(InputError, match=r"nothing can be computed .* calibrated"):
        run_slots(made, inputs("mlp")[0] * 1e4)
    with (
        pytest.warns(InputRangeWarning, match="calibrated"),
        pytest.raises(InputError, match="far outside"),
    ):
        run_slots(replace(made, input_range=(-1e4, 1e4)), inputs("mlp")[0] * 1e4)


def test_the_cleartext_engine_is_an_engine() -> None:
    assert isinstance(CleartextEngine(plan("mlp").parameters), Engine)
