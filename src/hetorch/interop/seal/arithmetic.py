"""Arithmetic by SEAL, with the levels, scales and errors of the native engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import galois_element
from hetorch.engine.native import Slots, slot_values
from hetorch.errors import InputError, KeyMissingError, LevelError
from hetorch.interop.seal.library import LazyKeys, seal_errors, seal_library
from hetorch.interop.seal.objects import SealCiphertext, SealPlaintext
from hetorch.interop.seal_format import SealParameters, dump_plaintext
from hetorch.params import ParameterSet
from hetorch.params.scales import SCALE_TOLERANCE


class SealArithmetic:
    """The operations of `Engine` on single ciphertexts, for one parameter set and one client's evaluation keys.

    It is the base of SealEngine, whose polynomials and transforms are made of these operations. Keys are converted at
    their first use. Values are encoded by the native core, in the slot order of the parameters, and rotations go by
    their Galois elements: SEAL's own slot order does not matter.

    Raises:
        PlanUseError: SEAL does not have such parameters, or is not installed (`seal_library`).
    """

    def __init__(
        self, parameters: ParameterSet, *, evaluation_keys: _native.EvaluationKeys | None = None
    ) -> None:
        self.parameters = parameters
        self._library = seal_library(parameters)
        self._evaluator = self._library.evaluator
        self._keys = LazyKeys(parameters, evaluation_keys)
        self._native = core_context(parameters)
        seal = SealParameters.of(parameters)
        self._parms_ids = [
            np.frombuffer(seal.parms_id(level + 1), "<u8").tolist()
            for level in range(parameters.max_level + 1)
        ]

    def encode(self, values: Slots, *, level: int, scale: float) -> SealPlaintext:
        """Encode `values` (slot_count,), real or complex; LevelError if they do not fit under the level's modulus."""
        self._check_level(level)
        slots = slot_values(values, self.parameters.slot_count)
        return self._plaintext(_native.encode(self._native, slots, level, scale))

    def add(self, a: SealCiphertext, b: SealCiphertext) -> SealCiphertext:
        left, right, level = self._aligned("add", a, b)
        with seal_errors("add"):
            return SealCiphertext(self._evaluator.add(left, right), level, a.scale)

    def subtract(self, a: SealCiphertext, b: SealCiphertext) -> SealCiphertext:
        left, right, level = self._aligned("subtract", a, b)
        with seal_errors("subtract"):
            return SealCiphertext(self._evaluator.sub(left, right), level, a.scale)

    def negate(self, a: SealCiphertext) -> SealCiphertext:
        return SealCiphertext(self._evaluator.negate(a.core), a.level, a.scale)

    def add_plaintext(self, a: SealCiphertext, p: SealPlaintext) -> SealCiphertext:
        check_scales("add", a.scale, p.scale)
        if p.core is None:
            return a
        with seal_errors("add a plaintext"):
            core = self._evaluator.add_plain(self.core_at(a, p.core.scale()), self._lowered(p, a.level))
        return SealCiphertext(core, a.level, a.scale)

    def multiply_plaintext(self, a: SealCiphertext, p: SealPlaintext) -> SealCiphertext:
        if p.core is None:
            with seal_errors("multiply with a plaintext"):
                raise ValueError("a product with zero is transparent")
        with seal_errors("multiply with a plaintext"):
            core = self._evaluator.multiply_plain(self.core_at(a, a.scale), self._lowered(p, a.level))
        return SealCiphertext(core, a.level, a.scale * p.scale)

    def multiply(self, a: SealCiphertext, b: SealCiphertext) -> SealCiphertext:
        return self.sum_of_products([a], [b])

    def sum_of_products(self, a: Sequence[SealCiphertext], b: Sequence[SealCiphertext]) -> SealCiphertext:
        """Return sum_i a[i] * b[i] at the lowest level, relinearised once; its scale is the product of the scales, the
        same for all pairs."""
        if not a or len(a) != len(b):
            raise InputError(
                f"a sum of products needs as many factors on one side as on the other, got {len(a)} and {len(b)}"
            )
        level = min(c.level for c in (*a, *b))
        keys = self._keys.get()
        if keys.relinearisation_level < level:
            raise KeyMissingError(f"no relinearisation key at level {level}")
        scale = a[0].scale * b[0].scale
        total = None
        for x, y in zip(a, b, strict=True):
            check_scales("sum of products", x.scale * y.scale, scale)
            left, right = self.drop_level(x, level), self.drop_level(y, level)
            with seal_errors("multiply"):
                product = self._evaluator.multiply(
                    self.core_at(left, left.scale), self.core_at(right, right.scale)
                )
                product.scale(scale)
                total = product if total is None else self._evaluator.add(total, product)
        with seal_errors("relinearise"):
            core = self._evaluator.relinearize(total, keys.relinearisation)
        return SealCiphertext(core, level, scale)

    def rescale(self, a: SealCiphertext) -> SealCiphertext:
        if a.level < 1:
            raise LevelError("rescale: no prime is left to divide by, the ciphertext is at level 0")
        scale = a.scale / self.parameters.modulus_chain[a.level]
        with seal_errors("rescale"):
            core = self._evaluator.rescale_to_next(self.core_at(a, a.scale))
        return SealCiphertext(core, a.level - 1, scale)

    def drop_level(self, a: SealCiphertext, level: int) -> SealCiphertext:
        self._check_level(level)
        if level > a.level:
            raise LevelError(f"drop_level: the ciphertext is at level {a.level}, cannot go up to {level}")
        if level == a.level:
            return a
        with seal_errors("drop_level"):
            # SEAL compares the scale with the modulus that remains. A scale of 1 passes; the exact one is kept here.
            core = self._evaluator.mod_switch_to(self.core_at(a, 1.0), self._parms_ids[level])
        return SealCiphertext(core, level, a.scale)

    def rotate(self, a: SealCiphertext, steps: int) -> SealCiphertext:
        n = self.parameters.ring_degree
        element = galois_element(steps, n, self.parameters.slot_generator)
        return a if element == 1 else self._automorphism(a, element)

    def rotate_many(self, a: SealCiphertext, steps: Sequence[int]) -> list[SealCiphertext]:
        """Rotate by one step after the other: SEAL has no hoisting."""
        return [self.rotate(a, step) for step in steps]

    def conjugate(self, a: SealCiphertext) -> SealCiphertext:
        return self._automorphism(a, 2 * self.parameters.ring_degree - 1)

    # For polynomials, transforms and the conversion of ciphertexts

    def constant(self, value: float, *, level: int, scale: float) -> SealPlaintext:
        """Encode `value` in every slot as the integer nearest to value * scale; the only error is that rounding."""
        coefficients = np.zeros(self.parameters.ring_degree)
        coefficients[0] = np.rint(value * scale)
        if not math.isfinite(coefficients[0]):
            raise LevelError(f"a constant {value:g} at scale {scale:g} is beyond the range of doubles")
        if coefficients[0] == 0:
            return SealPlaintext(None, level, scale)
        return self._plaintext(_native.lift(self._native, coefficients, level, scale))

    def at_scale(self, a: SealCiphertext, scale: float) -> SealCiphertext:
        """Return the same ciphertext with another label for its scale, where the exact scale is known."""
        return SealCiphertext(a.core, a.level, scale)

    def core_at(self, a: SealCiphertext, scale: float) -> Any:
        """Return SEAL's ciphertext with this scale, a copy if it had another."""
        if a.core.scale() == scale:
            return a.core
        core = self._library.module.Ciphertext(a.core)
        core.scale(scale)
        return core

    def _plaintext(self, plaintext: _native.Plaintext) -> SealPlaintext:
        if not np.any(_native.plaintext_rows(plaintext)):
            return SealPlaintext(None, plaintext.level, plaintext.scale)
        core = self._library.module.Plaintext()
        with seal_errors("load a plaintext"):
            core.load_bytes(self._library.context, dump_plaintext(self.parameters, plaintext))
        return SealPlaintext(core, plaintext.level, plaintext.scale)

    def _automorphism(self, a: SealCiphertext, element: int) -> SealCiphertext:
        keys = self._keys.get()
        if keys.levels.get(element, -1) < a.level:
            raise KeyMissingError(f"no key of Galois element {element} at level {a.level}")
        with seal_errors("rotate"):
            core = self._evaluator.apply_galois(a.core, element, keys.galois)
        return SealCiphertext(core, a.level, a.scale)

    def _aligned(self, what: str, a: SealCiphertext, b: SealCiphertext) -> tuple[Any, Any, int]:
        """Return both operands at the lower level, labelled with one scale, because SEAL wants equal ones."""
        check_scales(what, a.scale, b.scale)
        level = min(a.level, b.level)
        left, right = self.drop_level(a, level), self.drop_level(b, level)
        return self.core_at(left, 1.0), self.core_at(right, 1.0), level

    def _lowered(self, p: SealPlaintext, level: int) -> Any:
        if p.level < level:
            raise LevelError(f"a plaintext at level {p.level} cannot meet a ciphertext at level {level}")
        return p.core if p.level == level else self._evaluator.mod_switch_to(p.core, self._parms_ids[level])

    def _check_level(self, level: int) -> None:
        if not 0 <= level <= self.parameters.max_level:
            raise LevelError(
                f"level {level} does not exist; the chain has levels 0..{self.parameters.max_level}"
            )


def check_scales(what: str, a: float, b: float) -> None:
    """Raise LevelError for scales that are too different to be added."""
    if not abs(a - b) <= SCALE_TOLERANCE * max(a, b):
        raise LevelError(
            f"{what}: the scales differ, 2^{math.log2(a):.6f} and 2^{math.log2(b):.6f}; "
            "rescale or encode at the other scale"
        )
