"""One tolerance for the scales of a sum: in the verifier, in each engine, and in the core by a constant of its own."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import LevelError, PlanError
from hetorch.interop.seal.engine import SealEngine
from hetorch.ir.he_operations import Add, LinearTransform, Value
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.ir.verify import verify_he_program
from hetorch.params.insecure import insecure_small
from hetorch.params.scales import SCALE_TOLERANCE

SCALE = 2.0**30
PARAMETERS = insecure_small(1 << 11, 2)
NEAR = SCALE * (1 + SCALE_TOLERANCE * (1 - 2**-10))
FAR = SCALE * (1 + SCALE_TOLERANCE * (1 + 2**-10))


@pytest.mark.parametrize("engine", ["native", "seal", "cleartext"])
@pytest.mark.parametrize("swap", [False, True])
def test_engines_allow_it_and_no_more(engine: str, swap: bool) -> None:
    slots = np.linspace(-1, 1, PARAMETERS.slot_count)
    cleartext, native, seal = CleartextEngine(PARAMETERS), NativeEngine(PARAMETERS), SealEngine(PARAMETERS)
    key = SecretKey.generate(PARAMETERS)

    def add(scale: float) -> float:
        scales = (scale, SCALE) if swap else (SCALE, scale)
        if engine == "cleartext":
            return cleartext.add(*(cleartext.encrypt(slots, scale=s) for s in scales)).scale
        operands = [key.encrypt(slots, scale=s) for s in scales]
        if engine == "native":
            return native.add(*operands).scale
        return seal.add(*(seal.take(operand) for operand in operands)).scale

    assert add(NEAR) == (NEAR if swap else SCALE)
    with pytest.raises(LevelError, match="scale"):
        add(FAR)


def test_the_verifier_allows_it_and_no_more() -> None:
    layout = Layout.periodic((1,), PARAMETERS.slot_count, np.zeros((1, 1), dtype=np.int32))
    zero = np.zeros(1, dtype=np.int32)
    weights = {f"w.{key}": zero for key in ("outputs", "inputs", "giants", "babies")} | {
        "w.values": np.ones((1, 1))
    }
    operations = (LinearTransform((1,), (0,), "w", 0), LinearTransform((2,), (0,), "w", 0), Add(3, 1, 2, 0))

    def verify(scale: float) -> None:
        values = (Value(1, SCALE, 0), Value(0, SCALE), Value(0, scale), Value(0, SCALE, 0))
        program = HeProgram(PARAMETERS.slot_count, ("sum",), (layout,), values, operations, (0,), (3,))
        verify_he_program(program, PARAMETERS.modulus_chain, weights)

    verify(NEAR)
    with pytest.raises(PlanError, match="operands differ"):
        verify(FAR)
