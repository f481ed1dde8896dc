"""What a server imports holds no secret key and cannot decrypt; secrets do not leak through Python; shared
results are flooded.
"""

from __future__ import annotations

import copy
import math
import pickle  # noqa: TID251  # to see it refused
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hetorch.engine import _native, _secret, secret
from hetorch.engine.bootstrapping import BootstrapKeySpec
from hetorch.engine.random import keystream, random_seed
from hetorch.engine.secret import SecretKey, flood
from hetorch.engine.sharing import Sharing
from hetorch.errors import InputError
from hetorch.params import ParameterSet, Security
from hetorch.params.insecure import insecure_small
from tests.cli.secret_traces import ntt_rows


def parameters() -> ParameterSet:
    return ParameterSet.from_bits(1 << 11, [45, 35], [46], security=Security.NONE)


@pytest.mark.parametrize(
    "module",
    [
        "engine.backend",
        "engine.native",
        "engine.codec",
        "engine.context",
        "engine.uniform",
        "engine.random",
        "engine.protocol",
        "engine.transform",
        "engine.polynomial",
        "engine.keys",
        "interop.backends",
        "interop.seal.engine",
        "interop.seal_format",
        "interop.tenseal_format",
        "plan",
        "runtime",
        "inspect.simulate",
    ],
)
def test_public_modules_do_not_load_the_secret_one(module: str) -> None:
    code = f"import sys, hetorch.{module}; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert f"hetorch.{module}" in loaded
    assert not [name for name in loaded if name.startswith("hetorch") and "secret" in name]


def test_the_native_module_has_nothing_secret() -> None:
    names = set(dir(_native))
    for value in vars(_native).values():
        if isinstance(value, type):
            names |= {f"{value.__name__}.{attribute}" for attribute in dir(value)}
    assert len(names) > 50
    forbidden = ("secret", "decrypt", "private", "sample", "keygen", "make_")
    assert not [name for name in names if any(word in name.lower() for word in forbidden)]


def test_the_native_library_file_binds_nothing_secret() -> None:
    # Not even behind a name that dir() does not show: no such word among the strings of the module's file.
    file = _native.__file__
    assert file is not None
    with open(file, "rb") as opened:
        data = opened.read()
    assert b"multiply_plaintext" in data
    for word in (b"decrypt", b"SecretKey", b"secret_key", b"make_switching_key"):
        assert word not in data


def test_keys_are_not_pickled_or_copied() -> None:
    key = SecretKey.generate(parameters())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(key, protocol)
        with pytest.raises(TypeError):
            pickle.dumps(key._core, protocol)
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            copied(key)


def test_repr_and_str_show_nothing() -> None:
    key = SecretKey.generate(parameters(), bytes(range(1, 33)))
    for text in (repr(key), str(key), f"{key}", repr([key])):
        assert "SecretKey(N=2^11, secret)" in text and len(text) < 40
        assert key.seed.hex()[:8] not in text and "\\x01\\x02" not in text


def test_the_core_key_shows_no_rows() -> None:
    """Its coefficients, for files in another library's format, and nothing else; rows only go in."""
    public = {name for name in dir(_secret.SecretKey) if not name.startswith("_")}
    assert public == {"coefficients", "from_coefficients", "from_rows", "sparse"}


def test_a_seed_is_the_key() -> None:
    p = parameters()
    key = SecretKey.generate(p)
    again = SecretKey.generate(p, key.seed)
    values = np.linspace(-1, 1, p.slot_count)
    np.testing.assert_allclose(again.decrypt(key.encrypt(values, scale=2.0**40)), values, atol=1e-6)
    other = SecretKey.generate(p)
    assert other.seed != key.seed
    assert np.abs(other.decrypt(key.encrypt(values, scale=2.0**40))).max() > 1
    with pytest.raises(InputError, match="32 bytes"):
        SecretKey.generate(p, b"short")


def test_a_key_of_coefficients_has_no_seed() -> None:
    p = parameters()
    key = SecretKey.from_coefficients(p, np.ones(p.ring_degree, np.int8))
    with pytest.raises(InputError, match="no seed"):
        _ = key.seed
    for wrong in (
        np.full(p.ring_degree, 2),
        np.full(p.ring_degree, 257),
        np.full(p.ring_degree, 0.5),
        np.zeros(3),
    ):
        with pytest.raises(InputError, match="-1, 0 or 1"):
            SecretKey.from_coefficients(p, wrong)  # type: ignore[arg-type]


# sigma = sqrt(12 tau) 2^(s/2) t, t = sqrt(values) * error bound (Li, Micciancio, Schultz, Sorrell, Crypto 2022).
@pytest.mark.parametrize(
    ("bound", "queries", "bits"), [(1e-9, 1, 30), (1e-9, 100, 30), (2e-6, 7, 40), (0.5, 1000, 64)]
)
def test_flooding_has_the_deviation_of_the_formula(bound: float, queries: int, bits: int) -> None:
    count = 1 << 15
    sharing = Sharing(error_bound=bound, queries=queries, security_bits=bits)
    sigma = (12 * queries) ** 0.5 * 2 ** (bits / 2) * count**0.5 * bound
    assert math.isclose(sharing.noise_std(count), sigma, rel_tol=1e-12)
    values = np.linspace(-1, 1, count)
    noise = flood(values, sharing) - values
    # Six standard errors of mean, variance and fourth moment of a Gaussian.
    assert abs(noise.mean()) < 6 * sigma / math.sqrt(count)
    assert abs(noise.var() / sigma**2 - 1) < 6 * math.sqrt(2 / count)
    assert abs((noise**4).mean() / sigma**4 - 3) < 6 * math.sqrt(96 / count)
    assert abs(np.mean(noise[1:] * noise[:-1])) < 6 * sigma**2 / math.sqrt(count)


