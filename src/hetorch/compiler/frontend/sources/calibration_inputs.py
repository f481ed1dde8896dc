"""Calibration inputs in the forms in which people have them, read as tensors or arrays (batch, ...)."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hetorch.errors import InputError
from hetorch.plan.columns import Columns
from hetorch.quantities import count_text

MOST_SAMPLES = 512
"""Number of samples that are taken from a Dataset or DataLoader; more make ranges safer and compiling slower."""

FORMS = (
    "calibration_inputs must be a tensor, an array or a DataFrame of real numbers (batch, ...), a list of samples, a "
    "Dataset or a DataLoader, or a tuple with one of the first for each input of the model"
)


def read_calibration_inputs(data: object, model: object) -> tuple[object, str | None]:
    """Return calibration inputs as one tensor or array (batch, ...), or a tuple of them for a model of several inputs.

    A tuple has one entry for each input of the model, and so has a list of as many batches as the model has inputs. Any
    other list holds samples, which are stacked. Of samples that are pairs (input, label), in a list, a Dataset or a
    DataLoader, the inputs are taken. Tables with names are read before, by read_table.

    Args:
        data: the calibration inputs.
        model: what the user gave to be compiled; the number of its inputs decides how a list is read.

    Returns:
        The inputs, and a note for the user or None. Numbers are not looked at.

    Raises:
        InputError: `data` has none of these forms, or its samples do not go together.
    """
    count = _input_count(model)
    if isinstance(data, tuple):
        if count == 1 and len(data) > 1:
            raise InputError(
                f"calibration_inputs are a tuple of {len(data)}, and {type(model).__name__} takes 1 input: a tuple has "
                "one entry for each input; give a list of samples, or the inputs alone"
            )
        return tuple(_one_input(part) for part in data), None
    if isinstance(data, DataLoader):
        return _taken(data, count, in_batches=True)
    if isinstance(data, Dataset):
        source = data if isinstance(data, IterableDataset) else (data[i] for i in range(len(data)))  # type: ignore[arg-type]
        return _taken(source, count, in_batches=False)
    if isinstance(data, list):
        if _are_batches(data, count):
            return tuple(_one_input(part) for part in data), None
        return _joined([_parts(item, count) for item in data], in_batches=False), None
    return _one_input(data), None


def _input_count(model: object) -> int:
    """Return the number of inputs that a model needs: the parameters of `forward` without a default, at least 1."""
    forward = getattr(model, "forward", None)
    try:
        parameters = inspect.signature(forward).parameters.values() if callable(forward) else ()
    except (TypeError, ValueError):
        parameters = ()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(1, sum(p.kind in positional and p.default is p.empty for p in parameters))


def _are_batches(items: Sequence[object], count: int) -> bool:
    """Return True for a list of tensors or arrays (batch, ...) of one batch, as many as the model has inputs."""
    tensors = [item for item in items if isinstance(item, torch.Tensor | np.ndarray) and item.ndim >= 2]
    return len(items) == count == len(tensors) and len({len(item) for item in tensors}) == 1


def _one_input(data: Any) -> object:
    """Return one input of the model: tensors and arrays as they are, others as arrays."""
    if isinstance(data, torch.Tensor | np.ndarray):
        return data
    if hasattr(data, "toarray"):  # a sparse matrix of scipy
        return np.asarray(data.toarray())
    if hasattr(data, "columns"):  # without names of its own, or one of several inputs
        for name in data.columns:
            if np.asarray(data[name]).dtype.kind not in "biuf":
                raise InputError(
                    f"the column {name} of calibration_inputs holds no numbers; encode it as the model was trained "
                    "on it"
                )
    if isinstance(data, list) or hasattr(data, "__array__"):
        array = _array(data)
        if array is not None:
            return array
    raise InputError(f"{FORMS}; got {_described(data)}")


def read_table(data: object, columns: Columns | None) -> tuple[object, Columns | None]:
    """Return calibration inputs that are a table as the numbers that are computed of its columns, and the columns.

    Anything else is returned as it is. Without `columns`, which an estimator has, they are those of the table, if it
    names all of them.

    Raises:
        InputError: the table lacks columns or has others, or they do not hold what the model takes.
    """
    if isinstance(data, tuple | torch.Tensor | Dataset | DataLoader):
        return data, columns
    if columns is not None and columns.features and isinstance(data, list):
        data = np.asarray(data, dtype=object)
    if isinstance(data, Mapping) and any(np.ndim(column) > 1 for column in data.values()):
        return data, columns
    names = getattr(data, "columns", data if isinstance(data, Mapping) else None)
    if columns is None and names is not None and all(isinstance(name, str) for name in names):
        columns = Columns(tuple(names), len(names))
    is_table = names is not None or isinstance(data, np.ndarray)
    return (columns.read(data) if columns is not None and is_table else data), columns


def _taken(source: Iterable[object], count: int, *, in_batches: bool) -> tuple[object, str | None]:
    """Return the first MOST_SAMPLES samples of a Dataset, or those of a DataLoader's batches."""
    items: list[tuple[object, ...]] = []
    samples = 0
    for item in itertools.islice(source, MOST_SAMPLES):
        items.append(_parts(item, count))
        first = items[-1][0]
        samples += len(first) if in_batches and isinstance(first, torch.Tensor | np.ndarray | list) else 1
        if samples >= MOST_SAMPLES:
            break
    joined = _joined(items, in_batches=in_batches)
    if samples < MOST_SAMPLES:
        return joined, None
    parts = tuple(part[:MOST_SAMPLES] for part in (joined if isinstance(joined, tuple) else (joined,)))
    note = (
        f"calibrated on the first {MOST_SAMPLES} samples of the {'DataLoader' if in_batches else 'Dataset'}"
    )
    return parts if count > 1 else parts[0], note


