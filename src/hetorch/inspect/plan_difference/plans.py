"""The differences between two plans: parameters, levels, keys, memory, predicted time, errors, and each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hetorch.inspect.plan_difference.change import Change, Facts, changes_of
from hetorch.inspect.plan_difference.layers import LayerChange, layer_changes
from hetorch.plan import Plan, PublicPlan
from hetorch.plan.interface import interface_json
from hetorch.plan.memory import predict_memory

PUBLIC_ONLY = "only the public parts were compared: a server tells neither layers nor weights"
LIAR = "the fingerprints agree and the plans do not: one of them is not what it says"
NO_FIGURE = "the plans differ in details that no figure shows"


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What differs between two plans; printed, it is a list of it.

    names         of the two, as the user knows them
    fingerprints  of both
    changes       figures of the whole plan that differ, in groups
    layers        the layers that differ, in the order in which they run; none if only public parts were compared
    notes         sentences on the rest
    """

    names: tuple[str, str]
    fingerprints: tuple[str, str]
    changes: tuple[Change, ...]
    layers: tuple[LayerChange, ...]
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """True if the plans are the same in every byte."""
        return self.fingerprints[0] == self.fingerprints[1] and not self.changes

    def to_dict(self) -> dict[str, object]:
        """Return the differences as plain data."""
        groups: dict[str, dict[str, object]] = {}
        for change in self.changes:
            groups.setdefault(change.group, {})[change.name] = [change.first, change.second]
        return {
            "equal": self.equal,
            "names": list(self.names),
            "fingerprints": list(self.fingerprints),
            "changes": groups,
            "layers": [layer.to_dict() for layer in self.layers],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        if self.equal:
            return "\n".join([f"the plans are equal: fingerprint {self.fingerprints[0]}", *self.notes])
        lines = [
            f"{sign} {name}: fingerprint {mark[:16]}…"
            for sign, name, mark in zip("-+", self.names, self.fingerprints, strict=True)
        ]
        width = max((len(change.title) for change in self.changes), default=0)
        group = ""
        for change in self.changes:
            if change.group != group:
                group = change.group
                lines += ["", group]
            lines.append(f"  {change.title:<{width}}  {change}")
        if self.layers:
            lines += ["", "layers", *map(str, self.layers)]
        return "\n".join([*lines, *([""] if self.notes else []), *self.notes])


def compare_plans(first: Plan, second: Plan, names: tuple[str, str]) -> PlanDifference:
    """Return the differences between two plans, which `names` tell apart for the user.

    If one of them is without its weights, weights are not compared.
    """
    fingerprints = (first.fingerprint, second.fingerprint)
    if fingerprints[0] == fingerprints[1]:
        return PlanDifference(names, fingerprints, (), (), ())
    changes = _changes(_plan_facts(first), _plan_facts(second))
    layers = layer_changes(first, second, with_weights=first.weights_withheld == second.weights_withheld)
    notes = [f"- note: {note}" for note in first.notes if note not in second.notes]
    notes += [f"+ note: {note}" for note in second.notes if note not in first.notes]
    if not changes and not layers and not notes:
        notes = [NO_FIGURE]
    return PlanDifference(names, fingerprints, changes, layers, tuple(notes))


def compare_public_plans(first: PublicPlan, second: PublicPlan, names: tuple[str, str]) -> PlanDifference:
    """Return the differences between the public parts of two plans."""
    fingerprints = (first.fingerprint, second.fingerprint)
    changes = _changes(_public_facts(first), _public_facts(second))
    notes = (LIAR,) if changes and fingerprints[0] == fingerprints[1] else ()
    return PlanDifference(names, fingerprints, changes, (), (*notes, PUBLIC_ONLY))


def _plan_facts(plan: Plan) -> dict[str, Facts]:
    report = plan.report
    memory = predict_memory(plan.program, plan.parameters, plan.key_spec, plan.weights, report.threads)
    facts = _public_facts(plan.public())
    return {
        **facts,
        "program": {"layers": len(plan.program.layers), "operations": len(plan.program.operations)},
        "memory of a run": {
            "keys_bytes": memory.keys,
            "weights_bytes": memory.weights,
            "ciphertexts_bytes": memory.working,
            "total_bytes": memory.total,
            "memory_limit_bytes": report.memory_limit,
        },
        "predicted time": {
            "run_seconds": report.predicted_seconds,
            "machine": report.machine,
            "threads": report.threads,
        },
        "errors": {
            **facts["errors"],
            "approximation_error": report.approximation_error,
            "agreement": report.agreement,
            "calibration_samples": report.calibration_samples,
        },
        "weights": {
            "encrypted": plan.program.encrypted_weights,
            "withheld": plan.weights_withheld,
        },
    }


def _public_facts(plan: PublicPlan) -> dict[str, Facts]:
    parameters, spec = plan.parameters, plan.key_spec
    return {
        "model": {
            "name": plan.name,
            "input_shape": list(plan.input_shape),
            "output_shape": list(plan.output_shape),
            "input_range": list(plan.input_range),
            "output_range": plan.output_range,
            "batch_size": plan.batch_size,
            **{f"interface_{name}": value for name, value in interface_json(plan.interface).items()},
        },
        "parameters": {
            "ring_degree": parameters.ring_degree,
            "security": parameters.security.value,
            "log2_q": round(parameters.log2_q, 2),
            "log2_qp": round(parameters.log2_qp, 2),
            "modulus_chain": list(parameters.modulus_chain),
            "special_primes": list(parameters.special_primes),
            "digit_count": parameters.digit_count(parameters.max_level),
        },
        "levels and scales": {
            "levels": parameters.max_level,
            "input_level": plan.input_level,
            "output_level": plan.output_level,
            "input_scale": plan.input_scale,
            "output_scale": plan.output_scale,
        },
        "evaluation keys": {
            "rotations": len(spec.galois),
            "galois_keys": [list(pair) for pair in spec.galois],
            "relinearisation_level": spec.relinearisation_level,
            "uploaded_bytes": plan.evaluation_key_bytes,
        },
        "messages": {
            "input_bytes": plan.input_ciphertext_bytes,
            "output_bytes": plan.output_ciphertext_bytes,
            "encrypted_weight_bytes": plan.encrypted_weight_bytes,
        },
        "errors": {"encryption_error": plan.precision},
    }


def _changes(first: Mapping[str, Facts], second: Mapping[str, Facts]) -> tuple[Change, ...]:
    return tuple(change for group in first for change in changes_of(group, first[group], second[group]))
