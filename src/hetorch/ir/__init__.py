"""Layer 1: the two programs of a model, on tensors and on ciphertexts. Nothing here imports torch or the core."""
