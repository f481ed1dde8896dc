"""The table of handlers, and the operations that the walk treats without one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hetorch.compiler.frontend.operations.affine import AFFINE
from hetorch.compiler.frontend.operations.builder import Handler
from hetorch.compiler.frontend.operations.convolution import CONVOLUTION
from hetorch.compiler.frontend.operations.elementwise import ELEMENTWISE
from hetorch.compiler.frontend.operations.max_pool import MAX_POOLS
from hetorch.compiler.frontend.operations.maximum import MAXIMUM
from hetorch.compiler.frontend.operations.movement import MOVEMENT
from hetorch.compiler.frontend.operations.normalisation import NORMALISATION
from hetorch.compiler.frontend.operations.product import PRODUCT
from hetorch.compiler.frontend.operations.recurrent import RECURRENT
from hetorch.compiler.frontend.operations.writing import WRITING
from hetorch.plan.output_functions import FunctionName

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        **AFFINE,
        **CONVOLUTION,
        **ELEMENTWISE,
        **MAX_POOLS,
        **MAXIMUM,
        **NORMALISATION,
        **PRODUCT,
        **RECURRENT,
        **WRITING,
        **MOVEMENT,
    }
)
"""Handlers by the operation's name, without overload and without the underscore of in-place forms."""

FINAL: Mapping[str, FunctionName] = MappingProxyType(
    {
        **dict.fromkeys(("softmax", "_softmax"), "softmax"),
        **dict.fromkeys(("log_softmax", "_log_softmax"), "log_softmax"),
        "softmin": "softmin",
        "argmax": "argmax",
        **dict.fromkeys(("sigmoid", "special_expit"), "sigmoid"),
        "log_sigmoid": "log_sigmoid",
    }
)
"""Operations that are left to the client at the end, with the client's names: on decrypted numbers they are exact and
take no levels."""

CHECKS = frozenset(
    {"_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size"}
)
"""Assertions that torch inserts into graphs; they compute nothing."""

SHAPES = frozenset(
    {
        *("zeros_like", "ones_like", "full_like", "empty_like", "zero"),
        *("new_zeros", "new_ones", "new_full", "new_empty"),
    }
)
"""Constants that read no more than the shape of their argument."""

LIKE = frozenset({"expand_as", "view_as", "reshape_as", "type_as", "to"})
"""Operations that read no more than the shape or the type of their second argument."""

FILLING = frozenset({"fill"})
"""Operations that read no more than the shape of their first argument, if the second is known."""
