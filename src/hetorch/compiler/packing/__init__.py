"""Packing: placements of tensors in the slots, and affine maps as diagonals between two placements.

The pass `choose_layouts` chooses the placements, and the pass `lower` makes the diagonals.
"""
