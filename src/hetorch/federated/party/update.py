"""An update as integers in blocks: bounds, weight, noise, fixed point; and the mean from the sum of the integers."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.random import keystream, random_seed, wipe
from hetorch.errors import InputError, RoundVoidError
from hetorch.federated.residues import Residues, new_blocks
from hetorch.federated.ring import RING_DEGREE
from hetorch.federated.roster import EXTRA_INTEGERS, ArrayBounds, Roster
from hetorch.quantities import count_text

FloatArray = NDArray[np.float64]
_log = logging.getLogger("hetorch.federated")
_PART = 1 << 15
"""Values that are checked at a time."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a finished round tells each party: the mean of the updates, weighted by their samples."""

    arrays: Mapping[str, FloatArray]
    sample_count: int
    contributors: tuple[int, ...]


def encode(
    roster: Roster, update: Mapping[str, Any], sample_count: int, chunk_blocks: int
) -> Iterator[Residues]:
    """Return the integers of an update: 1, the number of samples, then the values, and zeros behind them.

    Args:
        roster: the arrays with their bounds, and the weights, norm and noise.
        update: the arrays by name, of numpy, torch or lists; other names than those of the roster are refused.
        sample_count: n_i, 1 to `roster.most_samples`.
        chunk_blocks: the number of blocks (count, N) that each item has, but for the last one. The next item takes over
            the memory of the one before.

    Raises:
        InputError: a name, shape or number of samples is wrong, or a value is not finite. It is raised here, before the
            first item.
    """
    if not isinstance(sample_count, int | np.integer) or not 1 <= sample_count <= roster.most_samples:
        raise InputError(
            f"the number of samples must be a whole number from 1 to {roster.most_samples}, got {sample_count!r}"
        )
    if not isinstance(update, Mapping):
        raise InputError(
            f"an update is arrays by name, such as model.state_dict(), got the type {type(update).__name__}"
        )
    if set(update) != {array.name for array in roster.arrays}:
        wrong = sorted(set(update) ^ {array.name for array in roster.arrays})
        raise InputError(
            f"the update and the roster differ in these arrays: {', '.join(map(str, wrong[:8]))}"
        )
    arrays = [_checked(array, update[array.name]) for array in roster.arrays]
    _warn_of_cuts(roster, arrays)
    factor = sample_count / roster.most_samples
    if roster.most_norm is not None:
        factor *= min(1.0, roster.most_norm / max(_norm(roster, arrays), np.finfo(np.float64).tiny))
    return _chunks(roster, arrays, sample_count, factor, chunk_blocks)


def _chunks(
    roster: Roster, arrays: list[NDArray[Any]], sample_count: int, factor: float, chunk_blocks: int
) -> Iterator[Residues]:
    chunk = new_blocks(chunk_blocks).reshape(-1)
    scratch = new_blocks(chunk_blocks).reshape(-1).view(np.float64)
    chunk[:EXTRA_INTEGERS] = 1, sample_count
    place = EXTRA_INTEGERS
    for bounds, values in zip(roster.arrays, arrays, strict=True):
        done = 0
        while done < values.size:
            part = values[done : done + chunk.size - place]
            chunk[place : place + part.size] = _integers(roster, bounds, part, factor, scratch)
            done += part.size
            place += part.size
            if place == chunk.size:
                yield chunk.reshape(-1, RING_DEGREE)
                place = 0
    if place:
        end = -(-place // RING_DEGREE) * RING_DEGREE
        chunk[place:end] = 0
        yield chunk[:end].reshape(-1, RING_DEGREE)
    chunk.fill(0)
    scratch.fill(0)


def _integers(
    roster: Roster, bounds: ArrayBounds, values: NDArray[Any], factor: float, scratch: FloatArray
) -> FloatArray:
    """Return some values of an array as whole numbers, in `scratch`."""
    weighted = scratch[: values.size]
    weighted[:] = values
    np.clip(weighted, -bounds.bound, bounds.bound, out=weighted)
    weighted *= factor
    if roster.noise:
        weighted += roster.noise * _normal(weighted.size)
    weighted /= roster.step(bounds)
    np.rint(weighted, out=weighted)
    return np.clip(weighted, -roster.largest_integer, roster.largest_integer, out=weighted)


def decode(roster: Roster, chunks: Iterator[Residues], contributors: tuple[int, ...]) -> RoundResult:
    """Return the result of the sums of all contributors' integers, some blocks (count, N) at a time; RoundVoidError if
    they are none."""
    chunk = next(chunks).reshape(-1)
    count, samples = int(chunk[0]), int(chunk[1])
    if count != len(contributors) or not count <= samples <= count * roster.most_samples:
        raise RoundVoidError(
            f"the round is void: the sum is of {count_text(count, 'update')} and {count_text(samples, 'sample')}, "
            f"which {count_text(len(contributors), 'contributor')} cannot have sent; one of them sent nonsense",
            exposed=True,
        )
    place = EXTRA_INTEGERS
    means: dict[str, FloatArray] = {}
    for array in roster.arrays:
        factor = np.float64(roster.step(array) * roster.most_samples / samples)
        mean = np.empty(array.shape, dtype=np.float64)
        flat, done = mean.reshape(-1), 0
        while done < flat.size:
            if place == chunk.size:
                chunk, place = next(chunks).reshape(-1), 0
            part = chunk[place : place + flat.size - done]
            np.multiply(part, factor, out=flat[done : done + part.size])
            done += part.size
            place += part.size
        means[array.name] = mean
    return RoundResult(means, samples, contributors)


def _checked(bounds: ArrayBounds, value: Any) -> NDArray[Any]:
    """Return an array's values (size,)."""
    if hasattr(value, "detach"):  # a tensor of torch, which this package does not import
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # which numpy does not have
            value = value.float()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"the array {bounds.name!r} cannot be read: {error}") from None
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise InputError(
            f"the array {bounds.name!r} must be of real numbers, its elements are {array.dtype.name}"
        )
    if array.shape != bounds.shape:
        raise InputError(
            f"the array {bounds.name!r} has the shape {array.shape}, the roster says {bounds.shape}"
        )
    flat = array.reshape(-1)
    if not all(np.isfinite(part).all() for part in _parts(flat)):
        raise InputError(f"the array {bounds.name!r} has a value that is not finite")
    return flat


def _warn_of_cuts(roster: Roster, arrays: list[NDArray[Any]]) -> None:
    """Log which arrays have values beyond their bounds, on this machine only; the mean is then not that of FedAvg."""
    cut = [
        bounds.name
        for bounds, values in zip(roster.arrays, arrays, strict=True)
        if any(
            max(float(part.max()), -float(part.min())) > bounds.bound * (1 + np.finfo(values.dtype).eps)
            for part in _parts(values)
        )
    ]
    if cut:
        more = f" and {len(cut) - 8} more" if len(cut) > 8 else ""
        _log.warning(
            "values beyond the roster's bound are cut to it, in %s%s; larger bounds, or updates that are the change of "
            "a round, leave them whole",
            ", ".join(map(repr, cut[:8])),
            more,
        )


def _norm(roster: Roster, arrays: list[NDArray[Any]]) -> float:
    """Return the Euclidean norm of all values, each cut to its bound."""
    total = 0.0
    for bounds, values in zip(roster.arrays, arrays, strict=True):
        for part in _parts(values):
            cut = np.clip(part.astype(np.float64), -bounds.bound, bounds.bound)
            total += float(np.vdot(cut, cut))
    return math.sqrt(total)


def _parts(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield values a part at a time, so that what is computed of them stays small."""
    return (values[start : start + _PART] for start in range(0, values.size, _PART))


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
