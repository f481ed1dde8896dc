"""The search: candidates → evaluation → the choice of ring, chain, layouts and digits, or advice why there is none.

`search.py` is the loop, `candidates.py` enumerates in the order of preference, `evaluation.py` tells what a candidate
costs or which requirement of `feasibility.py` it misses, `select.py` has the rules by which one of them wins, and
`advice.py` the sentences for the user where none does.
"""
