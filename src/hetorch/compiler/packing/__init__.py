"""Where tensors lie in the slots, and affine maps as diagonals between two such placements."""
