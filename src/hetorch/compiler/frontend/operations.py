"""Which handler reads which of torch's operations, and what to do instead of those that none reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hetorch.compiler.frontend.affine_ops import AFFINE
from hetorch.compiler.frontend.builder import Builder, Call, Symbol
from hetorch.compiler.frontend.convolution_ops import CONVOLUTION
from hetorch.compiler.frontend.elementwise_ops import ELEMENTWISE
from hetorch.compiler.frontend.maximum_ops import MAXIMUM
from hetorch.compiler.frontend.movement_ops import (
    IDENTITY,
    MOVEMENT,
    concatenate,
    identity,
    movement,
    stack,
    where,
)
from hetorch.compiler.frontend.normalisation_ops import NORMALISATION
from hetorch.compiler.frontend.product_ops import PRODUCT
from hetorch.compiler.frontend.recurrent_ops import RECURRENT
from hetorch.compiler.frontend.writing_ops import WRITING

Found = Symbol | tuple[Symbol | None, ...]
Handler = Callable[[Builder, Call], Found]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        **AFFINE,
        **CONVOLUTION,
        **ELEMENTWISE,
        **MAXIMUM,
        **NORMALISATION,
        **PRODUCT,
        **RECURRENT,
        **WRITING,
        **dict.fromkeys(IDENTITY, identity),
        **dict.fromkeys(MOVEMENT, movement),
        **dict.fromkeys(("cat", "concat", "concatenate"), concatenate),
        "stack": stack,
        "where": where,
        "masked_fill": where,
    }
)
"""By the name of the operation, without overload and without the underscore of in-place forms."""

FINAL = frozenset({"softmax", "_softmax", "log_softmax", "_log_softmax", "argmax", "softmin"})
"""Last operations that stay with the client: they need comparisons or divisions and change no decision."""

CHECKS = frozenset(
    {"_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size"}
)
"""Assertions that torch puts into graphs: they compute nothing."""

SHAPES = frozenset(
    {
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "empty_like",
        "new_empty",
        "zero",
    }
)
"""Constants that take no more than a shape from their argument."""

LIKE = frozenset({"expand_as", "view_as", "reshape_as", "type_as", "to"})
"""Operations that take no more than a shape or a type from their second argument."""

FILLING = frozenset({"fill"})
"""Operations that take no more than a shape from their first argument, if the second is known."""

_CLIENT = "let the client compute it and encrypt what comes out"
_COMPARE = (
    "return the scores and let the client compare after decryption, in the middle of a network split it there; a "
    "function of one number (torch.where(x > 0, ...)) works as a module marked with hetorch.elementwise"
)

NEAREST: Mapping[str, str] = MappingProxyType(
    {
        "embedding": f"{_CLIENT}: an embedding is a look-up by a number that must stay secret",
        "embedding_bag": f"{_CLIENT}: an embedding is a look-up by a number that must stay secret",
        "one_hot": _CLIENT,
        "argmax": "as the last operation it is left to the client",
        "argmin": _COMPARE,
        "topk": _COMPARE,
        "sort": _COMPARE,
        "argsort": _COMPARE,
        "median": "use a mean",
        "nonzero": _COMPARE,
        **dict.fromkeys(
            ("gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"), _COMPARE
        ),
        "masked_select": "use fixed indices",
        **dict.fromkeys(
            ("round", "floor", "ceil", "trunc", "frac", "remainder", "fmod", "floor_divide"),
            "leave the numbers as they are",
        ),
        "heaviside": _COMPARE,
        "masked_scatter": "build a new tensor (torch.cat, torch.where with a fixed mask) instead of writing into one",
        **dict.fromkeys(
            ("cond", "while_loop"), "use torch.where with a fixed condition, or a smooth gate (sigmoid)"
        ),
        **dict.fromkeys(
            ("randn_like", "rand_like", "randint_like", "bernoulli", "normal", "uniform"),
            "leave random numbers out of the forward",
        ),
        "item": "the program must not depend on values of the input",
        "cumprod": "use products",
        "local_response_norm": "use BatchNorm2d, whose statistics are fixed",
        "_native_multi_head_attention": "export nn.MultiheadAttention with need_weights=False",
        "grid_sampler": "use a fixed interpolation",
        "fft_rfft": "use a fixed matrix (nn.Linear)",
    }
)
"""What works instead."""

WORKS = (
    "what works: linear layers, convolutions, pools, normalisations, reshaping, sums, products, attention, and "
    "element-wise functions; hetorch.elementwise marks a module of your own, hetorch.Table makes one from points"
)
