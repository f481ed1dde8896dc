"""A whole network gives the same bits on every kernel path of this machine, and the right values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from hetorch.engine import _native, codec
from hetorch.engine.secret import SecretKey
from tests.compiler.networks import inputs, model, plan
from tests.engine.key_blobs import fresh_blob

NETWORK = "mlp"  # dense maps and squares: polynomials without an approximation error
ROOT = Path(__file__).parents[2]

# What a server does, in a process of its own: the core reads HETORCH_ISA when it makes a context.
SERVER = """
import sys
from pathlib import Path
from hetorch.engine import codec
from hetorch.engine.native import NativeEngine
from hetorch.plan import Plan
from hetorch.runtime import Runner

folder, results = Path(sys.argv[1]), Path(sys.argv[2])
plan = Plan.load(folder / "plan.hetorch")
keys = codec.load_evaluation_keys(plan.parameters, plan.key_spec, (folder / "keys").read_bytes())
query = [codec.load_ciphertext(plan.parameters, part.read_bytes()) for part in sorted(folder.glob("query*"))]
engine = NativeEngine(plan.parameters, evaluation_keys=keys)
for i, result in enumerate(Runner(plan, engine).run(query)):
    (results / f"result{i}").write_bytes(codec.dump_ciphertext(plan.parameters, result))
print(engine.kernel_path)
"""


def test_a_network_on_every_path(tmp_path: Path) -> None:
    compiled = plan(NETWORK)
    public = compiled.public()
    sample = inputs(NETWORK)[:1]
    secret = SecretKey.generate(compiled.parameters)
    compiled.save(tmp_path / "plan.hetorch")
    (tmp_path / "keys").write_bytes(fresh_blob(secret, compiled.key_spec))
    for i, slots in enumerate(public.pack_batch(public.samples(sample)[0])):
        part = secret.encrypt(slots, level=compiled.input_level, scale=compiled.input_scale)
        (tmp_path / f"query{i}").write_bytes(codec.dump_ciphertext(compiled.parameters, part))

    paths = _native.kernel_paths()
    assert paths[0] == "portable"
    answers: dict[str, list[bytes]] = {}
    for path in paths:
        results = tmp_path / path
        results.mkdir()
        server = subprocess.run(
            [sys.executable, "-c", SERVER, str(tmp_path), str(results)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HETORCH_ISA": path},
            timeout=300,
            check=False,
        )
        assert server.returncode == 0, server.stderr
        assert path in server.stdout  # wide primes of a chain take another one beside it
        answers[path] = [file.read_bytes() for file in sorted(results.iterdir())]
        assert answers[path] == answers["portable"], path

    ciphertexts = [codec.load_ciphertext(compiled.parameters, answer) for answer in answers["portable"]]
    values = public.unpack_batch([secret.decrypt(c) for c in ciphertexts])[:1]
    with torch.no_grad():
        expected = model(NETWORK)(torch.tensor(sample, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(values, expected, atol=1e-3)