def _parts(item: object, count: int) -> tuple[object, ...]:
    """Return the inputs in one sample or batch, without labels behind them."""
    if not isinstance(item, tuple | list) or all(np.isscalar(number) for number in item):
        parts: tuple[object, ...] = (item,)
    elif isinstance(item, list) and count == 1 and not isinstance(item[0], torch.Tensor | np.ndarray):
        parts = (item,)  # rows of numbers
    else:
        parts = tuple(item[:count])
    if len(parts) != count:
        raise InputError(
            f"a sample of calibration_inputs has {count_text(len(parts), 'input')}, the model takes {count}"
        )
    return parts


def _joined(
    items: Sequence[tuple[object, ...]], *, in_batches: bool
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Return each input of all samples as one tensor (batch, ...)."""
    if not items:
        raise InputError("calibration_inputs hold no sample")
    inputs = []
    for column in zip(*items, strict=True):
        tensors = [_tensor(part) for part in column]
        shapes = {tuple(tensor.shape[in_batches:]) for tensor in tensors}
        if len(shapes) > 1:
            seen = " and ".join(str(shape) for shape in sorted(shapes)[:2])
            raise InputError(
                f"the samples of calibration_inputs must have one shape, they have {seen}; for a model of several "
                "inputs give a tuple with one entry for each input"
            )
        inputs.append(torch.cat(tensors) if in_batches else torch.stack(tensors))
    return inputs[0] if len(inputs) == 1 else tuple(inputs)


def _tensor(data: object) -> torch.Tensor:
    """Return one sample or batch as a tensor."""
    if isinstance(data, torch.Tensor):
        return data.detach().cpu()
    array = _array(data)
    if array is None:
        raise InputError(f"{FORMS}; got a sample that is {_described(data)}")
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(data: object) -> np.ndarray[Any, np.dtype[Any]] | None:
    """Return numbers as an array; None if they are no numbers or do not form one."""
    try:
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in "biuf" else None


def _described(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
