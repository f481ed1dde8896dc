"""An update as integers in blocks: bounds, weight, noise, fixed point; and the mean from the sum of the integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.random import keystream, random_seed, wipe
from hetorch.errors import InputError, RoundVoidError
from hetorch.federated.residues import Residues
from hetorch.federated.ring import RING_DEGREE
from hetorch.federated.roster import EXTRA_INTEGERS, ArrayBounds, Roster
from hetorch.quantities import count_text

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a finished round tells each party: the mean of the updates, weighted by their samples."""

    arrays: Mapping[str, FloatArray]
    sample_count: int
    contributors: tuple[int, ...]


def encode(roster: Roster, update: Mapping[str, Any], sample_count: int) -> Residues:
    """Return the integers (blocks, N) of an update: 1, the number of samples, then the values.

    Args:
        roster: the arrays with their bounds, and the weights, norm and noise.
        update: the arrays by name, of numpy, torch or lists; other names than those of the roster are refused.
        sample_count: n_i, 1 to `roster.most_samples`.

    Raises:
        InputError: a name, shape or number of samples is wrong, or a value is not finite.
    """
    if not 1 <= sample_count <= roster.most_samples:
        raise InputError(f"the number of samples must be 1 to {roster.most_samples}, got {sample_count}")
    if set(update) != {array.name for array in roster.arrays}:
        wrong = sorted(set(update) ^ {array.name for array in roster.arrays})
        raise InputError(
            f"the update and the roster differ in these arrays: {', '.join(map(str, wrong[:8]))}"
        )
    arrays = [_checked(array, update[array.name]) for array in roster.arrays]
    factor = sample_count / roster.most_samples
    if roster.most_norm is not None:
        norm = float(np.sqrt(sum(float(np.vdot(array, array)) for array in arrays)))
        factor *= min(1.0, roster.most_norm / max(norm, np.finfo(np.float64).tiny))
    integers = np.zeros((roster.block_count, RING_DEGREE), dtype=np.int64)
    flat = integers.reshape(-1)
    flat[:EXTRA_INTEGERS] = 1, sample_count
    place = EXTRA_INTEGERS
    for bounds, values in zip(roster.arrays, arrays, strict=True):
        weighted = values * factor
        if roster.noise:
            weighted += roster.noise * _normal(weighted.size)
        scaled = np.clip(
            np.rint(weighted / roster.step(bounds)), -roster.largest_integer, roster.largest_integer
        )
        flat[place : place + scaled.size] = scaled.astype(np.int64)
        place += scaled.size
    return integers


def decode(roster: Roster, integers: Residues, contributors: tuple[int, ...]) -> RoundResult:
    """Return the result of the sums (blocks, N) of all contributors' integers; RoundVoidError if they are none."""
    flat = integers.reshape(-1)
    count, samples = int(flat[0]), int(flat[1])
    if count != len(contributors) or not count <= samples <= count * roster.most_samples:
        raise RoundVoidError(
            f"the round is void: the sum is of {count_text(count, 'update')} and {count_text(samples, 'sample')}, "
            f"which {count_text(len(contributors), 'contributor')} cannot have sent; one of them sent nonsense",
            exposed=True,
        )
    return RoundResult(dict(_means(roster, flat, samples)), samples, contributors)


def _means(roster: Roster, flat: Residues, samples: int) -> Iterator[tuple[str, FloatArray]]:
    place = EXTRA_INTEGERS
    for array in roster.arrays:
        size = int(np.prod(array.shape, dtype=np.int64))
        factor = np.float64(roster.step(array) * roster.most_samples / samples)
        values: FloatArray = flat[place : place + size].astype(np.float64) * factor
        yield array.name, values.reshape(array.shape)
        place += size


def _checked(bounds: ArrayBounds, value: Any) -> FloatArray:
    """Return an array's values (size,), cut to its bound."""
    if hasattr(value, "detach"):  # a tensor of torch, which this package does not import
        value = value.detach().cpu()
    array = np.asarray(value, dtype=np.float64)
    if array.shape != bounds.shape:
        raise InputError(
            f"the array {bounds.name!r} has the shape {array.shape}, the roster says {bounds.shape}"
        )
    if not np.isfinite(array).all():
        raise InputError(f"the array {bounds.name!r} has a value that is not finite")
    return np.clip(array.reshape(-1), -bounds.bound, bounds.bound)


def _normal(count: int) -> FloatArray:
    """Return standard normal numbers, by Box and Muller on the middles of 2^53 equal intervals of (0, 1)."""
    seed = random_seed()
    random = keystream(seed, 16 * count, domain=b"federated noise")
    words = np.frombuffer(random, dtype="<u8").reshape(2, count)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    numbers: FloatArray = np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1])
    wipe(random, seed)
    uniform.fill(0)
    return numbers
