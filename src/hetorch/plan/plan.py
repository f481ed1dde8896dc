"""The frozen result of compiling: all that a server needs to run a model on ciphertexts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from hetorch.errors import PlanUseError
from hetorch.ir.cleartext_network import CleartextNetwork, derive
from hetorch.plan.contents import PlanContents
from hetorch.plan.encrypted import weight_places
from hetorch.plan.key_groups import key_groups
from hetorch.plan.manifest import report_json
from hetorch.plan.public import PublicPlan
from hetorch.plan.signposts import RUN, missing_attribute
from hetorch.plan.sizes import ciphertext_bytes, evaluation_key_bytes
from hetorch.plan.store import load_plan, plan_fingerprint, save_plan
from hetorch.plan.table import render
from hetorch.preformatted import preformatted
from hetorch.quantities import count_text


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan(PlanContents):
    """A compiled model, as data.

    `hetorch.simulate(plan, x)` and `hetorch.run_encrypted(plan, x)` run it in this process, and `hetorch serve` runs it
    for clients. print(plan) shows a table; plan.report has its figures.

    Raises:
        PlanFormatError: the program does not agree with the parameters, the weights or the keys.
    """

    _digest: list[str] = field(default_factory=list, init=False, repr=False)
    """The fingerprint, kept after its first use because hashing all weights takes time; empty before."""
    _network: list[CleartextNetwork] = field(default_factory=list, init=False, repr=False)
    """The network of `network`, kept likewise."""

    def without_weights(self) -> Plan:
        """Return the server's part of a plan with encrypted weights.

        It has the program and the positions of the diagonals, with zeros for their values. It runs on the ciphertexts
        that hetorch.model_owner.encrypt makes from the whole plan.

        Raises:
            PlanUseError: the weights of the plan are in clear.
        """
        if not self.program.encrypted_weights:
            raise PlanUseError('this plan has its weights in clear; compile it with weights="encrypted"')
        hidden = {
            name: np.zeros((len(array), 1) if array.ndim == 2 else 1) if array.dtype == np.float64 else array
            for name, array in self.weights.items()
        }
        # The ranges of single channels tell something of the weights.
        fits = tuple(fit.without_channels() for fit in self.report.polynomials)
        layers = tuple(row.without_channels() for row in self.report.layers)
        return replace(self, weights=hidden, report=replace(self.report, polynomials=fits, layers=layers))

    def public(self) -> PublicPlan:
        """Return the part that a client may see.

        If the weights are encrypted, this plan and the one of without_weights have the same public part. Not even its
        fingerprint is computed from the values of the weights; only the report and the scales, which compile made, are.
        """
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
            fingerprint=(self.without_weights() if hides else self).fingerprint,
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
            output_range=self.report.output_range,
            evaluation_key_bytes=evaluation_key_bytes(parameters, self.key_spec),
            input_ciphertext_bytes=len(program.inputs) * fresh,
            output_ciphertext_bytes=len(program.outputs) * result,
            encrypted_weight_bytes=weights,
            interface=self.interface,
            expected_outputs=self.report.expected_outputs,
        )

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the manifest and the weights: equal plans have equal fingerprints."""
        if not self._digest:
            self._digest.append(plan_fingerprint(self))
        return self._digest[0]

    def network(self) -> CleartextNetwork:
        """Return the function that the plan computes, on numbers without slots; it holds the weights."""
        if not self._network:
            self._network.append(derive(self.program, self.weights, self.parameters))
        return self._network[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to the folder `path` as manifest.json and weights.safetensors.

        The folder is created if it does not exist, and a plan in it is replaced. It holds the weights of the model, so
        it is not for clients.

        Raises:
            StorageError: the folder cannot be written, or has other files (such as a key vault) and no plan.
        """
        save_plan(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a folder that save wrote.

        Raises:
            StorageError: there is no plan folder, or it cannot be read.
            PlanFormatError: its files are not a complete and consistent plan.
        """
        return load_plan(cls, path)

    def __call__(self, *arguments: object, **options: object) -> NoReturn:
        """Raise PlanUseError, which names the calls that run a plan."""
        raise PlanUseError(RUN)

    if not TYPE_CHECKING:  # for type checkers there are no other attributes

        def __getattr__(self, name: str) -> NoReturn:
            """Raise PlanAttributeError, which names the call that the user looks for (hetorch.plan.signposts)."""
            if name.startswith("_"):
                raise AttributeError(name, name=name, obj=self)
            raise missing_attribute(name, dir(type(self)))

    def __str__(self) -> str:
        return render(self, self.public())

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        layers, _, rest = str(self).partition("\n\n")
        return preformatted(layers, rest)

    def __repr__(self) -> str:
        public, ring = self.public(), self.parameters.ring_degree.bit_length() - 1
        shapes = f"{public.input_shape} -> {public.output_shape}"
        return (
            f"Plan({self.name!r}: {shapes}, N = 2^{ring}, "
            f"{count_text(len(self.report.layers), 'layer')}; print it for its table)"
        )

    def to_report(self) -> dict[str, object]:
        """Return the figures of the printed table as plain data, for programs."""
        public, parameters = self.public(), self.parameters
        return (
            report_json(self.report)
            | self.interface.describe()
            | {
                "name": self.name,
                "fingerprint": public.fingerprint,
                "public_part_sha256": public.sha256,
                "promised_error": self.report.promised_error,
                "ring_degree": parameters.ring_degree,
                "log2_q": parameters.log2_q,
                "log2_qp": parameters.log2_qp,
                "security": parameters.security.value,
                "max_level": parameters.max_level,
                "digit_count": parameters.digit_count(parameters.max_level),
                "keys": [group.to_json() for group in key_groups(parameters, self.key_spec)],
                "evaluation_key_bytes": public.evaluation_key_bytes,
                "input_ciphertext_bytes": public.input_ciphertext_bytes,
                "output_ciphertext_bytes": public.output_ciphertext_bytes,
                "encrypted_weight_bytes": public.encrypted_weight_bytes,
                "weights_withheld": self.weights_withheld,
            }
        )
