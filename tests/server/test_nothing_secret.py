"""After many predictions nothing secret is in the memory, the files or the logs of the server's processes. Each search
has a control: something that is there is found."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.engine.random import keystream
from hetorch.server.tokens import issue, save_tokens
from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.cli.command import server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.process_memory import memory_of, tree
from tests.server.small_plan import expected, small_plan

ROOT = Path(__file__).parents[2]
STEP = 20
"""The samples and results of each STEP-th prediction are searched for, and those of the last STEP ones."""
RUN = 24
"""Bytes of a pattern: long enough that it is not there by chance."""


def secret_patterns(owner: Owner, token: str) -> dict[str, bytes]:
    """Return what only the data owner may have, in the forms in which it would lie in memory or in a file."""
    seed, coefficients = owner.secret.seed, owner.secret.coefficients()
    prime = owner.plan.parameters.modulus_chain[0]
    residues = np.where(coefficients < 0, prime - 1, coefficients).astype(np.uint64)
    return {
        "seed": seed,
        "seed in hexadecimal digits": seed.hex().encode(),
        "keystream of the seed": keystream(seed, RUN, domain=b"secret key"),
        "coefficients": coefficients.astype(np.int8).tobytes()[: 4 * RUN],
        "coefficients as words": coefficients.astype(np.int64).tobytes()[: 8 * RUN],
        "residues": residues.tobytes()[: 8 * RUN],
        "token": token.encode(),
    }


def found_in(data: bytes, patterns: dict[str, bytes]) -> list[str]:
    return [name for name, pattern in patterns.items() if pattern in data]


@pytest.mark.parametrize(
    "predictions", [20, pytest.param(1000, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_nothing_secret_stays(tmp_path: Path, predictions: int) -> None:
    plan = small_plan()
    plan.save(tmp_path / "small.hetorch")
    owner = make_owner(plan.public())
    text, token = issue("ward-3", "hospital-of-the-test")
    save_tokens(tmp_path / "tokens.json", [token])
    kept = tmp_path / "kept"
    kept.mkdir()
    options = ["--tokens", str(tmp_path / "tokens.json"), "--audit-log", str(kept / "audit.jsonl")]
    options += ["--key-folder", str(kept / "keys"), "--log-level", "debug"]
    secrets = secret_patterns(owner, text)
    numbers = np.random.default_rng(predictions)
    with (
        server_process([tmp_path / "small.hetorch"], tmp_path, *options) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        http.headers["Authorization"] = f"Bearer {text}"
        key_id = http.put(addresses.keys("small"), content=owner.keys, headers=OCTETS).json()["key_id"]
        headers = OCTETS | {addresses.KEY_ID_HEADER: key_id}
        for index in range(predictions):
            x = numbers.uniform(-1, 1, 8)
            request = owner.request(key_id, list(x))
            answer = http.post(addresses.predict("small"), content=request, headers=headers)
            response = load_response(owner.plan, answer.content, request)
            result = owner.plan.unpack([owner.secret.decrypt(c) for c in response.ciphertexts])
            np.testing.assert_allclose(result, expected(x), atol=1e-4)
            if index % STEP == 0 or index >= predictions - STEP:
                secrets[f"sample {index}"] = x.tobytes()[:RUN]
                secrets[f"result {index}"] = result.tobytes()[:RUN]
        memory = b"".join(memory_of(pid) for pid in tree(process.pid))
    digest = hashlib.sha256(text.encode()).hexdigest()
    controls = {
        "fingerprint": plan.public().fingerprint.encode(),
        "key id": key_id.encode(),
        "hash of the token": digest.encode(),
        "weights": plan.weights["dense.values"][0, :4].tobytes()[:RUN],
    }
    assert found_in(memory, controls) == list(controls)
    # The token of the last requests may still lie where they were parsed; nothing else may.
    assert set(found_in(memory, secrets)) <= {"token"}
    files = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    files[tmp_path / "server.log"] = (tmp_path / "server.log").read_bytes()
    for path, data in files.items():
        assert found_in(data, secrets) == [], path
    assert b"hospital-of-the-test" in files[kept / "audit.jsonl"]
    assert any(key_id in path.name or key_id.encode() in data for path, data in files.items())


HOLDER = """
import sys
from hetorch.engine.secret import SecretKey
from tests.server.small_plan import small_plan

key = SecretKey.generate(small_plan().parameters, bytes.fromhex(sys.stdin.readline()))
coefficients, token = key.coefficients(), "hetorch_" + "token"
print("ready", flush=True)
sys.stdin.readline()
"""


def test_the_search_finds_what_is_secret() -> None:
    """The control of the patterns: a process that holds the key has them."""
    owner = make_owner(small_plan().public())
    patterns = secret_patterns(owner, "hetorch_token")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{owner.secret.seed.hex()}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        found = found_in(memory_of(process.pid), patterns)
        process.stdin.close()
    assert {"seed", "coefficients", "token"} <= set(found)
