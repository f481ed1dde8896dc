"""`hetorch.train.prepare`: a copy of a model whose activations learn to be polynomials; its pools are averages."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hetorch.compiler.frontend.graph.frozen_copy import computed_tensors
from hetorch.compiler.frontend.graph.user_code import described, error_place, first_line
from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.frontend.sources.calibration_inputs import read_calibration_inputs
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.train.average_pools import average_pool, is_max_pool
from hetorch.train.place import Place, place_of_function, place_of_module
from hetorch.train.poly_act import DEGREES, PolyAct
from hetorch.train.poly_acts import REPLACES
from hetorch.train.recorded_range import RecordedRange
from hetorch.train.rewrite import rewritten
from hetorch.train.training_data import as_input, model_type
from hetorch.train.watch import Event, Watched, watch

EXAMPLES = 8
"""Number of example inputs that the model is run on. They tell numbers of channels, so a few do."""
AGREEMENT = 1e-3
"""Largest difference between the outputs of the copy and of the model, relative to the largest output. Sums in another
order differ by 1e-6."""
DEGREE = 4
"""Degree of the activations that a mapping of degrees leaves out."""

Degree = int | Mapping[str, int | None]
"""The degree of all activations, or of each by its name in the prepared model; None keeps an activation as it is."""


def prepare(
    model: nn.Module,
    example_inputs: object,
    *,
    degree: Degree = DEGREE,
    target: str | Callable[[Tensor], Tensor] | None = None,
    pool: Literal["average", "keep"] = "average",
) -> nn.Module:
    """Return a copy of a model in which each activation is a PolyAct and each max pool an average pool.

    Activations are found as modules and as functions in a forward (F.relu, torch.sigmoid, x.tanh()); each call gets a
    PolyAct of its own, which computes the same function until hetorch.train.convert. A module that calls them as
    functions, or one several times, becomes a torch.fx.GraphModule with the same parameters by the same names; all
    others keep their class. A softmax, and a sigmoid at the output, stay. `hetorch.train.replacements` tells what was
    replaced.

    Args:
        model: the trained model, which is not changed.
        example_inputs: some inputs, in the forms that hetorch.compile takes; their channels are counted.
        degree: degree of the polynomials: 2, 4 or 8, which take one, two and at most four levels. Or the degrees of
            some activations by name, such as {"layer1.relu": 2, "head.act": None}: None keeps the activation, which
            hetorch.compile then approximates, and those left out get 4. hetorch.train.replacements tells the names,
            and hetorch.train.search chooses degrees.
        target: the function that all activations become: "relu", "silu", "gelu", or one of a tensor, element by
            element. By default each keeps its own.
        pool: "average" for average pools with the windows of the max pools, which are affine; "keep" for no change.

    Returns:
        The copy, in the mode of the model.

    Raises:
        InputError: a wrong argument; the model does not take the inputs, or has nothing to be replaced.
        UnsupportedModelError: activations are called in a forward that torch.fx cannot trace.
    """
    if pool not in ("average", "keep"):
        raise InputError(f'pool must be "average" or "keep", got {pool!r}')
    degrees = _degrees(degree)
    PolyAct(DEGREE, "relu" if target is None else target)  # checks the target
    original = as_module(model)
    inputs = _examples(original, example_inputs)
    outputs = _outputs(original, inputs)
    prepared = _with_places(copied(original))
    prepared, seen = _with_separate_places(prepared, inputs)
    _check_same(original, inputs, outputs, seen.outputs)
    found_pool = pool == "average" and _average(prepared)
    places = _restore_exact(prepared, seen)
    if not places and not found_pool:
        raise _nothing_to_replace(original)
    paths = {place: path for path, place in prepared.named_modules() if isinstance(place, Place)}
    _check_names(degrees, [paths[place] for _, _, place in places])
    weights = model_type(original)
    for parent, name, place in places:
        own = degrees.get(paths[place], DEGREE) if isinstance(degrees, Mapping) else degrees
        if own is None:
            setattr(parent, name, place.originals[0].train(place.training))
            continue
        act = PolyAct(own, target or place.target, seen.shapes[place][seen.axes[place]], seen.axes[place])
        setattr(act, REPLACES, place.before)
        setattr(parent, name, act.to(weights.device, weights.dtype).train(place.training))
    return prepared


def _degrees(degree: object) -> Degree:
    """Return `degree` if it is one; InputError otherwise."""
    if isinstance(degree, Mapping):
        wrong = [(name, own) for name, own in degree.items() if own is not None and not _is_degree(own)]
        if wrong:
            raise InputError(
                f"degree: that of {wrong[0][0]!r} must be 2, 4, 8, or None to keep it, got {wrong[0][1]!r}"
            )
        return degree
    if not isinstance(degree, int) or not _is_degree(degree):
        raise InputError(
            f"degree must be 2, 4 or 8, or a mapping of these by the names of activations, got {degree!r}"
        )
    return degree


def _is_degree(degree: object) -> bool:
    return isinstance(degree, int) and degree in DEGREES


def _check_names(degrees: Degree, names: list[str]) -> None:
    """Raise InputError for a name that is no activation's, and if none of the activations becomes a polynomial."""
    if not isinstance(degrees, Mapping):
        return
    for name in degrees:
        if name not in names:
            raise InputError(
                f"degree: the model has no activation {name!r} that can become a polynomial; those that can: "
                f"{', '.join(names) or 'none'}"
            )
    if names and all(degrees.get(name, DEGREE) is None for name in names):
        raise InputError("degree keeps all activations (None); give at least one of them 2, 4 or 8")


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a model; UnsupportedModelError if it cannot be copied."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return copy.deepcopy(model, computed_tensors(model))
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be copied: {first_line(error)}"
        ) from error