def test_flooding_is_fresh_each_time_and_keeps_the_shape() -> None:
    sharing = Sharing(error_bound=1e-9, queries=1)
    values = np.zeros((3, 4))
    first, second = flood(values, sharing), flood(values, sharing)
    assert first.shape == (3, 4) and not np.any(first == second) and not values.any()


def test_decrypting_for_sharing_floods() -> None:
    p = parameters()
    key = SecretKey.generate(p)
    sharing = Sharing(error_bound=1e-8, queries=10)
    values = np.zeros(p.slot_count)
    ciphertext = key.encrypt(values, scale=2.0**40)
    private, shared = key.decrypt(ciphertext), key.decrypt(ciphertext, for_sharing=sharing)
    deviation = sharing.noise_std(p.slot_count)
    assert np.abs(private).max() < 1e-8
    assert abs(shared.std() / deviation - 1) < 6 / math.sqrt(2 * p.slot_count)


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_bound": 0.0},
        {"error_bound": -1.0},
        {"error_bound": float("nan")},
        {"error_bound": float("inf")},
        {"queries": 0},
        {"security_bits": 29},
        {"most_noise": 0.0},
        {"most_noise": float("nan")},
    ],
)
def test_sharing_refuses_what_protects_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sharing(**{"error_bound": 1e-6, "queries": 1, **wrong})  # type: ignore[arg-type]


WIPING = """
import gc, sys
import numpy as np
from hetorch.engine.secret import SecretKey
from hetorch.params.insecure import insecure_small
parameters = insecure_small(1 << 12, 2)
key = SecretKey.generate(parameters, bytes(reversed(bytes.fromhex(sys.argv[1]))))
key.encrypt(np.full(parameters.slot_count, 0.5), scale=2.0**40)
gc.collect()
print("made", flush=True)
sys.stdin.readline()
key.wipe()
print("wiped", flush=True)
sys.stdin.readline()
"""


def times_in_memory(pid: int, patterns: list[bytes]) -> list[int]:
    """Count byte strings in the writable memory of a process."""
    counts = [0] * len(patterns)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            begin, end = (int(text, 16) for text in span.split("-"))
            if rights.startswith("rw") and "[v" not in line:
                memory.seek(begin)
                held = memory.read(end - begin)
                counts = [count + held.count(one) for count, one in zip(counts, patterns, strict=True)]
    return counts


def test_a_wiped_key_is_no_more_in_memory() -> None:
    """Neither seed, nor the random bytes expanded from it, nor the residues of the key."""
    p = insecure_small(1 << 12, 2)
    seed = random_seed()
    stream = keystream(seed, 8 * p.ring_degree, domain=b"secret key")
    row = ntt_rows(p, SecretKey.generate(p, seed))[0].astype("<u8").tobytes()
    patterns = [seed[2:30], stream[1000:1032], row[1000:1032]]
    command = [sys.executable, "-W", "ignore", "-c", WIPING, seed[::-1].hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdin is not None and run.stdout is not None
        assert run.stdout.readline() == "made\n"
        before = times_in_memory(run.pid, patterns)
        run.stdin.write("\n")
        run.stdin.flush()
        assert run.stdout.readline() == "wiped\n"
        after = times_in_memory(run.pid, patterns)
        run.stdin.write("\n")
        run.stdin.close()
        assert run.wait(60) == 0
    assert before[0] >= 1 and before[2] >= 1  # while it is in use, the search finds the key
    assert before[1] == 0 and after[1:] == [0, 0]
    # The seed in the literal of this script is not the key's own; its copies are all gone.
    assert after[0] == 0


def test_the_randomness_of_a_sparse_secret_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seed and the bytes that are expanded from it: either one is the secret."""
    drawn: list[bytes] = []

    def kept(draw: Callable[..., bytes]) -> Callable[..., bytes]:
        def drawing(*arguments: Any, **options: Any) -> bytes:
            drawn.append(draw(*arguments, **options))
            assert any(drawn[-1])
            return drawn[-1]

        return drawing

    monkeypatch.setattr(secret, "random_seed", kept(random_seed))
    monkeypatch.setattr(secret, "keystream", kept(keystream))
    key = SecretKey.from_coefficients(parameters(), np.ones(parameters().ring_degree, np.int8))
    sparse = key._draw_sparse(BootstrapKeySpec((), 32, 1))
    assert np.count_nonzero(sparse.coefficients(key._context)) == 32
    assert [len(one) for one in drawn] == [32, 24 * 32]
    assert not any(any(one) for one in drawn)
