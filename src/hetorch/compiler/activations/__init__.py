"""Polynomials in the place of activations, over calibrated or proven ranges."""
