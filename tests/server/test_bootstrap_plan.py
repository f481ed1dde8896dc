"""A plan that bootstraps, from its file to a client in another process's place: keys, sizes, memory and results."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hetorch
from hetorch.client import Client
from hetorch.engine import _native, codec
from hetorch.engine.backend import NATIVE
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec, KeyEnd, all_links
from hetorch.engine.packed_keys import map_evaluation_keys, pack_evaluation_keys, packed_file_bytes
from hetorch.engine.secret import SecretKey
from hetorch.errors import KeyMissingError, LevelError, PlanFormatError, PlanUseError, WireError
from hetorch.interop.seal.backend import SEAL
from hetorch.ir.he_operations import Bootstrap
from hetorch.ir.interpreter import run_he_program
from hetorch.ir.layout import Layout
from hetorch.plan.memory import key_memory, link_memory, predict_memory, prepared_positions, working_memory
from hetorch.plan.public import PublicPlan
from hetorch.plan.sizes import evaluation_key_bytes
from hetorch.runtime import Event, Runner
from hetorch.runtime.pieces import storage_within
from hetorch.serving.models import serve_plan
from tests.engine.bootstrap_case import small_set
from tests.engine.key_blobs import fresh_blob
from tests.server.bootstrap_plan import INPUTS, bootstrap_plan, expected, with_bound
from tests.server.live import live

ERROR = 2e-3
"""The sines lose 1e-4 each, which the squares double; the noise of a bootstrap at 2^11 is 16 times 2^-17 at most."""


@pytest.fixture(scope="module")
def plan() -> hetorch.Plan:
    return bootstrap_plan()


@pytest.fixture(scope="module")
def secret(plan: hetorch.Plan) -> SecretKey:
    return SecretKey.generate(plan.parameters)


@pytest.fixture(scope="module")
def blob(plan: hetorch.Plan, secret: SecretKey) -> bytes:
    return fresh_blob(secret, plan.key_spec)


def test_a_client_and_a_server(plan: hetorch.Plan, tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, INPUTS))
    seen: list[tuple[str, float, float]] = []
    with (
        live({"deep": serve_plan("deep", plan)}) as url,
        Client(
            url, vault=tmp_path / "keys", allow_insecure=True, progress=lambda *told: seen.append(told)
        ) as client,
    ):
        for sample in x:
            np.testing.assert_allclose(client.predict(sample), expected(sample), atol=ERROR)
    assert seen


def test_the_runner_shares_maps_and_tells_each_bootstrap(plan: hetorch.Plan, secret: SecretKey) -> None:
    engine = NATIVE.make(plan.parameters, secret.evaluation_keys(plan.key_spec))
    runner = Runner(plan, engine)
    x = np.random.default_rng(1).uniform(-1, 1, INPUTS)
    (slots,) = plan.public().pack(x)
    events: list[Event] = []
    (result,) = runner.run(
        [secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)], on_event=events.append
    )
    np.testing.assert_allclose(secret.decrypt(result)[:INPUTS], expected(x), atol=ERROR)
    told = [event for event in events if type(event.operation).__name__ == "Bootstrap"]
    assert [event.layer for event in told] == ["first", "second"]
    assert [event.place for event in told] == ["first, bootstrap 1 of 2", "second, bootstrap 2 of 2"]
    assert {event.place for event in events if event.bootstrap is None} == {"first", "second"}
    assert all(event.rotations > 20 and event.level == told[0].level for event in told)
    prepared = [p for p in runner._prepared.values() if hasattr(p, "byte_count")]
    assert len(prepared) == 2 and prepared[0] is prepared[1]
    weights = predict_memory(plan.program, plan.parameters, plan.key_spec, {}).weights
    assert weights == prepared[0].byte_count
    other = with_bound(plan, 2.0)
    assert predict_memory(other.program, other.parameters, other.key_spec, {}).weights == 2 * weights


def test_bootstraps_of_other_scales_share_maps_if_the_products_with_the_bounds_agree() -> None:
    plan = bootstrap_plan(bound=2.0)
    first, second = (op for op in plan.program.operations if isinstance(op, Bootstrap))
    assert (first.bound, second.bound) == (2.0, 4.0)
    values = plan.program.values
    assert values[first.input].scale == 2 * values[second.input].scale
    x = np.random.default_rng(7).uniform(-2, 2, INPUTS)
    (slots,) = plan.public().pack(x)
    secret = SecretKey.generate(plan.parameters)
    for engine in (
        NATIVE.make(plan.parameters, secret.evaluation_keys(plan.key_spec)),
        CleartextEngine(plan.parameters),
    ):
        runner: Runner[Any, Any, Any] = Runner(plan, engine)
        who: Any = engine if isinstance(engine, CleartextEngine) else secret
        (result,) = runner.run([who.encrypt(slots, level=plan.input_level, scale=plan.input_scale)])
        # Values and errors of the plan for bound 1 are 16 times as large.
        np.testing.assert_allclose(who.decrypt(result)[:INPUTS], expected(x), atol=16 * ERROR)
        assert runner._prepared[0] is runner._prepared[4]
    assert prepared_positions(plan.program) == tuple(
        p for p, op in enumerate(plan.program.operations) if op is not second
    )


def test_it_is_read_back_and_the_cleartext_engine_models_it(plan: hetorch.Plan, tmp_path: Path) -> None:
    plan.save(tmp_path)
    loaded = hetorch.Plan.load(tmp_path)
    assert loaded.fingerprint == plan.fingerprint and loaded.key_spec == plan.key_spec
    public = PublicPlan.from_bytes(plan.public().to_bytes())
    assert public.key_spec == plan.key_spec
    x = np.random.default_rng(2).uniform(-1, 1, (64, INPUTS))
    exact = plan.network().run(x)
    np.testing.assert_allclose(exact, expected(x), atol=ERROR)
    noisy = plan.network().run(x, seed=1) - exact
    (slots,) = public.pack(x[0])
    by_definition = run_he_program(plan.program, {}, [slots])[0]
    np.testing.assert_allclose(by_definition[:INPUTS], exact[0], atol=1e-12)
    for noise, bound in ((False, 1e-12), (True, 2.0**-12)):
        engine = CleartextEngine(plan.parameters, noise=noise, key_spec=plan.key_spec)
        start = engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
        (result,) = Runner(plan, engine).run([start])
        assert (result.level, result.scale) == (plan.output_level, plan.output_scale)
        assert (np.abs(result.values - by_definition) < bound).all()
        if noise:
            # Both model the same noise, one in every slot, the other in the mean of the slots of an element.
            deviation = float(np.std(result.values - by_definition))
            replicas = plan.parameters.slot_count / INPUTS
            assert np.std(noisy) * np.sqrt(replicas) == pytest.approx(deviation, rel=0.5)
        with pytest.raises(LevelError):
            op: Any = plan.program.operations[0]
            higher = engine.encrypt(slots, level=plan.input_level + 1, scale=plan.input_scale)
            engine.bootstrap(op.prepare(engine, plan.program, {}), higher)


def test_fewer_slots_than_the_ring_has_and_the_calls_of_users() -> None:
    plan = bootstrap_plan(small_set(1 << 12, (5, 4), (5, 4), babies=(8, 2)))
    x = np.random.default_rng(3).uniform(-1, 1, (1, INPUTS))
    np.testing.assert_allclose(hetorch.run_encrypted(plan, x), expected(x), atol=ERROR)
    np.testing.assert_allclose(hetorch.simulate(plan, x), expected(x), atol=ERROR)
    sparse = sum(link.from_end is not link.to_end for link in plan.key_spec.links)
    keys = f"{plan.key_spec.count - 1 - sparse} rotations, {sparse} for bootstrapping"
    assert sparse > 0 and keys in str(plan)
    wide = Layout.periodic((1024,), plan.program.slot_count, np.arange(1024))
    with pytest.raises(PlanFormatError, match="must repeat after 512 slots"):
        replace(plan, program=replace(plan.program, layouts=(wide, wide)))


def test_the_predicted_working_memory_is_enough(plan: hetorch.Plan, secret: SecretKey) -> None:
    engine = NATIVE.make(plan.parameters, secret.evaluation_keys(plan.key_spec))
    runner = Runner(plan, engine)
    runner.prepare()
    (slots,) = plan.public().pack(np.zeros(INPUTS))
    start = secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
    before = _native.pool_statistics().in_use
    _native.reset_pool_peak()
    runner.run([start])
    used = _native.pool_statistics().peak - before
    working = working_memory(plan.program, plan.parameters, {}, _native.thread_count())
    assert working / 4 < used < working


def test_the_cleartext_engine_misses_each_key(plan: hetorch.Plan) -> None:
    op: Any = plan.program.operations[0]
    boot = op.bootstrap_set(plan.parameters)
    links = all_links(plan.parameters, bootstrap_keys(boot))
    for left_out in links[:: len(links) // 6]:
        sparse = plan.key_spec.sparse
        spec = EvaluationKeySpec.collected(plan.parameters, [k for k in links if k != left_out], sparse)
        engine = CleartextEngine(plan.parameters, noise=False, key_spec=spec)
        start = engine.encrypt(
            np.zeros(plan.parameters.slot_count), level=plan.input_level, scale=plan.input_scale
        )
        with pytest.raises(KeyMissingError, match="bootstrapping"):
            engine.bootstrap(op.prepare(engine, plan.program, {}), start)


def test_sizes_and_memory_are_exact(
    plan: hetorch.Plan, secret: SecretKey, blob: bytes, tmp_path: Path
) -> None:
    p, spec = plan.parameters, plan.key_spec
    assert len(blob) == codec.evaluation_keys_blob_bytes(p, spec)
    assert len(blob) == codec.FRAME_BYTES + spec.count + evaluation_key_bytes(p, spec)
    key_id = hashlib.sha256(blob).hexdigest()
    (tmp_path / "blob").write_bytes(blob)
    with (tmp_path / "blob").open("rb") as file:
        (tmp_path / "packed").write_bytes(b"".join(pack_evaluation_keys(p, spec, file, len(blob), key_id)))
        file.seek(0)
        read = codec.read_switching_keys(p, spec, file, len(blob))
        assert sum(key.bytes for key in read) == key_memory(p, spec)
    assert (tmp_path / "packed").stat().st_size == packed_file_bytes(p, spec)
    keys = map_evaluation_keys(p, spec, tmp_path / "packed", key_id)
    engine = NATIVE.make(p, keys)
    (slots,) = plan.public().pack(np.full(INPUTS, 0.5))
    (result,) = Runner(plan, engine).run(
        [secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)]
    )
    np.testing.assert_allclose(secret.decrypt(result), 0.0625, atol=ERROR)


def test_no_more_than_a_key_is_held_while_keys_are_made_and_packed(
    plan: hetorch.Plan, secret: SecretKey, blob: bytes
) -> None:
    p, spec = plan.parameters, plan.key_spec
    largest = max(link_memory(p, link) for link in all_links(p, spec))
    assert largest < key_memory(p, spec) / 18
    made = codec.dump_evaluation_keys(p, spec, secret.switching_keys(spec))
    packed = pack_evaluation_keys(p, spec, io.BytesIO(blob), len(blob), hashlib.sha256(blob).hexdigest())
    for pieces in (made, packed):
        _native.trim_pool()
        before = _native.pool_statistics().in_use
        _native.reset_pool_peak()
        for _ in pieces:
            pass
        told = _native.pool_statistics()
        # One key, the residues of its uniform half and of its errors, and the switch to the next.
        assert told.peak - before < 6 * largest
        assert told.in_use == before and told.held < largest
    with pytest.raises(KeyMissingError, match="more keys"):
        fewer = replace(spec, links=spec.links[:-1])
        list(codec.dump_evaluation_keys(p, fewer, secret.switching_keys(spec)))


def test_each_key_is_checked(plan: hetorch.Plan, blob: bytes) -> None:
    p, spec = plan.parameters, plan.key_spec
    codec.load_evaluation_keys(p, spec, blob)
    for wrong in (blob[:-1], blob + b"0", blob[:200] + bytes([blob[200] ^ 1]) + blob[201:]):
        with pytest.raises(WireError):
            codec.load_evaluation_keys(p, spec, wrong)


def test_a_plan_that_asks_for_other_keys_is_not_loaded(plan: hetorch.Plan, tmp_path: Path) -> None:
    plan.save(tmp_path)
    manifest = tmp_path / "manifest.json"
    whole = json.loads(manifest.read_text())

    def refused(change: Any, message: str) -> None:
        data = json.loads(json.dumps(whole))
        change(data["key_spec"])
        manifest.write_text(json.dumps(data))
        with pytest.raises(PlanFormatError, match=message):
            hetorch.Plan.load(tmp_path)

    to_sparse = next(i for i, link in enumerate(whole["key_spec"]["links"]) if link[1] == KeyEnd.SPARSE)
    refused(lambda spec: spec["links"].pop(0), "key_spec has none")
    refused(lambda spec: spec["links"][to_sparse].__setitem__(5, 1), "at level 1")
    refused(lambda spec: spec["links"][to_sparse].__setitem__(1, "dense_squared"), "no key links")
    refused(lambda spec: spec["links"][to_sparse].__setitem__(3, 99), "family")
    refused(lambda spec: spec["links"][to_sparse].__setitem__(0, 7), "connects two of")
    refused(lambda spec: spec.pop("sparse_secret"), "sparse secret")
    refused(lambda spec: spec.update(sparse_secret=[32, 2]), "sparse secret")
    refused(lambda spec: spec.update(sparse_secret=[32, 3]), "no sparse secret")
    refused(lambda spec: spec.update(links=[]), "1 to")


def test_seal_refuses_it(plan: hetorch.Plan) -> None:
    with pytest.raises(PlanUseError, match="bootstraps, which the engine 'seal' cannot"):
        storage_within(plan, None, SEAL)
    with pytest.raises(PlanUseError, match="bootstraps"):
        serve_plan("deep", plan, engine="seal")
