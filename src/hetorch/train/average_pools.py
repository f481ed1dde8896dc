"""Average pools in the place of max pools: one linear map, where a maximum takes several levels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from hetorch.errors import InputError

AVERAGES: Mapping[type[nn.Module], type[nn.Module]] = MappingProxyType(
    {
        nn.MaxPool1d: nn.AvgPool1d,
        nn.MaxPool2d: nn.AvgPool2d,
        nn.MaxPool3d: nn.AvgPool3d,
        nn.AdaptiveMaxPool1d: nn.AdaptiveAvgPool1d,
        nn.AdaptiveMaxPool2d: nn.AdaptiveAvgPool2d,
        nn.AdaptiveMaxPool3d: nn.AdaptiveAvgPool3d,
    }
)
"""The average pool in the place of each max pool."""
POOLS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        **{f"max_pool{n}d": kind for n, kind in enumerate((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), 1)},
        "adaptive_max_pool1d": nn.AdaptiveMaxPool1d,
        "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
        "adaptive_max_pool3d": nn.AdaptiveMaxPool3d,
    }
)
"""The modules that compute what the functions of these names do."""
_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_ADAPTIVE_ARGUMENTS = ("output_size", "return_indices")


def is_max_pool(module: nn.Module) -> bool:
    """Return True for a module of max pooling, adaptive or not."""
    return type(module) in AVERAGES


def max_pool(name: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> nn.Module:
    """Return the module of a call of the function `name` with these arguments behind the tensor."""
    names = _ADAPTIVE_ARGUMENTS if name.startswith("adaptive") else _ARGUMENTS
    values = {**dict(zip(names, arguments, strict=False)), **named}
    if values.get("stride") in ([], ()):
        values["stride"] = None
    return POOLS[name](**values)


def average_pool(pool: nn.Module, path: str) -> nn.Module:
    """Return the average pool with the windows of a max pool. Padding is left out of the averages, as of the maxima.

    Raises:
        InputError: no average pool has these windows.
    """
    average = AVERAGES[type(pool)]
    if getattr(pool, "return_indices", False):
        raise InputError(
            f"{path} returns the indices of its maxima, which an average pool does not have: remove what uses them, "
            'or prepare with pool="keep"'
        )
    if hasattr(pool, "output_size"):
        return average(pool.output_size)
    dilation = pool.dilation
    if any(step != 1 for step in (dilation if isinstance(dilation, tuple) else (dilation,))):
        raise InputError(
            f"{path} is a max pool with dilation {dilation}, and average pools have none: write it without dilation, "
            'or prepare with pool="keep"'
        )
    return average(
        pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode, count_include_pad=False
    )
