"""The diagonals of an affine map, for given placements of its input and its result.

Element c of the input lies at pos(c), row t of the result at q(t). A product M[t, c] x_c is formed in a slot s that
belongs to row t, from the slot s + k that holds c: k is the diagonal, taken modulo m = min(period in, period out). If
the result's period is smaller, the products of one row lie in several slots that are m apart, and folds (rotate by m,
2m, 4m, ... and add) sum them up afterwards. If it is larger or equal, there is nothing to fold, unless the result is
row-packed (hetorch.compiler.packing.row_packing).

Over several ciphertexts a map is a grid of (result, input) blocks, each with diagonals of its own. The index of a
diagonal is then (result * inputs + input) * m + k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.compiler.packing.row_packing import row_packing_between, slots_of_products
from hetorch.compiler.packing.runs import modulus_between
from hetorch.compiler.packing.skewed_cover import MOST_COVER_ENTRIES, cover
from hetorch.distinct import distinct


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalSet:
    """The diagonals of a map: sorted `indices`, each block * `modulus` + k.

    For each non-zero of the matrix (in CSR order), `chosen` is the place of its diagonal in `indices`, and `replica`
    the replica of the input that it reads (0 unless the input is skewed).
    """

    indices: Indices
    modulus: int
    chosen: Indices
    replica: Indices


def coordinates(matrix: sparse.csr_array) -> tuple[Indices, Indices]:
    """Return the rows and columns of the non-zeros, in CSR order."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows, matrix.indices.astype(np.int64)


def find_diagonals(
    rows: Indices, columns: Indices, source: Placement, result: Placement, most: int | None = None
) -> DiagonalSet | None:
    """Return the diagonals of the map with non-zeros (rows, columns) from `source` to `result`.

    The result is None if the input is skewed and no cover was found, of at most `most` diagonals if that is given. A
    map without non-zeros has one diagonal of zeros.
    """
    modulus = modulus_between(source, result)
    if len(rows) == 0:
        return DiagonalSet(np.zeros(1, dtype=np.int64), modulus, rows, rows)
    if source.positions.shape[0] == 1:
        k = _numbers(rows, columns, source, result, modulus)
        present = _present(k, modulus * source.parts * result.parts)
        number = np.cumsum(present) - 1
        return DiagonalSet(np.flatnonzero(present), modulus, number[k], np.zeros(len(k), dtype=np.int64))
    if source.positions.shape[0] * len(rows) > MOST_COVER_ENTRIES:
        return None
    # The ciphertexts of a result have diagonals of their own; a skewed input is one ciphertext.
    output = (result.positions[0] // result.period).take(rows)
    numbers = output * modulus + _distances(rows, columns, source, result, modulus)
    covering = cover(numbers, modulus * result.parts, most)
    return None if covering is None else DiagonalSet(covering[0], modulus, *covering[1:])


def find_indices(
    rows: Indices, columns: Indices, source: Placement, result: Placement, most: int | None = None
) -> tuple[Indices, int] | None:
    """Return only the `indices` and the `modulus` of find_diagonals, in less time; the search for layouts uses them."""
    if len(rows) == 0 or source.positions.shape[0] > 1:
        diagonals = find_diagonals(rows, columns, source, result, most)
        return None if diagonals is None else (diagonals.indices, diagonals.modulus)
    modulus = modulus_between(source, result)
    single = source.parts == result.parts == 1
    if single and len(rows) == source.positions.shape[1] * result.positions.shape[1]:
        packing = row_packing_between(source, result)
        if packing is not None:
            differences = source.positions[0][:, None] - distinct(result.positions[0] % packing.stride)
            return distinct(differences & (packing.stride - 1)), modulus
        return np.flatnonzero(_dense_present(source, result, modulus)), modulus
    k = _numbers(rows, columns, source, result, modulus)
    return np.flatnonzero(_present(k, modulus * source.parts * result.parts)), modulus


def blocks(indices: Indices, modulus: int, source: Placement) -> tuple[Indices, Indices, Indices]:
    """Split the indices of find_diagonals into the ciphertext of the result, the ciphertext of the input, and k."""
    block = np.asarray(indices // modulus)
    k = np.asarray(indices % modulus)
    return np.asarray(block // source.parts), np.asarray(block % source.parts), k


def _numbers(rows: Indices, columns: Indices, source: Placement, result: Placement, modulus: int) -> Indices:
    """Return the index of the diagonal of each non-zero, for an input that is not skewed."""
    packing = row_packing_between(source, result)
    if packing is not None:
        places = result.positions[0].take(rows)
        return slots_of_products(source.positions[0].take(columns), places, packing)[0]
    k: Indices = _distances(rows, columns, source, result, modulus)[0]
    if source.parts == result.parts == 1:
        return k
    output = (result.positions[0] // result.period).take(rows)
    read = (source.positions[0] // source.period).take(columns)
    return np.asarray((output * source.parts + read) * modulus + k)


def _dense_present(source: Placement, result: Placement, modulus: int) -> NDArray[np.bool_]:
    """Return the mask of the diagonals of a matrix without zeros: all differences of slots, by circular correlation.

    The counts are whole numbers up to the modulus, so the rounding of the transform is far below one half.
    """
    inputs, outputs = np.zeros(modulus), np.zeros(modulus)
    inputs[source.positions[0] % modulus] = 1
    outputs[result.positions[0] % modulus] = 1
    spectrum = np.conj(np.fft.fft(outputs)) * np.fft.fft(inputs)
    return np.asarray(np.fft.ifft(spectrum).real > 0.5)


def _distances(
    rows: Indices, columns: Indices, source: Placement, result: Placement, modulus: int
) -> Indices:
    """Return the distances from the slot of each row to those of its column, modulo a power of two.

    The result is (replicas, non-zeros).
    """
    places = result.positions[0].take(rows)
    distances: Indices = (source.positions.take(columns, axis=1) - places) & (modulus - 1)
    return distances


def _present(k: Indices, count: int) -> NDArray[np.bool_]:
    present = np.zeros(count, dtype=bool)
    present[k] = True
    return present
