"""Activations become polynomials over calibrated or proven ranges.

`approximate_activations` is the pass. `search_degrees` finds the degrees: `error_curves` predicts the error of each
degree of each activation, `degree_path` puts the choices in order, and `evaluate_degrees` runs one of them. It takes
the range of an activation from `domains`, its polynomial from `replace_activation`, and the layers that make up for its
error from `compensate_layers`. `raise_degrees` follows where the search saw only a part of the inputs. `shortfall`
tells what a network misses.
"""
