"""The wishes of a user of `hetorch predict`, and the output of the predictions."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hetorch.errors import InputError
from hetorch.quantities import count_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hetorch.client import Client, Sharing
    from hetorch.plan import PublicPlan

    Array = NDArray[np.float64]
    AnyArray = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Wish:
    """The options that say which output is wanted: the file, the sharing, probabilities or labels."""

    output: Path | None
    for_sharing: int | None
    error_bound: float | None
    proba: bool
    labels: bool

    def check(self) -> None:
        """Raise InputError for options that contradict each other, and for a file that cannot be written."""
        from hetorch.cli.arrays import check_output
        from hetorch.cli.output_paths import check_file

        if self.output is not None:
            check_output(self.output)
        check_file(self.output)
        if self.for_sharing is None and self.error_bound is not None:
            raise InputError("--error-bound belongs to --for-sharing, which is missing")
        if self.proba and self.labels:
            raise InputError("give --proba or --labels, not both")
        _ = self.sharing

    @property
    def sharing(self) -> Sharing | None:
        """The sharing of the results; None if they stay with the user. InputError for a bound that is none."""
        from hetorch.client import Sharing

        if self.for_sharing is None:
            return None
        return Sharing(queries=self.for_sharing, error_bound=self.error_bound)

    def check_plan(self, plan: PublicPlan) -> None:
        """Raise InputError, before anything is computed, for probabilities or labels that the plan does not have, and
        for a file that does not hold the outputs."""
        from hetorch.cli.arrays import check_output

        if self.proba:
            plan.interface.check_probabilities()
        if self.labels:
            plan.interface.check_classes()
        if self.output is not None:
            several = bool(plan.interface.heads) or (self.proba and len(plan.interface.classes) > 1)
            check_output(self.output, several=several)

    def outputs(self, plan: PublicPlan, results: Array) -> AnyArray | dict[str, AnyArray]:
        """Return what the user asked for: one array, or several by name; those of a tuple are called output_0, ..."""
        if self.labels:
            return plan.interface.labels(results)
        outputs = plan.interface.probabilities(results) if self.proba else plan.named(results)
        if isinstance(outputs, list | tuple):
            heads = plan.interface.heads
            names = [head.name for head in heads] or [f"output_{i}" for i in range(len(outputs))]
            return dict(zip(names, outputs, strict=True))
        named: AnyArray | dict[str, AnyArray] = outputs
        return named


@dataclass(frozen=True, slots=True)
class Predicted:
    """The outputs for samples, from a client that may be closed."""

    wish: Wish
    client: Client
    samples: Array
    outputs: AnyArray | dict[str, AnyArray]

    @property
    def noise(self) -> float | None:
        """The standard deviation of the noise that was added for sharing; None if there is none."""
        from hetorch.client.sharing_noise import sharing_noise

        sharing = self.wish.sharing
        return None if sharing is None else sharing_noise(self.client.plan, sharing, len(self.samples))

    def save(self) -> None:
        """Write the file of outputs, if one is wanted."""
        from hetorch.cli.arrays import save_arrays

        if self.wish.output is not None:
            save_arrays(self.wish.output, self.outputs)

    def print_text(self) -> None:
        """Print the outputs, or the path of their file."""
        import numpy as np

        outputs, noise = self.outputs, self.noise
        if noise is not None:
            typer.echo(
                f"noise of standard deviation {noise:.3g} was added to each output for sharing", err=True
            )
        if self.wish.output is not None:
            count = count_text(len(self.samples), "encrypted prediction")
            print(f"{count} in {self.wish.output}, shape {self._shapes()}")
            return
        for one in self.client.plan.interface.classes if self.wish.proba else ():
            print(f"probabilities of {', '.join(map(str, one.labels))}:")
        with np.printoptions(precision=6, suppress=True, threshold=1_000_000):
            for line in [outputs] if not isinstance(outputs, dict) else outputs.items():
                print(*line, sep=": ") if isinstance(line, tuple) else print(line)

    def _shapes(self) -> object:
        if isinstance(self.outputs, dict):
            return ", ".join(f"{name} {array.shape}" for name, array in self.outputs.items())
        return self.outputs.shape

    def print_json(self, seconds: float) -> None:
        """Print the outputs as JSON, with what is known of the predictions; `seconds`: the time of all of them."""
        import numpy as np

        from hetorch.plan.inputs import beyond_range

        several = isinstance(self.outputs, dict)
        parts = self.outputs.items() if isinstance(self.outputs, dict) else [("", self.outputs)]
        shapes = {name: list(array.shape) for name, array in parts}
        beyond = beyond_range(self.samples, self.client.plan.input_range)
        document: dict[str, object] = {
            "shape": shapes if several else shapes[""],
            "seconds": seconds,
            "timings": [dataclasses.asdict(t) for t in self.client.timings],
            "out_of_range": np.flatnonzero(beyond).tolist(),
        }
        if self.noise is not None:
            document["sharing_noise_std"] = self.noise
        if self.client.plan.interface.classes:
            document["classes"] = self.client.classes
        if self.wish.output is not None:
            document["output"] = str(self.wish.output)
        else:
            values = {name: array.tolist() for name, array in parts}
            document["outputs"] = values if several else values[""]
        print(json.dumps(document))
