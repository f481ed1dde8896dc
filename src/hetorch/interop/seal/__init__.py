"""The engine that runs plans on SEAL itself, through seal-python: a reference, and a fallback. Needs
`hetorch[seal]`."""

from hetorch.interop.seal.engine import SealEngine
from hetorch.interop.seal.objects import SealCiphertext, SealPlaintext, SealTransform

__all__ = ["SealCiphertext", "SealEngine", "SealPlaintext", "SealTransform"]
