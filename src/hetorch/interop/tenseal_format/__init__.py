"""TenSEAL 0.3's messages, read and written: contexts, vectors and tensors around SEAL's bytes, and plain tensors.

These are the outer shells; `hetorch.interop.seal_format` reads SEAL's objects inside. The code follows the format and
uses neither TenSEAL nor protobuf. Every refusal is a WireError.
"""

from hetorch.interop.tenseal_format.context import (
    ASYMMETRIC,
    AUTO_MOD_SWITCH,
    AUTO_RELIN,
    AUTO_RESCALE,
    SYMMETRIC,
    ContextMessage,
    PrivateMessage,
)
from hetorch.interop.tenseal_format.plain_tensor import dump_plain_tensor, load_plain_tensor
from hetorch.interop.tenseal_format.tensors import (
    BfvTensorMessage,
    BfvVectorMessage,
    CkksTensorMessage,
    CkksVectorMessage,
)

__all__ = [
    "ASYMMETRIC",
    "AUTO_MOD_SWITCH",
    "AUTO_RELIN",
    "AUTO_RESCALE",
    "SYMMETRIC",
    "BfvTensorMessage",
    "BfvVectorMessage",
    "CkksTensorMessage",
    "CkksVectorMessage",
    "ContextMessage",
    "PrivateMessage",
    "dump_plain_tensor",
    "load_plain_tensor",
]
