"""The keys of a plan by kind: every key is in one group, and the sizes are those of all keys together."""

from __future__ import annotations

from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.keys import EvaluationKeySpec, all_links
from hetorch.params import KeyFamily, ParameterSet
from hetorch.params.bootstrap_set import SPARSE_FAMILY, one_digit_family, standard_bootstrap_set
from hetorch.plan.key_groups import key_groups, key_lines
from hetorch.plan.memory import key_memory
from hetorch.plan.sizes import evaluation_key_bytes
from hetorch.quantities import size_text


def test_the_keys_of_a_bootstrap_by_kind_and_family() -> None:
    boot = standard_bootstrap_set(1 << 14)
    p, spec = boot.parameters, bootstrap_keys(boot)
    groups = key_groups(p, spec)
    main = KeyFamily(len(p.special_primes), p.digit_size)
    one_digit = one_digit_family(len(p.modulus_chain), len(p.special_primes))
    kinds = {(group.kind, group.family): group.count for group in groups}
    # Three stages without a level take a key for each of 2^3 diagonals.
    assert kinds["payload", one_digit] == 8
    assert kinds["relinearisation", main] == kinds["conjugation", main] == 1
    assert kinds["encapsulation", SPARSE_FAMILY] == 1
    rotations = {family: count for (kind, family), count in kinds.items() if kind == "rotation"}
    assert set(rotations) == {main, boot.low_family} and sum(kinds.values()) == spec.count
    assert sum(group.bytes for group in groups) == evaluation_key_bytes(p, spec)
    assert sum(group.memory_bytes for group in groups) == key_memory(p, spec)
    # The key to the sparse secret is a seed and a polynomial over q_0 and one prime, of 45 bits each.
    sparse = next(group for group in groups if group.kind == "encapsulation")
    assert sparse.bytes == 32 + 2 * (1 << 16) * 45 // 8
    assert [group.to_json()["count"] for group in groups] == [group.count for group in groups]


def test_a_line_names_the_family_only_where_it_is_not_the_main_one() -> None:
    boot = standard_bootstrap_set(1 << 14)
    lines = key_lines(boot.parameters, bootstrap_keys(boot))
    groups = key_groups(boot.parameters, bootstrap_keys(boot))
    for line, group in zip(lines, groups, strict=True):
        assert line.startswith(f"{group.count} {group.kind}") and size_text(group.bytes) in line
    special, digit = boot.low_family.pair
    assert any(line.endswith(f"{special} special primes, digits of {digit} primes") for line in lines)
    assert not any("special" in line for line in lines if line.startswith("1 relin"))


def test_a_plan_without_bootstraps_has_one_family() -> None:
    p = ParameterSet.from_bits(1 << 12, [30, 30], [36])
    spec = EvaluationKeySpec.from_rotations({1: 1, 5: 0}, 1 << 12, 1)
    groups = key_groups(p, spec)
    assert [(group.kind, group.count) for group in groups] == [("relinearisation", 1), ("rotation", 2)]
    assert sum(group.count for group in groups) == len(all_links(p, spec))
    assert key_lines(p, EvaluationKeySpec(None, ())) == []
