"""What the compiler tells about a plan: one row a layer, and what it cost in accuracy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the compiled network.

    `level` is the level of its result and `scale_bits` log2 of the result's scale. `diagonals` counts plaintext
    products, `rotations` key switches by rotation, `multiplications` products of ciphertexts. `predicted_error`
    bounds (hetorch.compiler.noise) what the encryption noise made in this layer adds to the network's output,
    relative to the range of the outputs. `predicted_seconds` is of one run; `ciphertexts` those of the result;
    `weight_bytes` the memory of the encoded weights, `key_bytes` (on the wire) the keys that the layer uses, which
    others may use too. `dense_diagonals` is how many there would be if no weight were zero (0: not counted).
    """

    name: str
    kind: str
    level: int
    scale_bits: float
    diagonals: int
    rotations: int
    multiplications: int
    predicted_error: float
    predicted_seconds: float = 0.0
    ciphertexts: int = 1
    weight_bytes: int = 0
    key_bytes: int = 0
    dense_diagonals: int = 0


@dataclass(frozen=True, slots=True)
class PlanReport:
    """`predicted_error`: bound (hetorch.compiler.noise) of the whole encryption error of an output, relative to
    `output_range`, which is max - min of all outputs on the calibration inputs. `approximation_error`: the largest
    difference between the outputs of the polynomial network and of the model on the calibration inputs, relative to
    the same range. `agreement`: share of calibration inputs with the same argmax (1.0 for a single output).
    `predicted_seconds`: of one run of up to `batch_size` samples, by the cost model with the constants of `machine`
    ("default", or "tuned" and a hash) on `threads` threads. `memory_bytes`: the predicted peak of a run, with keys and
    encoded weights. `notes` are sentences for the user.

    Printed it is a table, and called (`plan.report()`) it prints itself, one row a layer:

        level            rescalings left of its result; the input has the most, the output the fewest
        scale            of its result: numbers are kept as integers, multiplied by it
        ciphertexts      that hold its result
        diagonals        of its matrix on slots that are not zero: one product by a plaintext each
        zero             diagonals that are saved because weights are zero
        rotations        of ciphertexts, each a key switch: what takes most of the time
        time             predicted, of one run
        weights, keys    memory of the encoded weights; bytes of the evaluation keys it uses, as they are uploaded
        predicted error  that its encryption noise adds to the outputs, of their range
    """

    layers: tuple[LayerReport, ...]
    predicted_error: float
    approximation_error: float
    agreement: float
    output_range: float
    calibration_samples: int
    predicted_seconds: float
    notes: tuple[str, ...]
    machine: str = "default"
    threads: int = 1
    memory_bytes: int = 0

    def __str__(self) -> str:
        from hetorch.plan.table import render_report  # which knows the classes of this file

        return render_report(self)

    def __call__(self) -> None:
        """Print the table."""
        print(self)
