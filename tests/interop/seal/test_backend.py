"""A plan for clients who have SEAL and nothing of hetorch: their keys, their ciphertexts, our runtime."""

from __future__ import annotations

import numpy as np
import pytest
import seal

from hetorch import simulate
from hetorch.compiler.api import compile
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.errors import KeyMissingError
from hetorch.interop.backends import BACKENDS
from hetorch.interop.seal_format import dump_ciphertext, load_ciphertext, load_evaluation_keys
from hetorch.runtime import Runner
from tests.compiler.networks import inputs, model
from tests.interop.seal_format.peers import SealPython


def steps_of(spec: EvaluationKeySpec, ring_degree: int) -> list[int]:
    logarithms = {galois_element(steps, ring_degree, 3): steps for steps in range(ring_degree // 2)}
    return [logarithms[element] for element, _ in spec.galois]


def test_a_client_with_seal_python() -> None:
    plan = compile(model("mlp"), inputs("mlp")[:64], engine="seal", security="none")
    parameters, public = plan.parameters, plan.public()
    client = SealPython(parameters)
    galois = client.galois_keys(steps_of(plan.key_spec, parameters.ring_degree)).to_string()
    relin = client.generator.create_relin_keys().to_string()
    x = inputs("mlp")[64]
    (slots,) = public.pack(x)
    encryptor = seal.Encryptor(client.context, client.secret)
    upload = encryptor.encrypt_symmetric(client.encoder.encode(slots, plan.input_scale)).to_string()

    keys = load_evaluation_keys(parameters, plan.key_spec, relin=relin, galois=galois)
    ciphertext = load_ciphertext(parameters, upload)
    clear = simulate(plan, x, noise=False)
    bound = plan.report.predicted_error * plan.report.output_range
    for backend in BACKENDS:
        runner = Runner(plan, backend.make(parameters, keys), backend=backend)
        (result,) = runner.run_native([ciphertext])
        answer = seal.Ciphertext()
        answer.load_bytes(client.context, dump_ciphertext(parameters, result))
        found = public.unpack([client.decrypt(answer)])
        # On SEAL its digits' mean counts too: see tests/interop/test_backends.py.
        assert np.max(np.abs(found - clear)) < bound * np.sqrt(1 + 12 * parameters.ring_degree / np.pi**2)

    with pytest.raises(KeyMissingError, match="no relinearisation keys"):
        load_evaluation_keys(parameters, plan.key_spec, galois=galois)
    few = client.galois_keys(steps_of(plan.key_spec, parameters.ring_degree)[:1]).to_string()
    with pytest.raises(KeyMissingError, match="Galois keys are missing"):
        load_evaluation_keys(parameters, plan.key_spec, relin=relin, galois=few)
