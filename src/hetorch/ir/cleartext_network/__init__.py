"""The network that a plan computes, derived from its ciphertext operations: batches of numbers in place of slots."""

from __future__ import annotations

from hetorch.ir.cleartext_network.derive import derive
from hetorch.ir.cleartext_network.network import CleartextNetwork

__all__ = ["CleartextNetwork", "derive"]
