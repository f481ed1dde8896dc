"""Activations become polynomials over calibrated or proven ranges.

`approximate_activations` is the pass. It asks `search_degrees` for the degrees; each attempt of the search is made by
`evaluate_degrees`, which takes the range of an activation from `domains` and its polynomial from `replace_activation`.
"""
