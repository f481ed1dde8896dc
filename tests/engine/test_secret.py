"""What a server imports holds no secret key and cannot decrypt; secrets do not leak through Python; shared
results are flooded.
"""

from __future__ import annotations

import copy
import math
import pickle  # noqa: TID251  # to see it refused
import subprocess
import sys

import numpy as np
import pytest

from hetorch.engine import _native, _secret
from hetorch.engine.secret import SecretKey, Sharing, flood
from hetorch.errors import InputError
from hetorch.params import ParameterSet, Security


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
    sharing = Sharing(bound, queries, bits)
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
    sharing = Sharing(1e-9, 1)
    values = np.zeros((3, 4))
    first, second = flood(values, sharing), flood(values, sharing)
    assert first.shape == (3, 4) and not np.any(first == second) and not values.any()


def test_decrypting_for_sharing_floods() -> None:
    p = parameters()
    key = SecretKey.generate(p)
    sharing = Sharing(1e-8, 10)
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
    ],
)
def test_sharing_refuses_what_protects_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sharing(**{"error_bound": 1e-6, "queries": 1, **wrong})  # type: ignore[arg-type]
