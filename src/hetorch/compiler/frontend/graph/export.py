"""The export of a module with torch.export."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import torch

from hetorch.compiler.frontend.graph.nodes import writes_into_parts
from hetorch.compiler.frontend.graph.user_code import error_place, first_line
from hetorch.errors import UnsupportedModelError
from hetorch.ir.analysis import Analysis


def export(model: torch.nn.Module, example: torch.Tensor, name: str) -> torch.export.ExportedProgram:
    """Return the graph that torch.export traces on `example`, a batch of one.

    Raises:
        UnsupportedModelError: the module cannot be traced; its analysis has no rows.
    """
    logger = logging.getLogger("torch.export")
    # torch logs the graph and a traceback before it raises; the error below says the same in one sentence.
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        quiet = io.StringIO()
        with (
            warnings.catch_warnings(),
            torch.no_grad(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
        ):
            warnings.simplefilter("ignore")
            exported = torch.export.export(model, (example,), strict=False)
            # Without tables no operation is decomposed, but a write into a part of a tensor becomes a new tensor.
            if writes_into_parts(exported.graph):
                exported = exported.run_decompositions({})
            # Outputs that were not asked for are computed by nothing else.
            exported.graph.eliminate_dead_code()
            return exported
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        problem = (
            f"{name} cannot be traced{error_place(error)}: its forward must not branch on the values of its input or "
            "take them out of torch (.numpy(), .item(), .tolist()): use torch.where, a smooth gate such as sigmoid, or "
            f"split the model there and let the client decide (torch.export says: {first_line(error)})"
        )
        raise UnsupportedModelError(problem, Analysis(name, (), problem)) from error
    finally:
        logging.disable(disabled)
