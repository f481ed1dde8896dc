"""The programs that a model passes through on its way to ciphertexts. Nothing here imports torch or the core."""
