"""The level of every value, and the values that are bootstrapped, for the least time.

`level_graph.py` has the problem in numbers, `choose_levels.py` solves it, `eliminate.py` is the minimisation behind it.
"""
