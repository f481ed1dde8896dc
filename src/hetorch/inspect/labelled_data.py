"""Test data with labels of their own: a Dataset or DataLoader of torch in place of samples and labels."""

from __future__ import annotations

import sys

from hetorch.errors import InputError


def read_labelled_data(
    data: object, labels: object | None, model: object | None
) -> tuple[object, object | None]:
    """Return samples and labels; of a Dataset or DataLoader those that it holds, read once, other data as they are.

    Args:
        data: samples, or a Dataset or DataLoader of inputs or of pairs (input, label).
        labels: the labels of samples; None if there are none, or if `data` has them.
        model: the model, which tells the number of its inputs; one if left out.

    Returns:
        The samples, a tuple for a model of several inputs, and the labels or None.

    Raises:
        InputError: there is no sample, the samples do not go together, or there are labels twice.
    """
    torch_data = sys.modules.get("torch.utils.data")  # who has neither loaded has no data of them
    if torch_data is None or not isinstance(data, torch_data.Dataset | torch_data.DataLoader):
        return data, labels
    from hetorch.optional_packages import explain_missing

    with explain_missing("a Dataset or DataLoader"):
        from hetorch.compiler.frontend.sources.labelled_samples import read_labelled_samples
    samples, own_labels = read_labelled_samples(data, model)
    if labels is not None and own_labels is not None:
        raise InputError("data has labels of its own; leave labels out, or give the samples alone")
    return samples, own_labels if labels is None else labels
