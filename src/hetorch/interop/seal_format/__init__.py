"""SEAL 4's serialisation of parameters, plaintexts, ciphertexts and keys, to and from hetorch's objects.

The code follows the format itself and does not use SEAL. The bytes may come from a stranger: every length follows from
the parameters or is bounded before anything of that size is allocated, and every refusal is a WireError. Secret keys
are read and written in `secret_key`, which no server may import and this `__init__` does not.

Functions named load_ and dump_ read and write one kind of object. Their `compression` is one of COMPRESSIONS.
"""

from hetorch.interop.seal_format.ciphertext import dump_ciphertext, load_ciphertext
from hetorch.interop.seal_format.compression import COMPRESSIONS, DEFAULT_COMPRESSION
from hetorch.interop.seal_format.parameters import SealParameters
from hetorch.interop.seal_format.plaintext import dump_plaintext, load_plaintext
from hetorch.interop.seal_format.public_key import SealPublicKey, dump_public_key, load_public_key
from hetorch.interop.seal_format.switching_keys import (
    dump_galois_keys,
    dump_relin_keys,
    load_evaluation_keys,
    load_galois_keys,
    load_relin_keys,
)

__all__ = [
    "COMPRESSIONS",
    "DEFAULT_COMPRESSION",
    "SealParameters",
    "SealPublicKey",
    "dump_ciphertext",
    "dump_galois_keys",
    "dump_plaintext",
    "dump_public_key",
    "dump_relin_keys",
    "load_ciphertext",
    "load_evaluation_keys",
    "load_galois_keys",
    "load_plaintext",
    "load_public_key",
    "load_relin_keys",
]
