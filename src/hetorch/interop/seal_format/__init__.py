"""SEAL 4's serialisation, read and written: parameters, plaintexts, ciphertexts and keys, to and from hetorch's
objects.

Written from the format itself, without SEAL. The bytes may come from a stranger: every length follows from the
parameters or is bounded before anything of that size is allocated, and every refusal is a WireError. The secret key is
in `secret_key`, which no server may import and this package does not.
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
