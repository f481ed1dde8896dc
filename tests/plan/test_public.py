from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import HetorchError, InputError, SecurityError, WireError
from hetorch.plan import PublicPlan
from hetorch.plan.public import MAX_BYTES
from tests.compiler.networks import inputs, plan


def test_bytes_and_back() -> None:
    public = plan("cnn").public()
    again = PublicPlan.from_bytes(public.to_bytes())
    assert again == public
    assert again.to_bytes() == public.to_bytes()
    sample = inputs("cnn")[0]
    for a, b in zip(again.pack(sample), public.pack(sample), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.input_shape == (1, 24, 25) and again.output_shape == (10,)
    assert again.input_count == again.output_count == 1
    assert again.slot_count == again.parameters.slot_count


def test_no_weight_is_in_it() -> None:
    data = json.loads(plan("mlp").public().to_bytes())
    assert set(data) == {
        "format", "version", "name", "fingerprint", "parameters", "key_spec", "batch_size", "input_layout",
        "input_level", "input_scale", "output_layout", "output_level", "output_scale", "input_range", "precision",
        "output_range", "evaluation_key_bytes", "input_ciphertext_bytes", "output_ciphertext_bytes",
        "interface",
    }  # fmt: skip


def test_the_range_of_results_is_optional() -> None:
    public = plan("mlp").public()
    told = replace(public, expected_outputs=(-1.5, 2.0))
    assert PublicPlan.from_bytes(told.to_bytes()) == told
    assert json.loads(told.to_bytes()) == json.loads(public.to_bytes()) | {"expected_outputs": [-1.5, 2.0]}
    assert PublicPlan.from_bytes(public.to_bytes()).expected_outputs is None


def changed(**fields: object) -> bytes:
    data: dict[str, Any] = json.loads(plan("mlp").public().to_bytes())
    for name, value in fields.items():
        if "__" in name:
            outer, inner = name.split("__")
            data[outer][inner] = value
        else:
            data[name] = value
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "JSON object"),
        (b"[" * 100_000, "not valid JSON"),
        (b" " * (MAX_BYTES + 1), "at most"),
        (changed(version=2), "version 2"),
        (changed(version=4), "version 4"),
        (changed(encrypted_weight_bytes=0), "encrypted_weight_bytes: expected an integer in 1"),
        (changed(encrypted_weight_bytes=1 << 60), "encrypted_weight_bytes: expected an integer in 1"),
        (changed(encrypted_weight_bytes="1"), "encrypted_weight_bytes: expected an integer in 1"),
        (changed(expected_outputs=[1]), "expected_outputs needs two numbers"),
        (changed(expected_outputs=[2, 1]), "expected_outputs needs two numbers, the lower one first"),
        (changed(expected_outputs=[1, 2, 3]), "expected_outputs"),
        (changed(expected_outputs=[0, "1"]), "expected_outputs"),
        (changed(batch_size=3), "input_layout"),
        (changed(batch_size=1 << 40), "batch_size"),
        (changed(extra=1), "unknown fields"),
        (changed(name="a\nb"), "printable"),
        (changed(name="a" * 1000), "at most 200"),
        (changed(fingerprint="z" * 64), "hexadecimal"),
        (changed(input_level=99), "input_level"),
        (changed(input_level=True), "input_level"),
        (changed(input_scale=0), "input_scale"),
        (changed(input_scale="1"), "input_scale"),
        (changed(input_range=[1]), "two numbers"),
        (changed(input_layout__shape=[1 << 40]), "shape"),
        (changed(input_layout__shape=[7]), "input_layout"),
        (changed(input_layout__ciphertexts=1 << 30), "ciphertexts"),
        (changed(input_layout__ciphertexts=1 << 14, input_layout__period=1), "positions"),
        (changed(input_layout__index_of_slot="AAAA"), "base64"),
        (changed(input_layout__period=3), "index_of_slot"),
        (changed(key_spec__galois=[[4, 0]]), "Galois"),
        (changed(key_spec__galois=[[5, 0], [5, 0]]), "sorted"),
        (changed(key_spec__galois=[[5]]), "element, level"),
        (changed(key_spec__relinearisation_level=77), "relinearisation_level"),
        (changed(parameters__ring_degree=3), "ring_degree"),
        (changed(parameters={}), "parameters"),
    ],
)
def test_a_hostile_server_gets_one_clear_error(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        PublicPlan.from_bytes(data)


def test_insecure_parameters_are_named() -> None:
    data = json.loads(plan("mlp").public().to_bytes())
    data["parameters"]["security"] = "256"
    with pytest.raises(SecurityError, match="256"):
        PublicPlan.from_bytes(json.dumps(data).encode())


@pytest.mark.fuzz
@given(st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_random_changes_never_crash(position: int, byte: int, cut: int) -> None:
    data = bytearray(plan("gate").public().to_bytes())
    data[position % len(data)] = byte
    for candidate in (bytes(data), bytes(data[: cut % len(data)])):
        try:
            PublicPlan.from_bytes(candidate)
        except HetorchError as error:
            assert len(str(error)) < 1000


def test_samples() -> None:
    public = plan("mlp").public()
    samples, single = public.samples(np.zeros(50))
    assert samples.shape == (1, 50) and single
    assert public.samples([[0] * 50] * 2)[0].dtype == np.float64
    with pytest.raises(InputError, match=r"\(50,\)"):
        public.samples(np.zeros((2, 51)))
    with pytest.raises(InputError, match="holds nan at index \\(0,\\)"):
        public.samples(np.full(50, np.nan))
    with pytest.raises(InputError, match="array"):
        public.samples([[1.0], [1.0, 2.0]])


def test_the_client_side_loads_neither_torch_nor_the_compiler() -> None:
    code = (
        "import sys, hetorch; assert 'numpy' not in sys.modules, 'import hetorch loads numpy'\n"
        "import hetorch.plan\n"
        "bad = {'torch', 'scipy', 'hetorch.compiler', 'hetorch.runtime', 'hetorch.engine._native'}\n"
        "assert not bad & set(sys.modules), bad & set(sys.modules)\n"
        "assert hetorch.Plan is hetorch.plan.Plan and 'compile' in dir(hetorch)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
