"""Every format of ours says which version it found, which it reads and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hetorch.compiler.costs import machine
from hetorch.engine import codec
from hetorch.engine.secret import SecretKey
from hetorch.errors import HetorchError, InputError, PlanFormatError, WireError
from hetorch.params.insecure import insecure_small
from hetorch.plan import Plan, PublicPlan, public, store
from hetorch.wire import frame
from tests.engine.key_blobs import fresh_blob
from tests.server.small_plan import small_plan

Read = Callable[[int, Path], object]
"""Writes something, changes its version by the number, and reads it."""


def _manifest(step: int, folder: Path) -> object:
    small_plan().save(folder)
    _change(folder / store.MANIFEST, step)
    return Plan.load(folder)


def _tuning(step: int, folder: Path) -> object:
    path = machine.store_machine(machine.DEFAULT, folder / "tuning.json")
    _change(path, step)
    return machine.load_machine(path)


def _change(path: Path, step: int) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"version": data["version"] + step}))


def _public(step: int, folder: Path) -> object:
    data = json.loads(small_plan().public().to_bytes())
    return PublicPlan.from_bytes(json.dumps(data | {"version": data["version"] + step}).encode())


def _frame(kind: frame.Kind) -> Read:
    def read(step: int, folder: Path) -> object:
        data = bytearray(frame.dump_frame(kind, bytes(32), bytes(32), [], bytes(kind.request_bytes)))
        data[4] += step
        return frame.load_header(data)

    return read


def _blob(name: str) -> Read:
    def read(step: int, folder: Path) -> object:
        parameters = insecure_small(1 << 11, 2)
        plan = small_plan(parameters=parameters)
        secret = SecretKey.generate(parameters)
        if name == "ciphertext":
            blob = codec.dump_ciphertext(
                parameters, secret.encrypt(np.zeros(parameters.slot_count), scale=2.0**30)
            )
        elif name == "public key":
            blob = codec.dump_public_key(parameters, secret.public_key())
        else:
            blob = fresh_blob(secret, plan.key_spec)
        data = blob[:4] + bytes([blob[4] + step]) + blob[5:]
        if name == "ciphertext":
            return codec.load_ciphertext(parameters, data)
        if name == "public key":
            return codec.load_public_key(parameters, data)
        return codec.load_evaluation_keys(parameters, plan.key_spec, data)

    return read


FORMATS: dict[str, tuple[Read, int, type[HetorchError], str, str]] = {
    "plan": (_manifest, store.VERSION, PlanFormatError, "compile the model again", "update hetorch here"),
    "public plan": (_public, public.VERSION, WireError, "owner to update hetorch", "update hetorch here"),
    "tuning": (_tuning, machine.VERSION, InputError, "hetorch tune again", "hetorch tune again"),
    **{
        f"frame of {kind.name}": (
            _frame(kind),
            kind.version,
            WireError,
            "where it comes from",
            "update hetorch here",
        )
        for kind in frame.Kind
    },
    **{
        name: (
            _blob(name),
            codec.FORMAT_VERSION,
            WireError,
            "where the bytes come from",
            "update hetorch here",
        )
        for name in ("ciphertext", "public key", "evaluation keys")
    },
}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_another_version_is_told_with_both_numbers_and_a_remedy(name: str, tmp_path: Path) -> None:
    read, own, kind, older, newer = FORMATS[name]
    for step, remedy in ((-1, older), (1, newer)):
        sentence = (
            f"of format version {own + step} cannot be read, this hetorch reads version {own}: .*{remedy}"
        )
        with pytest.raises(kind, match=sentence):
            read(step, tmp_path / "plan" if name == "plan" else tmp_path)
    if not name.startswith("frame"):
        read(0, tmp_path / "plan" if name == "plan" else tmp_path)


def test_files_of_the_version_before_the_digest_of_the_request_are_read() -> None:
    """Only the response changed: stored public keys and weights keep their version on the wire."""
    versions = {
        kind: frame.dump_frame(kind, bytes(32), bytes(32), [], bytes(kind.request_bytes))[4]
        for kind in frame.Kind
    }
    assert versions == dict.fromkeys(frame.Kind, 1) | {frame.Kind.PREDICT_RESPONSE: 2}
