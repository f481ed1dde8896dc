"""A plan as a folder: manifest.json (the program, the parameters, the report) and weights.safetensors (the arrays)."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from hetorch.atomic_files import SHARED, TEMPORARY_PREFIX, write_atomically
from hetorch.errors import ParameterError, PlanFormatError, StorageError
from hetorch.plan.contents import PlanContents
from hetorch.plan.evaluation_keys import key_spec_json, read_key_spec
from hetorch.plan.fields import LARGEST, Fields, canonical_json
from hetorch.plan.interface import interface_json, read_interface
from hetorch.plan.manifest import (
    LAYOUT_PREFIX,
    layout_arrays,
    program_json,
    read_program,
    read_report,
    report_json,
)
from hetorch.plan.public import NAME_LENGTH, read_parameters
from hetorch.quantities import size_text
from hetorch.regular_files import read_regular

FORMAT = "hetorch-plan"
VERSION = 3
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
MAX_MANIFEST_BYTES = 1 << 28
"""Size above which a manifest is refused before it is read; a larger bound takes plans of more operations."""

AGAIN = "copy the whole folder again, or compile the model again"
"""The remedy for a damaged plan, in messages."""

P = TypeVar("P", bound=PlanContents)


def plan_bytes(plan: PlanContents) -> tuple[bytes, bytes]:
    """Return the contents of manifest.json and of weights.safetensors; equal plans have equal bytes."""
    arrays: dict[str, NDArray[np.generic]] = {**plan.weights, **layout_arrays(plan.program)}
    tensors = save_tensors({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "name": plan.name,
        "parameters": plan.parameters.to_json(),
        "key_spec": key_spec_json(plan.key_spec),
        "program": program_json(plan.program),
        "input_range": list(plan.input_range),
        "report": report_json(plan.report),
        "interface": interface_json(plan.interface),
        "weights_sha256": hashlib.sha256(tensors).hexdigest(),
    }
    return canonical_json(manifest), tensors


def plan_fingerprint(plan: PlanContents) -> str:
    """Return the SHA-256 (hex) of the hashes of both files."""
    parts = [hashlib.sha256(data).digest() for data in plan_bytes(plan)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def save_plan(plan: PlanContents, path: str | os.PathLike[str]) -> None:
    """Write the folder `path`, which is made if it is not there; a plan in it is replaced. ~ is the home folder.

    Raises:
        StorageError: the folder cannot be written, or has other files (a key vault, say) and no plan.
    """
    folder = _expanded(path)
    manifest, tensors = plan_bytes(plan)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = (MANIFEST, WEIGHTS, TEMPORARY_PREFIX)
        foreign = sorted(file.name for file in folder.iterdir() if not file.name.startswith(ours))
        if foreign and not (folder / MANIFEST).exists():
            raise StorageError(
                f"{folder} has other files ({foreign[0]!r}) and no plan; save it to a folder of its own"
            )
        write_atomically(folder / WEIGHTS, tensors, mode=SHARED)
        write_atomically(folder / MANIFEST, manifest, mode=SHARED)
    except OSError as error:
        raise StorageError(f"cannot write the plan to {folder}: {error.strerror}") from None


def load_plan(kind: type[P], path: str | os.PathLike[str]) -> P:
    """Read a folder that save_plan wrote, as a `kind`.

    Raises:
        StorageError: there is no plan folder at `path`, or a file in it cannot be read.
        PlanFormatError: the files are not one whole and consistent plan, or its parameters are not secure.
    """
    folder = _expanded(path)
    manifest, tensors = _read_files(folder)
    with _damage_of(folder):
        fields = Fields.parse(manifest, MANIFEST, PlanFormatError)
        fields.take("format")
        fields.integer("version", 0, 1 << 31)
    fields.check_format(
        f"the plan in {folder}",
        FORMAT,
        VERSION,
        older="compile the model again with this hetorch",
        newer="update hetorch here to the version that compiled it, or compile the model again",
    )
    with _damage_of(folder):
        try:
            return _read_plan(kind, fields, tensors)
        except ParameterError as error:
            raise PlanFormatError(str(error)) from error


def _read_plan(kind: type[P], fields: Fields, tensors: bytes) -> P:
    digest = fields.text("weights_sha256", 64)
    if hashlib.sha256(tensors).hexdigest() != digest:
        raise PlanFormatError(f"{WEIGHTS} does not belong to {MANIFEST}: its SHA-256 is not {digest[:16]}...")
    try:
        arrays: dict[str, NDArray[np.generic]] = dict(load_tensors(tensors))
    except (SafetensorError, ValueError) as error:
        raise PlanFormatError(f"{WEIGHTS} cannot be read: {str(error)[:200]}") from error
    span = fields.numbers("input_range", -LARGEST, LARGEST, 2)
    if len(span) != 2:
        raise fields.error(f"input_range needs two numbers, got {len(span)}")
    parameters = read_parameters(fields)
    program = read_program(fields.child("program"), arrays)
    plan = kind(
        name=fields.text("name", NAME_LENGTH),
        program=program,
        parameters=parameters,
        key_spec=read_key_spec(fields.child("key_spec"), parameters),
        weights={k: v for k, v in arrays.items() if not k.startswith(LAYOUT_PREFIX)},
        input_range=(min(span), max(span)),
        report=read_report(fields.child("report")),
        interface=read_interface(
            fields.child("interface"), program.input_layout.shape, program.output_layout.shape
        ),
    )
    fields.done()
    return plan


def _read_files(folder: Path) -> tuple[bytes, bytes]:
    if not folder.exists():
        raise StorageError(f"there is no plan folder {folder}; plan.save and `hetorch compile -o` write one")
    if not folder.is_dir():
        raise StorageError(
            f"{folder} is no plan folder but a file; plan.save and `hetorch compile -o` make a plan of a model"
        )
    if not (folder / MANIFEST).exists():
        raise StorageError(f"{folder} is no plan folder: it has no {MANIFEST}")
    try:
        if (folder / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
            raise PlanFormatError(f"{folder / MANIFEST} is larger than {size_text(MAX_MANIFEST_BYTES)}")
        return read_regular(folder / MANIFEST), read_regular(folder / WEIGHTS)
    except FileNotFoundError:
        raise PlanFormatError(f"the plan in {folder} is damaged: it has no {WEIGHTS}; {AGAIN}") from None
    except OSError as error:
        raise StorageError(f"cannot read the plan in {folder}: {error.filename}: {error.strerror}") from None


@contextlib.contextmanager
def _damage_of(folder: Path) -> Iterator[None]:
    """Name the folder in a PlanFormatError of the block."""
    try:
        yield
    except PlanFormatError as error:
        raise PlanFormatError(f"the plan in {folder} is damaged: {error}; {AGAIN}") from error


def _expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with its ~ expanded; StorageError if that user has no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise StorageError(f"the plan folder {path} cannot be found: {error}; give its whole path") from None
