"""The names of keys: old specs keep their bytes, and each key of bootstrapping is checked by itself."""

from __future__ import annotations

import gc
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from hetorch.client.vault import spec_digest
from hetorch.engine import _native
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.keys import (
    EvaluationKeySpec,
    KeyEnd,
    KeyLink,
    SparseSecret,
    all_links,
    check_sparse_keys,
    key_primes,
    main_family,
)
from hetorch.engine.secret import SecretKey
from hetorch.errors import ParameterError, SecurityError
from hetorch.params import KeyFamily, Security
from hetorch.params.bootstrap_set import standard_bootstrap_set
from hetorch.plan.evaluation_keys import key_spec_json
from hetorch.plan.memory import key_memory, link_memory
from hetorch.plan.sizes import evaluation_key_bytes
from tests.engine.bootstrap_case import small_set

BOOT = standard_bootstrap_set()
SPEC = bootstrap_keys(BOOT)
TO_SPARSE = KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, KeyFamily(1, 1), 0)


def test_a_spec_without_links_keeps_its_names() -> None:
    spec = EvaluationKeySpec(1, ((5, 1), (25, 0)))
    assert repr(spec.canonical()) == "(1, ((5, 1), (25, 0)))"
    assert key_spec_json(spec) == {"relinearisation_level": 1, "galois": [[5, 1], [25, 0]]}
    # SHA-256 of "[1,[[5,1],[25,0]]]", as vaults have named files since their first version.
    assert spec_digest(spec) == "428fc87d05d79fdb5ab3e20a0fe280e9"
    linked = replace(spec, links=(TO_SPARSE,), sparse=SparseSecret(32, 1))
    assert spec_digest(linked) != spec_digest(spec) != spec_digest(replace(spec, galois=()))
    assert spec_digest(linked) != spec_digest(replace(linked, sparse=SparseSecret(32, 2)))


