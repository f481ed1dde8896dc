"""Whole blobs of evaluation keys, which the library writes piece by piece."""

from __future__ import annotations

from hetorch.engine import codec
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import EvaluationKeys
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet


def fresh_blob(secret: SecretKey, spec: EvaluationKeySpec) -> bytes:
    """Return fresh keys as one blob."""
    return b"".join(codec.dump_evaluation_keys(secret.parameters, spec, secret.switching_keys(spec)))


def blob_of(parameters: ParameterSet, spec: EvaluationKeySpec, keys: EvaluationKeys) -> bytes:
    """Return the blob of keys without links."""
    first = [] if keys.relinearisation is None else [keys.relinearisation]
    ordered = [*first, *(keys.galois(element) for element, _ in spec.galois)]
    return b"".join(codec.dump_evaluation_keys(parameters, spec, ordered))
