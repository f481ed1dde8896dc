"""The contents of a plan: the fields that saving, loading and printing read, and the check that they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import ParameterError, PlanFormatError
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.ir.verify import verify_he_program
from hetorch.params import ParameterSet
from hetorch.plan.interface import Interface
from hetorch.plan.keys import check_keys, required_keys
from hetorch.plan.report import PlanReport


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlanContents:
    """The fields of a plan, to which `hetorch.plan.Plan` adds methods.

    `weights` are arrays by the names in HeProgram; they become read-only. `input_range` is (min, max) of the
    calibration inputs. `interface` is the client's part of the model.

    Raises:
        PlanFormatError: the program does not agree with the parameters, the weights or the keys.
    """

    name: str
    program: HeProgram
    parameters: ParameterSet
    key_spec: EvaluationKeySpec
    weights: Mapping[str, NDArray[np.generic]]
    input_range: tuple[float, float]
    report: PlanReport
    interface: Interface

    def __post_init__(self) -> None:
        for array in self.weights.values():
            array.setflags(write=False)
        if self.program.slot_count != self.parameters.slot_count:
            raise PlanFormatError(
                f"the program is for {self.program.slot_count} slots, the ring has {self.parameters.slot_count}"
            )
        verify_he_program(self.program, self.parameters.modulus_chain, self.weights)
        problem = self.interface.problem(self.input_layout.shape, self.output_layout.shape)
        if problem is not None:
            raise PlanFormatError(problem)
        try:
            required = required_keys(self.program, self.weights, self.parameters)
        except ParameterError as error:
            if type(error) is not ParameterError:  # keys that are not secure concern the user
                raise
            raise PlanFormatError(f"the parameters do not suit the program: {error}") from None
        check_keys(self.key_spec, required)

    @property
    def notes(self) -> tuple[str, ...]:
        """The report's sentences for the user."""
        return self.report.notes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without a batch axis."""
        return self.input_layout.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one result, without a batch axis."""
        return self.output_layout.shape

    @property
    def input_layout(self) -> Layout:
        return self.program.input_layout

    @property
    def output_layout(self) -> Layout:
        return self.program.output_layout

    @property
    def batch_size(self) -> int:
        """The largest number of samples that one run takes, side by side in the slots."""
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

    @property
    def weights_withheld(self) -> bool:
        """True for a plan that Plan.without_weights returned, also after saving and loading.

        It runs only on weights that the model's owner encrypted. Such a plan is recognised by its weights, which are
        all zero; those of a compiled network never are.
        """
        return self.program.encrypted_weights and not any(
            np.any(array) for array in self.weights.values() if array.dtype == np.float64
        )
