"""Stage: choose layouts, levels, scales and parameters by evaluating candidates.

*Assumes* variants of one program (hetorch.compiler.search.variants).
*Ensures* a choice that is secure and precise enough: among those, the fastest on the smallest ring that has one.
"""

from __future__ import annotations

from collections.abc import Callable

from hetorch.compiler.search.candidates import candidates
from hetorch.compiler.search.evaluation import Choice, evaluate
from hetorch.compiler.search.pack import Memo
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.select import Ledger
from hetorch.params.parameter_set import insecure_trials


def search(request: Request, begun: Callable[[float], None] | None = None) -> Choice:
    """Return the winner of all candidates.

    Args:
        request: the variants of the program, and the requirements on a choice.
        begun: called with the fraction of the variants that is done, whenever the next one begins.

    Warns with InsecureParametersWarning, once, if the parameters of the winner protect nothing.

    Raises:
        InfeasibleError: no candidate satisfies the request.
    """
    ledger, memo, variant = Ledger(request), Memo(), -1
    with insecure_trials():
        for candidate in candidates(request, ledger):
            if candidate.variant != variant:
                variant, memo = candidate.variant, Memo()
                if begun is not None:
                    begun(variant / len(request.variants))
            ledger.add(evaluate(candidate, request, memo))
    winner = ledger.winner()
    winner.parameters.warn_if_insecure()
    return winner
