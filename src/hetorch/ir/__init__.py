"""Layer 1: the programs that a model passes through on its way to ciphertexts. No torch, no engine."""
