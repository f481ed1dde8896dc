"""Data to train on, in the forms in which people have them, read as batches of inputs and labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split

from hetorch.compiler.frontend.graph.user_code import described
from hetorch.errors import InputError

HELD_BACK = 0.1
"""Share of a Dataset or of arrays that is held back to judge the epochs, if there are no validation data."""
FORMS = "a DataLoader of batches (x, y) or x, a Dataset of such samples, a tuple of arrays or tensors (x, y), or one, x"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples: the inputs of the model, and the labels, if known."""

    inputs: tuple[Tensor, ...]
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches that can be read any number of times, on the device and in the type of a model."""

    source: Iterable[Any]
    model: torch.nn.Module
    name: str

    def __iter__(self) -> Iterator[Batch]:
        empty = True
        for item in self.source:
            empty = False
            yield self._batch(item)
        if empty:
            raise InputError(f"{self.name} holds no batch; give {FORMS} that can be read more than once")

    def count(self) -> int:
        """Return the number of batches; a source that does not tell it is read once."""
        try:
            return len(self.source)  # type: ignore[arg-type]
        except TypeError:
            return sum(1 for _ in self.source)

    def _batch(self, item: Any) -> Batch:
        if isinstance(item, Tensor | np.ndarray):
            item = (item,)
        if not isinstance(item, tuple | list) or not item:
            raise InputError(f"{self.name} must be {FORMS}; a batch is {described(item)}")
        parts = item[:-1] if len(item) > 1 else item
        if isinstance(parts[0], tuple | list):
            parts = parts[0]
        inputs = tuple(as_input(torch.as_tensor(part), self.model) for part in parts)
        return Batch(inputs, self._labels(item[-1]) if len(item) > 1 else None)

    def _labels(self, part: Any) -> Tensor:
        labels: Tensor = torch.as_tensor(part, device=model_type(self.model).device)
        if not labels.is_floating_point():
            labels = labels.long()
            if labels.dim() == 2 and labels.shape[1] == 1:
                labels = labels[:, 0]  # a column of classes
        return labels


def model_type(model: torch.nn.Module) -> Tensor:
    """Return a tensor of the type and on the device of a model's weights."""
    return next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))


def as_input(tensor: Tensor, model: torch.nn.Module) -> Tensor:
    """Return an input on the device and in the type of a model; whole numbers stay for one with an embedding."""
    weights = model_type(model)
    takes_integers = any(isinstance(part, torch.nn.Embedding) for part in model.modules())
    if takes_integers and not tensor.is_floating_point():
        return tensor.to(weights.device)
    return tensor.to(weights.device, weights.dtype)


def read_batches(
    data: object, model: torch.nn.Module, name: str, batch_size: int, generator: torch.Generator | None = None
) -> Batches:
    """Return data as batches.

    Args:
        data: one of FORMS. The batches of a DataLoader, or of another iterable, are taken as they come.
        model: the model that takes them.
        name: what to call the data in messages.
        batch_size: samples in a batch of a Dataset or of arrays.
        generator: the order of a Dataset or of arrays is drawn from it, each time anew; None keeps their order.

    Raises:
        InputError: `data` has none of the forms, or a wrong batch size.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size must be a whole number of 1 or more, got {batch_size!r}")
    if isinstance(data, tuple | Tensor | np.ndarray):
        data = _tensors(data, name)
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        count = len(data)  # type: ignore[arg-type]
        if not count:
            raise InputError(f"{name} holds no sample")
        # A batch of one sample has no variance, on which batch normalisation trains.
        drop_last = generator is not None and count % batch_size == 1 and count > 1
        data = DataLoader(
            data, batch_size, shuffle=generator is not None, generator=generator, drop_last=drop_last
        )
    elif isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size)
    elif isinstance(data, str) or not isinstance(data, Iterable):
        raise InputError(f"{name} must be {FORMS}, got {described(data)}")
    elif isinstance(data, Iterator):
        raise InputError(f"{name} is {described(data)}, which can be read once; give {FORMS}")
    return Batches(data, model, name)


def read_with_validation(
    loader: object,
    validation: object | None,
    model: torch.nn.Module,
    batch_size: int,
    generator: torch.Generator,
) -> tuple[Batches, Batches | None]:
    """Return data to train on, and data to judge by.

    Args:
        loader: the data to train on, in one of FORMS.
        validation: the data to judge by, in one of FORMS; None for the part of `loader` that `hold_back` takes.
        model: the model that takes them.
        batch_size: samples in a batch of a Dataset or of arrays.
        generator: the held-back samples and the order of `loader` are drawn from it.

    Returns:
        Both; None in place of the second if there are no validation data and nothing is held back.

    Raises:
        InputError: as for read_batches.
    """
    if validation is None:
        loader, validation = hold_back(loader, generator)
    train = read_batches(loader, model, "loader", batch_size, generator)
    judge = None if validation is None else read_batches(validation, model, "validation", batch_size)
    return train, judge


def read_first(data: Batches, count: int) -> tuple[Tensor, ...]:
    """Return each input of the first `count` samples, or of all if they are fewer."""
    batches, seen = [], 0
    for batch in data:
        batches.append(batch.inputs)
        seen += len(batch)
        if seen >= count:
            break
    return tuple(torch.cat(parts)[:count] for parts in zip(*batches, strict=True))


def hold_back(data: object, generator: torch.Generator) -> tuple[object, object | None]:
    """Return data to train on and a HELD_BACK part to judge by; of a DataLoader nothing is held back (None)."""
    if isinstance(data, tuple | Tensor | np.ndarray):
        data = _tensors(data, "loader")
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset):
        return data, None
    count = len(data)  # type: ignore[arg-type]
    held = math.ceil(count * HELD_BACK)
    if held >= count:
        return data, None
    train, validation = random_split(data, [count - held, held], generator)
    return _in_memory(train), _in_memory(validation)


def _in_memory(part: Subset[Any]) -> Dataset[Any]:
    """Return a part of a TensorDataset as one, which is read faster."""
    whole = part.dataset
    if isinstance(whole, TensorDataset):
        return TensorDataset(*(tensor[part.indices] for tensor in whole.tensors))
    return part


def _tensors(data: Sequence[Any] | Tensor | np.ndarray, name: str) -> TensorDataset:
    if not isinstance(data, tuple):
        data = (data,)
    try:
        tensors = [torch.as_tensor(np.asarray(part) if isinstance(part, list) else part) for part in data]
    except (TypeError, ValueError, RuntimeError):
        tensors = []
    if not tensors or any(tensor.dim() < 1 for tensor in tensors):
        raise InputError(
            f"{name} must be {FORMS}, got a tuple of {', '.join(map(described, data)) or 'nothing'}"
        )
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) > 1:
        raise InputError(
            f"{name} has {lengths[0]} inputs and {lengths[-1]} labels; give one label for each input"
        )
    first, last = tensors[0], tensors[-1]
    if first.dim() == 1 < last.dim() and not first.is_floating_point() and last.is_floating_point():
        raise InputError(
            f"{name} has whole numbers of shape {tuple(first.shape)} before numbers of shape {tuple(last.shape)}; the "
            "samples come first, then their labels: (x, y)"
        )
    return TensorDataset(*tensors)
