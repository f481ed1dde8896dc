"""The frozen result of compiling: all that a server needs to run a model on ciphertexts."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import ParameterError, PlanError
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.ir.verify import verify_he_program
from hetorch.params import ParameterSet
from hetorch.plan.encrypted import weight_places
from hetorch.plan.fields import Fields, canonical_json
from hetorch.plan.manifest import (
    LAYOUT_PREFIX,
    layout_arrays,
    program_json,
    read_program,
    read_report,
    report_json,
)
from hetorch.plan.public import (
    LARGEST,
    NAME_LENGTH,
    PublicPlan,
    key_spec_json,
    read_key_spec,
    read_parameters,
)
from hetorch.plan.report import PlanReport
from hetorch.plan.sizes import ciphertext_bytes, evaluation_key_bytes
from hetorch.plan.table import render

FORMAT = "hetorch-plan"
VERSION = 2
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
MAX_MANIFEST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """A compiled model. `weights` are read-only arrays named as HeProgram says. PlanError if the program does not
    agree with the parameters, the keys or the weights."""

    name: str
    program: HeProgram
    parameters: ParameterSet
    key_spec: EvaluationKeySpec
    weights: Mapping[str, NDArray[np.generic]]
    input_range: tuple[float, float]
    report: PlanReport
    _digest: list[str] = field(default_factory=list, init=False, repr=False)
    """The fingerprint, once it was asked for: hashing all weights takes a while."""

    def __post_init__(self) -> None:
        for array in self.weights.values():
            array.setflags(write=False)
        if self.program.slot_count != self.parameters.slot_count:
            raise PlanError(
                f"the program is for {self.program.slot_count} slots, the ring has {self.parameters.slot_count}"
            )
        verify_he_program(self.program, self.parameters.modulus_chain, self.weights)

    @property
    def input_layout(self) -> Layout:
        return self.program.input_layout

    @property
    def output_layout(self) -> Layout:
        return self.program.output_layout

    @property
    def batch_size(self) -> int:
        """The most samples that one run takes, side by side in the slots."""
        return self.program.batch

    @property
    def input_level(self) -> int:
        return self.program.values[self.program.inputs[0]].level

    @property
    def input_scale(self) -> float:
        return self.program.values[self.program.inputs[0]].scale

    @property
    def output_level(self) -> int:
        return self.program.values[self.program.outputs[0]].level

    @property
    def output_scale(self) -> float:
        return self.program.values[self.program.outputs[0]].scale

    def without_weights(self) -> Plan:
        """What a server gets of a plan with encrypted weights: the program and where the diagonals lie, zeros for their
        values. It runs on what hetorch.model_owner.encrypt makes of the whole plan. PlanError for a plan whose weights
        are in clear."""
        if not self.program.encrypted_weights:
            raise PlanError('this plan has its weights in clear; compile it with weights="encrypted"')
        hidden = {
            name: np.zeros((len(array), 1) if array.ndim == 2 else 1) if array.dtype == np.float64 else array
            for name, array in self.weights.items()
        }
        return replace(self, weights=hidden)

    @property
    def weights_withheld(self) -> bool:
        """Whether this is what without_weights returned, also after it was saved and loaded: it runs on weights that
        the model's owner encrypted, and on nothing else. (A compiled network never has zeros only.)"""
        return self.program.encrypted_weights and not any(
            np.any(array) for array in self.weights.values() if array.dtype == np.float64
        )

    def public(self) -> PublicPlan:
        """What a client may see. Of a plan with encrypted weights it is the same with and without them: nothing in it,
        not even the fingerprint, is computed from their values (the report and the scales, which are, were before)."""
        program, parameters = self.program, self.parameters
        hides = program.encrypted_weights and not self.weights_withheld
        weights = sum(
            ciphertext_bytes(parameters, place.level, seeded=False)
            for place in weight_places(program, parameters, self.weights)
            if program.encrypted_weights
        )
        fresh = ciphertext_bytes(parameters, self.input_level, seeded=True)
        result = ciphertext_bytes(parameters, self.output_level, seeded=False)
        return PublicPlan(
            name=self.name,
            fingerprint=(self.without_weights() if hides else self).fingerprint(),
            parameters=parameters,
            key_spec=self.key_spec,
            input_layout=self.input_layout,
            input_level=self.input_level,
            input_scale=self.input_scale,
            output_layout=self.output_layout,
            output_level=self.output_level,
            output_scale=self.output_scale,
            input_range=self.input_range,
            precision=self.report.predicted_error,
            evaluation_key_bytes=evaluation_key_bytes(parameters, self.key_spec),
            input_ciphertext_bytes=len(program.inputs) * fresh,
            output_ciphertext_bytes=len(program.outputs) * result,
            encrypted_weight_bytes=weights,
        )

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the manifest and the weights: equal plans, equal fingerprints."""
        if not self._digest:
            manifest, tensors = self._to_bytes()
            parts = hashlib.sha256(manifest).digest() + hashlib.sha256(tensors).digest()
            self._digest.append(hashlib.sha256(parts).hexdigest())
        return self._digest[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the folder `path` (made if it is not there): manifest.json and weights.safetensors.

        A plan that is there is replaced. The weights are those of the model: the folder is not for clients. PlanError
        if it cannot be written, or has other files (a key vault, say) and no plan.
        """
        folder = Path(path)
        manifest, tensors = self._to_bytes()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            foreign = sorted(
                file.name for file in folder.iterdir() if not file.name.startswith((MANIFEST, WEIGHTS))
            )
            if foreign and not (folder / MANIFEST).exists():
                raise PlanError(
                    f"{folder} has other files ({foreign[0]!r}) and no plan; save it to a folder of its own"
                )
            for name, data in ((WEIGHTS, tensors), (MANIFEST, manifest)):
                partial = folder / f"{name}.partial"
                partial.write_bytes(data)
                partial.replace(folder / name)
        except OSError as error:
            raise PlanError(f"cannot write the plan to {folder}: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read what save wrote. PlanError if the folder or its content is not a whole and consistent plan."""
        folder = Path(path)
        try:
            if (folder / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
                raise PlanError(f"{folder / MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes")
            manifest = (folder / MANIFEST).read_bytes()
            tensors = (folder / WEIGHTS).read_bytes()
        except OSError as error:
            raise PlanError(
                f"cannot read the plan in {folder}: {error.filename}: {error.strerror}"
            ) from error
        fields = Fields.parse(manifest, MANIFEST, PlanError)
        if fields.take("format") != FORMAT or fields.take("version") != VERSION:
            raise PlanError(f"{folder} is not a {FORMAT} of version {VERSION}; compile the model again")
        digest = fields.text("weights_sha256", 64)
        if hashlib.sha256(tensors).hexdigest() != digest:
            raise PlanError(
                f"{folder / WEIGHTS} does not belong to {MANIFEST}: its SHA-256 is not {digest[:16]}..."
            )
        try:
            arrays: dict[str, NDArray[np.generic]] = dict(load_tensors(tensors))
        except (SafetensorError, ValueError) as error:
            raise PlanError(f"{folder / WEIGHTS} cannot be read: {str(error)[:200]}") from error
        span = fields.numbers("input_range", -LARGEST, LARGEST, 2)
        try:
            parameters = read_parameters(fields)
            plan = cls(
                name=fields.text("name", NAME_LENGTH),
                program=read_program(fields.child("program"), arrays),
                parameters=parameters,
                key_spec=read_key_spec(fields.child("key_spec"), parameters),
                weights={k: v for k, v in arrays.items() if not k.startswith(LAYOUT_PREFIX)},
                input_range=(min(span), max(span)) if span else (0.0, 0.0),
                report=read_report(fields.child("report")),
            )
        except ParameterError as error:
            raise PlanError(f"{folder}: {error}") from error
        fields.done()
        return plan

    def run_cleartext(self, x: ArrayLike) -> NDArray[np.float64]:
        """The same program, levels, scales and modelled noise, without cryptography: (batch, *output_shape).

        `x` is one sample of input_shape, or a batch of them. InputError if it is neither.
        """
        return self._local().run_cleartext(self, x)  # type: ignore[no-any-return]

    def run_encrypted(self, x: ArrayLike, *, memory_limit: int | None = None) -> NDArray[np.float64]:
        """Keys, encryption, evaluation and decryption in this one process: (batch, *output_shape). With a
        `memory_limit` (bytes, for keys, weights and ciphertexts) weights that do not fit are encoded as they are used;
        PlanError if that is not enough."""
        return self._local().run_encrypted(self, x, memory_limit=memory_limit)  # type: ignore[no-any-return]

    @staticmethod
    def _local() -> Any:
        # By name: a plan must not depend on engines or on the module that may touch secret keys.
        return importlib.import_module("hetorch.inspect.run")

    def __str__(self) -> str:
        return render(self)

    def __repr__(self) -> str:
        public, ring = self.public(), self.parameters.ring_degree.bit_length() - 1
        shapes = f"{public.input_shape} -> {public.output_shape}"
        return f"Plan({self.name!r}: {shapes}, N = 2^{ring}, {len(self.report.layers)} layers; print it for its table)"

    def to_report(self) -> dict[str, object]:
        """The table as plain data, for machines."""
        public, parameters = self.public(), self.parameters
        return report_json(self.report) | {
            "name": self.name,
            "fingerprint": public.fingerprint,
            "ring_degree": parameters.ring_degree,
            "log2_q": parameters.log2_q,
            "log2_qp": parameters.log2_qp,
            "security": parameters.security.value,
            "max_level": parameters.max_level,
            "digit_count": parameters.digit_count(parameters.max_level),
            "galois_keys": len(self.key_spec.galois),
            "evaluation_key_bytes": public.evaluation_key_bytes,
            "input_ciphertext_bytes": public.input_ciphertext_bytes,
            "output_ciphertext_bytes": public.output_ciphertext_bytes,
            "encrypted_weight_bytes": public.encrypted_weight_bytes,
            "weights_withheld": self.weights_withheld,
        }

    def _to_bytes(self) -> tuple[bytes, bytes]:
        arrays: dict[str, NDArray[np.generic]] = {**self.weights, **layout_arrays(self.program)}
        tensors = save_tensors({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "parameters": self.parameters.to_json(),
            "key_spec": key_spec_json(self.key_spec),
            "program": program_json(self.program),
            "input_range": list(self.input_range),
            "report": report_json(self.report),
            "weights_sha256": hashlib.sha256(tensors).hexdigest(),
        }
        return canonical_json(manifest), tensors
