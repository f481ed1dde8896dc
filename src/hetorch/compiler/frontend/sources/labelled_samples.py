"""Test data that come as a Dataset or a DataLoader, read as arrays of inputs and labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hetorch.compiler.frontend.sources.calibration_inputs import read_calibration_inputs
from hetorch.errors import InputError


def read_labelled_samples(data: object, model: object) -> tuple[object, object | None]:
    """Return the inputs and the labels of a Dataset or a DataLoader as arrays, read once; other data as they are.

    A sample or batch is the inputs, or a pair (inputs, labels).

    Args:
        data: the test data.
        model: the model that takes them.

    Returns:
        The inputs, a tuple of them for a model of several inputs, and the labels or None.

    Raises:
        InputError: there is no sample, or the samples do not go together.
    """
    if not isinstance(data, Dataset | DataLoader):
        return data, None
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        items = [data[number] for number in range(len(data))]  # it may iterate without end
    else:
        source: Iterable[Any] = data  # type: ignore[assignment]  # an IterableDataset or a DataLoader
        items = list(source)
    labels = [item[-1] for item in items if isinstance(item, tuple | list) and len(item) > 1]
    if labels and len(labels) < len(items):
        raise InputError("some samples of data have labels and others have none; give labels for all or none")
    batched = isinstance(data, DataLoader) and data.batch_size is not None
    inputs = [item[0] if isinstance(item, tuple | list) else item for item in items]
    whole = _joined(inputs, batched=batched)
    read, _ = read_calibration_inputs(whole, model)
    return read, _joined(labels, batched=batched) if labels else None


def _joined(parts: list[Any], *, batched: bool) -> object:
    """Return the parts as one array (samples, ...), or a tuple of arrays if each of them is several inputs."""
    if not parts:
        raise InputError("data holds no sample")
    if isinstance(parts[0], tuple | list):
        return tuple(_joined(list(column), batched=batched) for column in zip(*parts, strict=True))
    arrays = [
        part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else np.asarray(part) for part in parts
    ]
    try:
        return np.concatenate(arrays) if batched else np.stack(arrays)
    except ValueError:
        shapes = sorted({str(array.shape[batched:]) for array in arrays})
        raise InputError(
            f"the samples of data must have one shape, they have {' and '.join(shapes[:2])}"
        ) from None
