"""Fixed seeds give fixed bytes: the same as recorded, on every kernel path and for every number of threads."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hetorch.engine import _native, codec
from hetorch.engine.native import NativeEngine
from hetorch.engine.random import keystream
from hetorch.engine.secret import SecretKey
from hetorch.engine.uniform import uniform_piece
from hetorch.params import ParameterSet, Security
from tests.engine import known_objects, noise
from tests.interop.seal_bridge import coefficients_of_row, first_root

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RECORDED: dict[str, str] = json.loads((FOLDER / "known_answers.json").read_text())


def run(arguments: list[str], **environment: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.known_objects", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_recorded_answers() -> None:
    assert known_objects.hashes(local=False) == RECORDED


def test_every_kernel_path_and_thread_count() -> None:
    local = known_objects.hashes(local=True)
    paths = _native.kernel_paths()
    assert "portable" in paths
    for path in paths:
        for threads in ("1", "2", "3") if path == paths[-1] else ("2",):
            found = run(["local"], HETORCH_ISA=path, HETORCH_NUM_THREADS=threads)
            assert found.pop("path") == path
            assert str(found.pop("threads")) == threads
            assert found == local, (path, threads)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HETORCH_ISA", "sse9"),
        ("HETORCH_NUM_THREADS", "0"),
        ("HETORCH_NUM_THREADS", "many"),
        ("HETORCH_NUM_THREADS", "257"),
    ],
)
def test_wrong_settings_are_refused(variable: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.known_objects"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, variable: value},
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"{variable}=" in done.stderr or f"{variable} is '{value}'" in done.stderr


def test_keystream() -> None:
    # ChaCha20 of RFC 8439 under SHA-256(domain || seed), written out: the quarter round on sixteen words.
    def chacha_block(key: bytes, counter: int) -> bytes:
        words = [int.from_bytes(b"expand 32-byte k"[i : i + 4], "little") for i in range(0, 16, 4)]
        words += [int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4)] + [counter, 0, 0, 0]
        state = list(words)

        def quarter(a: int, b: int, c: int, d: int) -> None:
            for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[x] = (state[x] + state[y]) & 0xFFFFFFFF
                state[z] ^= state[x]
                state[z] = (state[z] << shift | state[z] >> (32 - shift)) & 0xFFFFFFFF

        for _ in range(10):
            for i in range(4):
                quarter(i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        return b"".join(
            ((s + w) & 0xFFFFFFFF).to_bytes(4, "little") for s, w in zip(state, words, strict=True)
        )

    seed = bytes(range(32))
    key = hashlib.sha256(b"uniform" + bytes([3, 0, 0, 0]) + seed).digest()
    expected = b"".join(chacha_block(key, counter) for counter in range(4))
    assert uniform_piece(seed, 3, 256) == expected
    assert uniform_piece(seed, 3, 100) == expected[:100]


def test_uniform_halves_are_the_expansion_of_their_seed() -> None:
    # Each residue is a 128-bit little-endian number modulo its prime, row by row.
    parameters = known_objects.sets()["wide"]
    fixed = known_objects.Fixed(parameters)
    ciphertext = fixed.encrypt("first")
    n, count = parameters.ring_degree, len(parameters.modulus_chain)
    stream = keystream(known_objects.seed("first public"), 16 * n * count, domain=b"uniform" + bytes(4))
    for r, q in enumerate(parameters.modulus_chain):
        for j in (0, 1, 2, 511, n - 1):
            start = 16 * (r * n + j)
            assert int(ciphertext.row(1, r)[j]) == int.from_bytes(stream[start : start + 16], "little") % q


def test_an_encryption_from_its_definition() -> None:
    # c_0 = m + e - c_1 s over the integers, multiplied as big numbers (Kronecker: a coefficient each 128 bits),
    # X^N = -1.
    parameters = known_objects.sets()["simd"]
    fixed = known_objects.Fixed(parameters)
    ciphertext = fixed.encrypt("second")
    n, q = parameters.ring_degree, parameters.modulus_chain[0]
    root = first_root(n, q)
    c0, c1 = (coefficients_of_row(ciphertext.row(part, 0), q, root) for part in range(2))
    words = np.frombuffer(keystream(known_objects.seed("secret"), 8 * n, domain=b"secret key"), dtype="<u8")
    s = [((int(w) * 3 >> 64) - 1) % q for w in words]

    def packed(c: list[int]) -> int:
        return int.from_bytes(b"".join(x.to_bytes(16, "little") for x in c), "little")

    long = (packed(c1) * packed(s)).to_bytes(32 * n, "little")
    digits = [int.from_bytes(long[16 * i : 16 * i + 16], "little") for i in range(2 * n)]
    product = [(digits[i] - digits[i + n]) % q for i in range(n)]
    message = np.floor(
        np.frombuffer(keystream(known_objects.seed("second"), 4 * n, domain=b"message"), dtype="<i4").astype(float)
        * known_objects.SCALE / 2**31 / 64
    )  # fmt: skip
    error = [(x + y - int(m)) % q for x, y, m in zip(c0, product, message, strict=True)]
    error = [x - q if x > q // 2 else x for x in error]
    assert max(map(abs, error)) <= 29 and 2.5 < np.std(error) < 4


def test_a_stored_ciphertext_still_decrypts() -> None:
    parameters = ParameterSet.from_bits(1 << 10, [36], [37], security=Security.NONE)
    data = base64.b64decode((FOLDER / "known_ciphertext.b64").read_text())
    key = SecretKey.generate(parameters, hashlib.sha256(b"stored").digest())
    ciphertext = codec.load_ciphertext(parameters, data)
    assert (ciphertext.level, ciphertext.scale, ciphertext.seeded) == (0, 2.0**26, True)
    values = np.arange(-256, 256) / 256
    noise.assert_error(key.decrypt(ciphertext), values, noise.fresh(parameters) / 2.0**26)
    assert NativeEngine(parameters).negate(ciphertext).level == 0
