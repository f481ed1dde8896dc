"""`hetorch.compile`: from a trained model to a plan."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from hetorch.compiler.costs.machine import load_machine
from hetorch.compiler.frontend.capture import Captured, capture
from hetorch.compiler.frontend.value_sizes import uneven_inputs
from hetorch.compiler.option_help import options_help, signature_with_options
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.pipeline import fuse, run_pipeline
from hetorch.compiler.stages import Stage
from hetorch.errors import CalibrationWarning, InfeasibleError
from hetorch.plan import Plan
from hetorch.progress import Progress, ProgressOption, reporting


def compile(
    model: object,
    calibration_inputs: object,
    *,
    progress: ProgressOption = None,
    **options: Any,
) -> Plan:
    """Compile a trained model so that it runs on encrypted inputs. The model itself is not changed.

    The compiler chooses the degrees of activations, layouts, ring and modulus chain; an option overrules each choice.
    The same model compiled twice with the same machine constants (`hetorch tune`) gives the same bytes, on the same
    versions and numbers of threads of torch and numpy (OPENBLAS_NUM_THREADS): sums of other orders differ in their last
    bits.

    Args:
        model: a `torch.nn.Module`, a fitted scikit-learn estimator, or a result of hetorch.load_model.
        calibration_inputs: typical inputs: a tensor, array or DataFrame (batch, ...), a list of samples, a Dataset or a
            DataLoader, whose first 512 samples are taken, without labels. The ranges of activations and the sizes of
            all numbers are taken from them. A model with several inputs gets a tuple; the input of the plan is then one
            row of all inputs, each flattened, in order (the plan's notes tell where each begins).
        progress: called with the name of each stage as it begins, and the fraction of all work that is done. By default
            a bar on the terminal, and a line in a notebook, for what takes more than a second; elsewhere, as where a
            script's output goes to a file, a line on stderr every minute, or every 10 s with "lines"; False for none.
        **options: fields of CompileOptions, by name. OPTIONS

    Warns with CalibrationWarning if the calibration inputs are very few or all one number, or if another axis may be
    that of the batch.

    Returns:
        The plan. Its report holds the predicted errors, time, memory and sizes of keys.

    Raises:
        InputError: a wrong argument, or inputs that do not fit the model.
        ParameterError: an unknown security level.
        UnsupportedModelError: the model has an operation that cannot be compiled.
        InfeasibleError: no degrees, parameters or keys satisfy the options.
    """
    chosen = CompileOptions(**options)
    with reporting(progress, "compile", even_unseen=True) as tell:
        # Nothing else holds what was captured, so that its matrices are given up once they are fused.
        return compile_captured(_captured(model, calibration_inputs, chosen, tell), chosen, tell)


def _captured(model: object, calibration_inputs: object, chosen: CompileOptions, tell: Progress) -> Captured:
    tell("trace the model", 0.0)
    captured = capture(model, calibration_inputs, chosen.outputs)
    for doubt in captured.doubts:
        warnings.warn(f"{captured.name}: {doubt}", CalibrationWarning, stacklevel=3)
    return captured


def compile_captured(captured: Captured, chosen: CompileOptions, tell: Progress) -> Plan:
    """Compile a network that was captured with the same `outputs`; the result and the errors are those of compile."""
    # A class may have a name that no plan may have; the options check it.
    name = chosen.name or CompileOptions(name=captured.name).name
    assert name is not None
    tell(Stage.FUSE.title, Stage.FUSE.begins)
    captured = replace(captured, program=fuse(captured.program, captured.inputs))
    try:
        return run_pipeline(
            name,
            captured.program,
            captured.inputs,
            captured.outputs,
            chosen,
            load_machine(),
            captured.notes,
            tell,
            captured.interface,
        )
    except InfeasibleError as error:
        raise InfeasibleError(
            "; ".join(filter(None, (str(error), uneven_inputs(captured.inputs))))
        ) from error


compile.__signature__ = signature_with_options(compile, CompileOptions.model_fields)  # type: ignore[attr-defined]
compile.__doc__ = (compile.__doc__ or "").replace("OPTIONS", "\n" + options_help())
