"""A context's bytes to and from the state of its scheme."""

from __future__ import annotations

import os

from hetorch.errors import WireError
from hetorch.interop.seal_format import SealParameters
from hetorch.interop.tenseal_format import ContextMessage
from hetorch.tenseal.bfv import serialisation as bfv
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.ckks import serialisation as ckks
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.scheme.arguments import whole_number
from hetorch.tenseal.scheme.enums import SCHEME_TYPE
from hetorch.tenseal.scheme.errors import incompatible, refusal

State = CkksContext | BfvContext


def load_state(data: object, n_threads: int | None) -> State:
    """Return the state of a serialised context.

    TypeError unless `data` is bytes, ValueError if these are not a context.
    """
    threads = whole_number(n_threads, "deserialize", 64) if n_threads else os.cpu_count() or 1
    if isinstance(data, str):
        raise refusal(ValueError, "failed to parse stream", "data must be bytes, got a str")
    if not isinstance(data, bytes | bytearray):
        raise incompatible("deserialize", f"data must be bytes, got {type(data).__name__}")
    try:
        return _read(bytes(data), threads)
    except WireError as error:
        raise refusal(ValueError, "failed to parse stream", str(error)) from None


def _read(data: bytes, threads: int) -> State:
    message = ContextMessage.load(data)
    seal = SealParameters.load(bytes(message.encryption_parameters))
    if seal.scheme == SCHEME_TYPE.BFV.value:
        return bfv.load_context(message, seal, threads)
    if seal.scheme != SCHEME_TYPE.CKKS.value:
        raise WireError(f"the context is of scheme {seal.scheme}, expected CKKS (2) or BFV (1)")
    return ckks.load_context(message, seal, threads)


def dump_state(
    state: State, save_public_key: bool, save_secret_key: bool, save_galois_keys: bool, save_relin_keys: bool
) -> bytes:
    """Return TenSEAL's bytes of a context with those of the keys asked for that it has."""
    keys = (save_public_key, save_secret_key, save_galois_keys, save_relin_keys)
    if isinstance(state, CkksContext):
        return ckks.dump_context(state, *keys)
    return bfv.dump_context(state, *keys)
