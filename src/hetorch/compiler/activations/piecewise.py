"""Functions that consist of linear or quadratic pieces, to any precision: written with the sign of x - kink.

relu(x - kink) = (x - kink) (1 + sign(x - kink)) / 2, and the sign is a composition of minimax polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.compiler.activations.sign_polynomials import sign_polynomials
from hetorch.ir.tensor_program import Activation


class KinkWriter:
    """Writes sign(x - kink) and relu(x - kink) for the input x of an activation.

    `degrees` collects the degree of each composition that was written.
    """

    def __init__(self, out: Replacement, domain: Domain, precision: float) -> None:
        self.out = out
        self.low, self.high = domain.whole
        self.precision = precision
        self.degrees: list[int] = []

    def sign(self, kink: float) -> int:
        """Write the sign of x - kink.

        Nearer to the kink than half the precision, relative to the farthest x, it may be anything in [-1, 1]: a relu is
        then still wrong by less than the precision.
        """
        out = self.out
        farthest = max(abs(self.low - kink), abs(self.high - kink))
        value = out.scale(out.source, 1.0 / farthest, -kink / farthest)
        polynomials = sign_polynomials(self.precision / 2, self.precision)
        self.degrees.append(math.prod(len(coefficients) - 1 for coefficients in polynomials))
        for number, coefficients in enumerate(polynomials, 1):
            label = f"sign {number}/{len(polynomials)}, degree {len(coefficients) - 1}"
            value = out.series(value, coefficients, label)
        return value

    def relu(self, kink: float = 0.0) -> int:
        """Write the relu of x - kink."""
        above = self.sign(kink)
        half = self.out.scale(self.out.source, 0.5, -kink / 2)
        return self.out.add(self.out.multiply(half, above, "relu by sign"), half)

    def leaky_relu(self, slope: float = 0.01) -> int:
        """Write slope * x + (1 - slope) relu(x)."""
        above = self.out.scale(self.relu(), 1.0 - slope)
        return self.out.add(self.out.scale(self.out.source, slope), above)

    def clip(self, low: float = -1.0, high: float = 1.0) -> int:
        """Write min(max(x, low), high); a bound may be infinite."""
        out = self.out
        if math.isinf(low) and math.isinf(high):
            return out.scale(out.source, 1.0)
        if math.isinf(low):
            # min(x, high) = x - relu(x - high)
            return out.add(out.scale(out.source, 1.0), out.scale(self.relu(high), -1.0))
        raised = out.scale(self.relu(low), 1.0, low)
        if math.isinf(high):
            return raised
        return out.add(raised, out.scale(self.relu(high), -1.0))

    def hard_sigmoid(self) -> int:
        """Write min(max(x / 6 + 1/2, 0), 1)."""
        raised = self.out.scale(self.relu(-3.0), 1.0 / 6)
        return self.out.add(raised, self.out.scale(self.relu(3.0), -1.0 / 6))

    def hard_swish(self) -> int:
        """Write x * min(max(x / 6 + 1/2, 0), 1)."""
        x = self.out.scale(self.out.source, 1.0)
        return self.out.multiply(x, self.hard_sigmoid(), "hardswish by sign")

    def soft_shrink(self, width: float = 0.5) -> int:
        """Write relu(x - width) - relu(-x - width), where relu(-y) = relu(y) - y."""
        above = self.relu(width)
        below = self.out.add(self.relu(-width), self.out.scale(self.out.source, -1.0, -width))
        return self.out.add(above, self.out.scale(below, -1.0))


WRITERS: Mapping[str, Callable[..., int]] = MappingProxyType(
    {
        "relu": KinkWriter.relu,
        "sign": lambda writer: writer.sign(0.0),
        "abs": lambda writer: writer.leaky_relu(-1.0),
        "leaky_relu": KinkWriter.leaky_relu,
        "relu6": lambda writer: writer.clip(0.0, 6.0),
        "hardtanh": KinkWriter.clip,
        "hardsigmoid": KinkWriter.hard_sigmoid,
        "hardswish": KinkWriter.hard_swish,
        "softshrink": KinkWriter.soft_shrink,
    }
)
"""How each function with kinks is written; called with the writer and the parameters of the activation."""


def has_kinks(op: Activation) -> bool:
    """Return True if write_piecewise can write the activation."""
    return op.definition is None and op.function in WRITERS


def write_piecewise(out: Replacement, domain: Domain, precision: float) -> Form:
    """Write an activation with kinks to `precision`, relative to the largest absolute value in its range."""
    writer = KinkWriter(out, domain, precision)
    WRITERS[out.op.function](writer, *out.op.parameters)
    return Form(max(writer.degrees), "minimax sign", 1.0)
