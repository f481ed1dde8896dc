"""A network on batches of numbers: registers of shape (numbers, samples), and the steps that fill them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.cleartext_network.noise import Noise, normal_pool
from hetorch.ir.cleartext_network.steps import Registers, SeriesStep, SineStep, Step

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NUMBERS = 1 << 20
"""Numbers of the largest register for the samples that go through the network together, 8 MB. Raised, fewer calls of
numpy, whose operands leave the cache."""
FEWEST, MOST = 32, 256
"""Bounds of the samples that go through the network together."""
RANGE_SLACK = 1e-6
"""How far rounding may push the operand of a polynomial over an end of its range [-1, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An input register: its rows are the `elements` of a sample (-1 is a zero), with noise of `deviation`."""

    register: int
    elements: Indices
    deviation: float


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Elements of the output: `elements` are the `rows` of a register."""

    register: int
    rows: Indices
    elements: Indices


@dataclass(frozen=True, slots=True, eq=False)
class CleartextNetwork:
    """The function that a plan's ciphertext operations compute, and the noise that each of them adds.

    hetorch.ir.cleartext_network.derive makes it. It computes only what the outputs need, each element once, however
    often it lies in the slots.
    """

    input_size: int
    output_size: int
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    results: tuple[Result, ...]
    last_use: tuple[tuple[int, ...], ...]
    """The registers of each step that no later one reads."""
    widest: int = 1
    """The largest number of rows of a register."""

    def run(
        self,
        samples: Array,
        *,
        seed: int | None = None,
        threads: int = 1,
        beyond: NDArray[np.bool_] | None = None,
        done: Callable[[float], None] | None = None,
    ) -> Array:
        """Return the outputs, float64 (batch, output_size), of `samples`, float64 (batch, input_size).

        Args:
            samples: the inputs.
            seed: the seed of the modelled noise; None for none.
            threads: the number of threads among which the samples are shared out.
            beyond: an array (batch,) that becomes True for each sample for which the operand of a polynomial left
                [-1, 1], or that of a bootstrap its bound.
            done: called with the fraction of the samples that is done.
        """
        together = min(max(NUMBERS // self.widest, FEWEST), MOST)
        starts = range(0, len(samples), together)
        outputs = np.empty((len(samples), self.output_size))

        numbers = None if seed is None else normal_pool(seed)

        def part(number: int) -> None:
            rows = slice(starts[number], starts[number] + together)
            places = np.random.SeedSequence(seed, spawn_key=(number,))
            noise = None if numbers is None else Noise(numbers, np.random.Generator(np.random.SFC64(places)))
            outputs[rows] = self._run(samples[rows], noise, None if beyond is None else beyond[rows])

        with ThreadPoolExecutor(max(threads, 1)) as executor:
            for number, _ in enumerate(executor.map(part, range(len(starts))), 1):
                if done is not None:
                    done(number / len(starts))
        return outputs

    def _run(self, samples: Array, noise: Noise | None, beyond: NDArray[np.bool_] | None) -> Array:
        padded = np.zeros((self.input_size + 1, len(samples)))
        padded[:-1] = samples.T
        # Inputs far outside the calibrated range may overflow: the caller refuses what is not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._outputs(padded, noise, beyond)

    def _outputs(self, padded: Array, noise: Noise | None, beyond: NDArray[np.bool_] | None) -> Array:
        registers: Registers = {}
        for source in self.sources:
            values = padded[source.elements]
            if noise is not None:
                noise.add(values, source.deviation)
            registers[source.register] = values
        for step, dead in zip(self.steps, self.last_use, strict=True):
            step.run(registers, noise)
            if beyond is not None and isinstance(step, SeriesStep | SineStep):
                largest = np.abs(step.operand.of(registers)).max(axis=0, initial=0.0) / step.limit
                beyond |= ~(largest <= 1.0 + RANGE_SLACK)
            for number in dead:
                registers.pop(number, None)
        output = np.empty((self.output_size, padded.shape[1]))
        for result in self.results:
            output[result.elements] = registers[result.register][result.rows]
        return output.T


def last_uses(steps: Sequence[Step], results: Sequence[Result]) -> tuple[tuple[int, ...], ...]:
    """Return, for each step, the registers that neither a later step nor a result reads."""
    seen = {result.register for result in results}
    dead: list[tuple[int, ...]] = []
    for step in reversed(steps):
        fresh = {*step.reads, step.result} - seen
        seen |= fresh
        dead.append(tuple(sorted(fresh)))
    return tuple(reversed(dead))
