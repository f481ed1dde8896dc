"""The constants of a machine for the cost model: seconds per limb of one operation, by ring degree.

They are stored as JSON in the user's cache folder. A plan has the name of the constants with which it was compiled.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from hetorch.atomic_files import SHARED, write_atomically
from hetorch.errors import InputError
from hetorch.plan.fields import Fields, canonical_json
from hetorch.quantities import size_text

FORMAT, VERSION = "hetorch-tuning", 3
MAX_BYTES = 1 << 20
"""Size in bytes above which a file of constants is refused before it is parsed; ours take a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds per limb (`..._limb`, and operations without key switching) or per pair of digit and limb (the others).

    `product`: a diagonal times both halves, accumulated. `transform`: the transform of a diagonal that is kept as
    coefficients, in addition. `constant`: the same for one number in place of a diagonal.
    `pair`: a product of two ciphertexts, accumulated before relinearisation. `baby`: a hoisted rotation inside a
    transform; `giant`: a rotation with its own decomposition and division by P; `hoist`: the decomposition that the
    baby steps share; `down`: the work that a transform does once for each output. `rotate`, `multiply` (with
    relinearisation), `rescale` and `add` are operations by themselves.
    """

    product: float
    transform: float
    constant: float
    baby: float
    baby_limb: float
    giant: float
    giant_limb: float
    hoist: float
    down: float
    rotate: float
    rotate_limb: float
    multiply: float
    multiply_limb: float
    pair: float
    rescale: float
    add: float


@dataclass(frozen=True, slots=True)
class Machine:
    """The constants of one machine: `times` by ring degree, measured with `threads` threads.

    `label` is "default" or "tuned".
    """

    label: str
    times: Mapping[int, Times]
    threads: int = 1

    def at(self, ring_degree: int) -> Times:
        """Return the constants for a ring degree, from the nearest measured one in proportion to the work of a limb."""
        if ring_degree in self.times:
            return self.times[ring_degree]
        nearest = min(self.times, key=lambda n: (max(n, ring_degree) // min(n, ring_degree), n))
        factor = ring_work(ring_degree) / ring_work(nearest)
        base = self.times[nearest]
        return replace(base, **{f.name: getattr(base, f.name) * factor for f in fields(Times)})

    @property
    def name(self) -> str:
        """The name of the constants in a plan: "default", or "tuned" and the first digits of their SHA-256."""
        if self.label == "default":
            return self.label
        return f"{self.label} {hashlib.sha256(self.to_bytes()).hexdigest()[:16]}"

    def to_bytes(self) -> bytes:
        """Return the constants as canonical JSON, which load_machine reads."""
        times = {str(ring): asdict(self.times[ring]) for ring in sorted(self.times)}
        return canonical_json({"format": FORMAT, "version": VERSION, "threads": self.threads, "times": times})


def default_path() -> Path | None:
    """Return $HETORCH_TUNING, or else tuning.json in $XDG_CACHE_HOME/hetorch or ~/.cache/hetorch.

    None if there is no such folder, as for a user without a home.
    """
    chosen = os.environ.get("HETORCH_TUNING")
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser()
        base = Path(cache) if cache and Path(cache).is_absolute() else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return base / "hetorch" / "tuning.json"


def storing_path(path: str | Path | None = None) -> Path:
    """Return `path`, or default_path() if it is None, and make its folder.

    Raises:
        InputError: there is no such place, or no file can be made there.
    """
    target = Path(path) if path is not None else default_path()
    if target is None:
        raise InputError(
            "the tuned constants have no place, because this user has no home folder; give a file, and name it in the "
            "variable HETORCH_TUNING for the compiler"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _not_written(target, error) from error
    return target


def store_machine(machine: Machine, path: str | Path | None = None) -> Path:
    """Write the constants to storing_path(path), and return it.

    Raises:
        InputError: there is no such place, or the file cannot be written.
    """
    target = storing_path(path)
    try:
        write_atomically(target, machine.to_bytes(), mode=SHARED)
    except OSError as error:
        raise _not_written(target, error) from error
    return target


def _not_written(target: Path, error: OSError) -> InputError:
    return InputError(f"the tuned constants cannot be written to {target}: {error.strerror}")


def load_machine(path: str | Path | None = None) -> Machine:
    """Return the tuned constants in `path` (default: default_path()), or the default ones if there is no such file.

    A cache folder that nobody chose and that cannot be read counts as one without the file.

    Raises:
        InputError: store_machine did not write the file, or a chosen one cannot be read.
    """
    source = Path(path) if path is not None else default_path()
    if source is None:
        return DEFAULT
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        return DEFAULT
    except OSError as error:
        if path is None and not os.environ.get("HETORCH_TUNING"):
            return DEFAULT
        raise InputError(f"the tuned constants in {source} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{source} has {size_text(len(data))}: these are no tuned constants; run hetorch tune again"
        )
    again = lambda sentence: InputError(f"{sentence}; delete the file or run hetorch tune again")  # noqa: E731
    read = Fields.parse(data, str(source), again)
    read.check_format(
        f"the file of tuned constants {source}",
        FORMAT,
        VERSION,
        older="it was measured by an older hetorch",
        newer="it was measured by a newer hetorch",
    )
    threads = read.integer("threads", 1, 1 << 16)
    rings = read.child("times")
    times: dict[int, Times] = {}
    for exponent in range(10, 18):
        if not rings.has(str(1 << exponent)):
            continue
        row = rings.child(str(1 << exponent))
        times[1 << exponent] = Times(**{f.name: row.number(f.name, 0, 1) for f in fields(Times)})
        row.done()
    rings.done()
    read.done()
    if not times:
        raise read.error("no ring degree was measured")
    return Machine("tuned", times, threads)


def ring_work(ring_degree: int) -> float:
    """Return the work of a limb relative to N = 1: a weighted sum of pointwise work (N) and transforms (N log N).

    The constants of ring degrees that were not measured are scaled with it.
    """
    return ring_degree * (1.0 + 0.05 * (ring_degree.bit_length() - 1))


# Measured by hetorch.compiler.costs.tune on one core (Zen 5, 512-bit multiply-add), rounded.
DEFAULT = Machine(
    "default",
    {
        1 << 12: Times(
            add=8.29e-07,
            baby=1.13e-06,
            baby_limb=1.69e-06,
            constant=1.15e-06,
            down=7.32e-06,
            giant=3.69e-06,
            giant_limb=6.61e-06,
            hoist=2.86e-06,
            multiply=2.88e-06,
            multiply_limb=1.4e-05,
            pair=5.95e-06,
            product=1.39e-06,
            rescale=5.69e-06,
            rotate=2.92e-06,
            rotate_limb=1.15e-05,
            transform=4.2e-06,
        ),
        1 << 13: Times(
            add=2.24e-06,
            baby=4.51e-06,
            baby_limb=0,
            constant=2.66e-06,
            down=1.45e-05,
            giant=8.79e-06,
            giant_limb=1.5e-05,
            hoist=4.95e-06,
            multiply=6.9e-06,
            multiply_limb=2.71e-05,
            pair=1.68e-05,
            product=4.06e-06,
            rescale=1.3e-05,
            rotate=7.45e-06,
            rotate_limb=1.96e-05,
            transform=8.6e-06,
        ),
        1 << 14: Times(
            add=4.43e-06,
            baby=1.19e-05,
            baby_limb=0,
            constant=4.72e-06,
            down=2.83e-05,
            giant=2.48e-05,
            giant_limb=3.45e-05,
            hoist=1.96e-05,
            multiply=1.67e-05,
            multiply_limb=5.61e-05,
            pair=3.47e-05,
            product=7.81e-06,
            rescale=2.57e-05,
            rotate=1.34e-05,
            rotate_limb=5.07e-05,
            transform=1.8e-05,
        ),
        1 << 15: Times(
            add=8.5e-06,
            baby=3.78e-05,
            baby_limb=8.08e-06,
            constant=9.02e-06,
            down=6.6e-05,
            giant=4.95e-05,
            giant_limb=0.000156,
            hoist=5.77e-05,
            multiply=4.41e-05,
            multiply_limb=0.000176,
            pair=6.41e-05,
            product=1.08e-05,
            rescale=5.4e-05,
            rotate=3.02e-05,
            rotate_limb=0.000149,
            transform=3.7e-05,
        ),
    },
)