def _examples(model: nn.Module, data: object) -> tuple[Any, ...]:
    """Return a few of the example inputs as tensors on the model's device and in its type."""
    inputs, _ = read_calibration_inputs(data, model)
    tensors = []
    for part in inputs if isinstance(inputs, tuple) else (inputs,):
        tensor = torch.as_tensor(part)[:EXAMPLES]
        if tensor.dim() < 2 or not len(tensor):
            raise InputError(
                f"example_inputs must be (batch, ...) with at least one sample, got {described(part)}"
            )
        tensors.append(as_input(tensor, model))
    return tuple(tensors)


def _outputs(model: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    try:
        return watch(model, inputs).outputs
    except Exception as error:
        shapes = " and ".join(str(tuple(part.shape)) for part in inputs)
        raise InputError(
            f"{type(model).__name__} does not accept the example inputs of shape {shapes}{error_place(error)}: "
            f"{first_line(error)}; give a batch (batch, ...) such as it is trained on"
        ) from error


def _with_places(model: nn.Module) -> nn.Module:
    """Put a Place in for each activation that is a module, or a function that is an attribute of a module."""
    if is_max_pool(model) or place_of_module(model) is not None:
        model = nn.Sequential(model).train(model.training)
    for parent in list(_parents(model)):
        for name, child in list(parent._modules.items()):
            place = None if child is None or isinstance(child, Place) else place_of_module(child)
            if place is not None and child is not None:
                setattr(parent, name, place.train(child.training))
        for name, value in list(vars(parent).items()):
            place = place_of_function(value)
            if place is not None:
                delattr(parent, name)
                setattr(parent, name, place.train(parent.training))
                if hasattr(parent, "activation_relu_or_gelu"):  # the fast path of nn.TransformerEncoderLayer
                    vars(parent)["activation_relu_or_gelu"] = 0
    return model


def _parents(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of a model without those inside activations."""
    if isinstance(model, RecordedRange) or place_of_module(model) is not None:
        return
    yield model
    for child in model.children():
        yield from _parents(child)


def _with_separate_places(model: nn.Module, inputs: tuple[Any, ...]) -> tuple[nn.Module, Watched]:
    """Rewrite the modules that call activations as functions, or one activation several times.

    Returns:
        The model, in which each place is called at most once, and what a run of it showed.

    Raises:
        UnsupportedModelError: a forward cannot be rewritten.
    """
    done: set[nn.Module] = set()
    while True:
        seen = watch(model, inputs)
        wrong = [event for event in seen.events if event.place is None or seen.calls[event.place] > 1]
        if not wrong:
            return model, seen
        groups: dict[nn.Module, list[Event]] = {}
        for event in wrong:
            once = max(depth for depth, caller in enumerate(event.callers) if seen.calls[caller] == 1)
            groups.setdefault(event.callers[once], []).append(event)
        paths = {part: path for path, part in reversed(list(model.named_modules()))}
        for owner, events in groups.items():
            calls = ", ".join(dict.fromkeys(event.name or event.place.before for event in events))  # type: ignore[union-attr]
            if owner in done:
                raise UnsupportedModelError(
                    f"{paths[owner] or type(owner).__name__} calls {calls} where torch.fx does not see it; write each "
                    "as a module (self.act = nn.ReLU() in __init__, self.act(x) in forward), one for each call"
                )
            inlined = {
                caller for event in events for caller in event.callers[event.callers.index(owner) + 1 :]
            }
            new = rewritten(owner, inlined, paths[owner], calls)
            done.add(new)
            model = _exchanged(model, owner, new)


def _exchanged(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put `new` wherever `model` has `old`, and return the model."""
    if model is old:
        return new
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)
    return model


def _check_same(
    model: nn.Module, inputs: tuple[Any, ...], expected: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> None:
    """Raise UnsupportedModelError if the copy computes something else than the model, which is the same at each run."""
    if _are_near(expected, outputs) or not _are_near(expected, watch(model, inputs).outputs):
        return
    raise UnsupportedModelError(
        f"{type(model).__name__} reads the input of an activation that works in place again, after the activation has "
        "changed it: write the result out (x = relu(x)), and inplace=False"
    )


def _are_near(expected: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> bool:
    return len(expected) == len(outputs) and all(
        torch.allclose(one, other, rtol=0.0, atol=AGREEMENT * float(one.abs().max()), equal_nan=True)
        for one, other in zip(expected, outputs, strict=True)
        if one.is_floating_point() and one.numel()
    )


def _average(model: nn.Module) -> bool:
    """Replace the max pools; return True if there were any."""
    paths = {part: path for path, part in reversed(list(model.named_modules()))}
    any_pool = False
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and is_max_pool(child):
                average = average_pool(child, paths[child])
                setattr(average, REPLACES, repr(child).replace(", dilation=1, ceil_mode=False", ""))
                setattr(parent, name, average.train(child.training))
                any_pool = True
    return any_pool


def _restore_exact(model: nn.Module, seen: Watched) -> list[tuple[nn.Module, str, Place]]:
    """Put back the activations that did not run, and the links at the output; return where the other places are."""
    places = []
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if not isinstance(child, Place):
                continue
            if not seen.calls[child] or (child.link and child in seen.at_output):
                setattr(parent, name, child.originals[0].train(child.training))
            else:
                places.append((parent, name, child))
    return places


def _nothing_to_replace(model: nn.Module) -> InputError:
    name = type(model).__name__
    if any(isinstance(part, RecordedRange) for part in model.modules()):
        return InputError(f"{name} is prepared already: train it with hetorch.train.penalty, then convert it")
    return InputError(
        f"{name} has no activation and no max pool that a polynomial could replace: hetorch.compile takes it as it is"
    )
