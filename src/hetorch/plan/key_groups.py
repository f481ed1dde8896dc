"""The evaluation keys of a plan by what they are for, with their sizes, as `hetorch inspect` and `keygen` tell them."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.engine.keys import EvaluationKeySpec, KeyEnd, KeyLink, all_links, main_family
from hetorch.params import KeyFamily, ParameterSet
from hetorch.plan.memory import link_memory
from hetorch.plan.sizes import key_bytes
from hetorch.quantities import count_text, size_text


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """The keys of one kind and family.

    `kind` is "relinearisation", "rotation", "conjugation", "encapsulation" (from the data owner's secret to the sparse
    one of bootstrapping) or "payload" (back from it, one for each diagonal of the first map). `bytes` is their size in
    an upload, `memory_bytes` that in the memory of a server.
    """

    kind: str
    family: KeyFamily
    count: int
    bytes: int
    memory_bytes: int

    def to_json(self) -> dict[str, object]:
        """Return the group as plain data."""
        return {
            "kind": self.kind,
            "special_primes": self.family.special_count,
            "digit_size": self.family.digit_size,
            "count": self.count,
            "bytes": self.bytes,
            "memory_bytes": self.memory_bytes,
        }


def key_groups(parameters: ParameterSet, spec: EvaluationKeySpec) -> tuple[KeyGroup, ...]:
    """Return the groups in the order of the first key of each, as keys are made and sent."""
    groups: dict[tuple[str, KeyFamily], list[KeyLink]] = {}
    for link in all_links(parameters, spec):
        groups.setdefault((_kind(parameters, link), link.family), []).append(link)
    return tuple(
        KeyGroup(
            kind,
            family,
            len(links),
            sum(key_bytes(parameters, link) for link in links),
            sum(link_memory(parameters, link) for link in links),
        )
        for (kind, family), links in groups.items()
    )


def key_lines(parameters: ParameterSet, spec: EvaluationKeySpec) -> list[str]:
    """Return the groups as lines of text; a family is named where it is not the parameters' main one."""
    groups = key_groups(parameters, spec)
    main = main_family(parameters)
    width = max((len(count_text(group.count, group.kind)) for group in groups), default=0)
    return [
        f"{count_text(group.count, group.kind):<{width}}  {size_text(group.bytes)}"
        + ("" if group.family == main else f", {_family_text(group.family)}")
        for group in groups
    ]


def _kind(parameters: ParameterSet, link: KeyLink) -> str:
    if link.from_end is KeyEnd.DENSE_SQUARED:
        return "relinearisation"
    if link.to_end is KeyEnd.SPARSE:
        return "encapsulation"
    if link.from_end is KeyEnd.SPARSE_SCALED:
        return "payload"
    return "conjugation" if link.element == 2 * parameters.ring_degree - 1 else "rotation"


def _family_text(family: KeyFamily) -> str:
    return f"{count_text(family.special_count, 'special prime')}, digits of {count_text(family.digit_size, 'prime')}"
