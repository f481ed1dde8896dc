"""The level of every value, and the values that are bootstrapped, for the least time.

`level_graph.py` has the problem in numbers, `choose_levels.py` solves it, `eliminate.py` is the minimisation behind it.
`more_levels.py` asks for a deeper network where a ring is too shallow, and `sine_shortfall.py` tells what a plan misses
because of its bootstraps.
"""
