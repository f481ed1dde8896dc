"""The engine on SEAL: it has the levels, scales and errors of the native one, and SEAL does every operation."""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.engine import _native
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError, LevelError
from hetorch.interop.seal.arithmetic import SealArithmetic, check_scales
from hetorch.interop.seal.library import seal_errors
from hetorch.interop.seal.objects import SealCiphertext, SealTransform
from hetorch.interop.seal.polynomial import evaluate_chebyshev
from hetorch.interop.seal.transform import apply, prepare
from hetorch.interop.seal_format import dump_ciphertext, load_ciphertext
from hetorch.quantities import count_text


class SealEngine(SealArithmetic):
    """An `Engine` for one parameter set and one client's evaluation keys, and the conversion from and to native
    ciphertexts; re-entrant. Errors as SealArithmetic."""

    name = "seal"

    def take(self, ciphertext: _native.Ciphertext) -> SealCiphertext:
        """Convert a native ciphertext, as clients send them."""
        core = self._library.module.Ciphertext()
        data = dump_ciphertext(self.parameters, ciphertext)
        with seal_errors("load a ciphertext"):
            core.load_bytes(self._library.context, data)
        return SealCiphertext(core, ciphertext.level, ciphertext.scale)

    def give(self, ciphertext: SealCiphertext) -> _native.Ciphertext:
        """Convert a ciphertext into a native one."""
        return load_ciphertext(self.parameters, self.core_at(ciphertext, ciphertext.scale).to_string())

    def prepare_transform(
        self,
        transform: DiagonalTransform,
        *,
        level: int,
        input_scale: float,
        output_scale: float,
        coefficients: bool = False,
    ) -> SealTransform:
        """Encode all diagonals at `level`, 8 N (level + 1) bytes each; SEAL cannot keep `coefficients`."""
        if transform.slot_count != self.parameters.slot_count:
            raise InputError(
                f"the transform is for {transform.slot_count} slots, the parameters have {self.parameters.slot_count}"
            )
        if not 1 <= level <= self.parameters.max_level:
            raise LevelError(
                f"a transform at level {level} cannot rescale; levels 1..{self.parameters.max_level}"
            )
        return prepare(self, transform, level, input_scale, output_scale)

    def linear_transform(
        self, prepared: SealTransform, inputs: Sequence[SealCiphertext]
    ) -> list[SealCiphertext]:
        if len(inputs) != prepared.input_count:
            raise InputError(
                f"the transform takes {count_text(prepared.input_count, 'ciphertext')}, got {len(inputs)}"
            )
        for a in inputs:
            if a.level != prepared.level:
                raise LevelError(
                    f"the transform was prepared for level {prepared.level}, got a ciphertext at {a.level}"
                )
            check_scales("linear_transform", a.scale, prepared.input_scale)
        return apply(self, prepared, inputs)

    def polynomial(
        self, a: SealCiphertext, coefficients: Sequence[float], *, output_scale: float
    ) -> SealCiphertext:
        return evaluate_chebyshev(self, a, [float(c) for c in coefficients], output_scale)
