"""The search: candidates → evaluation → the choice of ring, chain, layouts and digits, or advice if there is none.

`search.py` is the loop. `candidates.py` enumerates the candidates in the order of preference. `evaluation.py` computes
the cost of a candidate, or the requirement of `feasibility.py` that it misses. `select.py` has the rules by which one
of them wins, and `advice.py` the sentences for the user if none does.

For networks that no ring has levels for, `bootstrapped_choice.py` takes the place of the loop: `place_bootstraps.py`
chooses levels, bootstraps and their parameters, `trials.py` makes choices of them, `bootstrapped_errors.py` predicts
the errors, and `precise_trial.py` takes the best that is precise enough. Where the limits leave none,
`least_limits.py` finds the lowest that would; `bootstrap_bounds.py` tells which parameters are beyond the limits
whatever the program is.
"""
