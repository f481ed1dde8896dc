"""Pruning: weights that share a diagonal of the compiled layout become zero together, so that the diagonal goes."""
