"""Passes: each rewrites a TensorProgram, or assigns something to each of its values; one pass a file."""