@pytest.mark.parametrize(
    ("links", "sparse", "message"),
    [
        ((TO_SPARSE,), None, "tells the sparse secret"),
        ((), SparseSecret(32, 1), "tells the sparse secret"),
        ((TO_SPARSE, TO_SPARSE), SparseSecret(32, 1), "no key may occur twice"),
        ((replace(TO_SPARSE, element=5),), SparseSecret(32, 1), "no key links dense to sparse"),
        ((replace(TO_SPARSE, to_end=KeyEnd.SPARSE_SCALED),), SparseSecret(32, 1), "no key links"),
        ((replace(TO_SPARSE, from_end=KeyEnd.SPARSE),), SparseSecret(32, 1), "no key links"),
        ((replace(TO_SPARSE, to_end=KeyEnd.DENSE),), None, "no key links"),
        ((replace(TO_SPARSE, element=4),), SparseSecret(32, 1), "odd Galois element"),
        ((TO_SPARSE,), SparseSecret(0, 1), "above 0"),
    ],
)
def test_impossible_specs(links: tuple[KeyLink, ...], sparse: SparseSecret | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        EvaluationKeySpec(None, (), links, sparse)


def changed(**fields: object) -> EvaluationKeySpec:
    """Return the standard spec with another key to the sparse secret."""
    other = [replace(link, **fields) if link == TO_SPARSE else link for link in SPEC.links]  # type: ignore[arg-type]
    return replace(SPEC, links=tuple(sorted(other)))


def test_every_key_of_the_standard_set_is_within_its_table() -> None:
    p = BOOT.parameters
    for link in all_links(p, SPEC):
        bits = math.prod(key_primes(p, link)).bit_length()
        assert bits <= (121 if link.to_end is KeyEnd.SPARSE else 1747)
    assert {link.from_end for link in all_links(p, SPEC)} == set(KeyEnd) - {KeyEnd.SPARSE}
    # At most 1 GB on the wire and 2 GB in memory.
    assert evaluation_key_bytes(p, SPEC) < 1e9 and key_memory(p, SPEC) < 2e9


def test_keys_beyond_the_tables_are_refused() -> None:
    p = BOOT.parameters
    with pytest.raises(SecurityError, match="150 bits; security 128 allows 121"):
        all_links(p, changed(level=2))
    with pytest.raises(SecurityError, match="dimension 16384"):  # no row
        all_links(p, replace(SPEC, sparse=SparseSecret(32, 4)))
    with pytest.raises(SecurityError, match="weight 16"):
        all_links(p, replace(SPEC, sparse=SparseSecret(16, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        insecure = replace(p, security=Security.NONE)
    all_links(insecure, changed(level=2))
    with pytest.raises(SecurityError, match="security 128 allows 121"):
        check_sparse_keys(insecure, changed(level=2), Security.CLASSICAL_128)


def test_keys_that_the_parameters_do_not_have() -> None:
    p = BOOT.parameters
    for spec, message in (
        (changed(family=KeyFamily(2, 2)), "family"),
        (changed(level=99), "levels are 0"),
        (replace(SPEC, sparse=SparseSecret(32, 3)), "no sparse secret"),
        (EvaluationKeySpec(None, ((2 * p.ring_degree + 1, 0),)), "Galois element"),
        (
            EvaluationKeySpec(
                None,
                (),
                (KeyLink(KeyEnd.SPARSE_SCALED, KeyEnd.DENSE, 5, main_family(p), p.max_level),),
                SparseSecret(32, 1),
            ),
            "one digit",
        ),
    ):
        with pytest.raises(ParameterError, match=message):
            all_links(p, spec)


def test_merged_specs_have_the_highest_level_of_each_key() -> None:
    p = BOOT.parameters
    merged = SPEC.merged(p, EvaluationKeySpec(1, ((3, 4), (5, 22), (2 * p.ring_degree - 1, 0))))
    assert merged.relinearisation_level == SPEC.relinearisation_level
    assert dict(merged.galois) == dict(SPEC.galois) | {3: 4, 5: 22}
    assert merged.links == SPEC.links and merged.sparse == SPEC.sparse
    with pytest.raises(ParameterError, match="one shape"):
        SPEC.merged(p, replace(SPEC, sparse=SparseSecret(32, 2)))


def test_keys_are_made_within_the_memory_of_the_largest() -> None:
    boot = small_set(1 << 12, (5, 4), (5, 4))
    p, spec = boot.parameters, bootstrap_keys(boot)
    key = SecretKey.generate(p)
    before = _native.pool_statistics().in_use
    _native.reset_pool_peak()
    for _ in key.switching_keys(spec):
        assert _native.pool_statistics().in_use < before + key_memory(p, spec) / 4
    largest = max(link_memory(p, link) for link in all_links(p, spec))
    element = 8 * p.ring_degree * (len(p.modulus_chain) + len(p.special_primes))
    # The key, its last one, the sparse secret, and at most ten ring elements.
    assert _native.pool_statistics().peak - before < 2 * largest + 11 * element


def test_the_sparse_secret_is_fresh_and_goes_with_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = small_set(1 << 10, (5, 4), (5, 4))
    key = SecretKey.generate(boot.parameters)
    spec = bootstrap_keys(boot)
    drawn: list[bytes] = []
    draw = SecretKey._draw_sparse

    def watched(self: SecretKey, shape: SparseSecret) -> object:
        core = draw(self, shape)
        coefficients = np.asarray(core.coefficients(self._context))
        assert np.count_nonzero(coefficients) == 32
        drawn.append(coefficients.tobytes())
        return core

    monkeypatch.setattr(SecretKey, "_draw_sparse", watched)
    for _ in range(2):
        keys = key.switching_keys(spec)
        next(keys)
        used = _native.pool_statistics().in_use
        del keys
        gc.collect()
        # The secret's residues over all primes are back in the pool, which the core wipes first.
        rows = len(boot.parameters.modulus_chain) + len(boot.parameters.special_primes)
        assert used - _native.pool_statistics().in_use >= rows * boot.parameters.ring_degree * 8
    assert drawn[0] != drawn[1]
