"""Packing: placements of tensors in the slots, and affine maps as diagonals between two placements.

`choose_layouts` is the pass that chooses the placements, and `lower` the one that makes the diagonals.
"""
