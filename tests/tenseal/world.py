"""One package's objects for the calls that are compared: contexts, vectors and tensors in many states, operands."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Call = Callable[["World"], Any]

BITS = [30, 24, 24, 30]
SCALE = 2.0**24
N = 4096
T = 1032193

# Values of vectors and of tensors.
THREE = [1.0, 2.0, -1.5]
SQUARE = [[1.0, 2.0], [3.0, 0.5]]
WHOLE = [1, 2, -3]


@dataclass(frozen=True)
class Switches:
    """The three automatic steps."""

    relin: bool = True
    rescale: bool = True
    mod_switch: bool = True

    def turn(self, context: Any) -> Any:
        context.auto_relin, context.auto_rescale, context.auto_mod_switch = (
            self.relin,
            self.rescale,
            self.mod_switch,
        )
        return context

    def __str__(self) -> str:
        off = [name for name in ("relin", "rescale", "mod_switch") if not getattr(self, name)]
        return "no " + "+".join(off) if off else "all on"


ON = Switches()
TURNED = (
    Switches(relin=False),
    Switches(rescale=False),
    Switches(mod_switch=False),
    Switches(relin=False, rescale=False),
    Switches(False, False, False),
)


class World:
    """One package's contexts, vectors and tensors; each is made when it is first asked for."""

    def __init__(self, package: Any) -> None:
        self.ts = package
        self._states: dict[tuple[Any, ...], Any] = {}

    # Contexts

    def new(self, bits: list[int], scale: float | None = SCALE, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = self.ts.context(
                self.ts.SCHEME_TYPE.CKKS, N, coeff_mod_bit_sizes=bits, n_threads=1, **options
            )
        if scale is not None:
            context.global_scale = scale
        return context

    @cached_property
    def whole(self) -> Any:
        context = self.new(BITS)
        context.generate_galois_keys()
        return context

    @cached_property
    def keyless(self) -> Any:
        """Without Galois and relinearisation keys."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.ts.context_from(
                self.whole.serialize(save_galois_keys=False, save_relin_keys=False), 1
            )

    @cached_property
    def public(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = self.whole.copy()
        context.make_context_public()
        return context

    @cached_property
    def symmetric(self) -> Any:
        return self.new([40, 20, 40], 2.0**20, encryption_type=self.ts.ENCRYPTION_TYPE.SYMMETRIC)

    @cached_property
    def unscaled(self) -> Any:
        return self.new([40, 20, 40], None)

    @cached_property
    def stranger(self) -> Any:
        """Other parameters and another global scale."""
        return self.new([40, 20, 40], 2.0**20)

    @cached_property
    def bfv(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = self.ts.context(self.ts.SCHEME_TYPE.BFV, N, T, n_threads=1)
        context.generate_galois_keys()
        return context

    @cached_property
    def small(self) -> Any:
        return self.new([40, 20, 40], 2.0**20)

    @cached_property
    def small_bytes(self) -> bytes:
        data: bytes = self.small.serialize()
        return data

    def context_of(self, kind: str) -> Any:
        return getattr(self, kind)

    def copied(self, kind: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.context_of(kind).copy()

    def home(self, maker: str) -> Any:
        return self.whole if maker.startswith("ckks") else self.bfv

    def made(self, scheme: str, argument: str, value: Any) -> Any:
        """A new context in which one argument differs."""
        defaults: dict[str, Any] = {"poly_modulus_degree": 4096, "coeff_mod_bit_sizes": [36, 36, 37]}
        if scheme == "BFV":
            defaults |= {"plain_modulus": 40961}
        arguments = {
            "scheme": getattr(self.ts.SCHEME_TYPE, scheme),
            "n_threads": 1,
            **defaults,
            argument: value,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.ts.context(**arguments)

    def of_degree(self, scheme: str, degree: int, bits: list[int]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.ts.context(getattr(self.ts.SCHEME_TYPE, scheme), degree, T, bits, n_threads=1)

    # Vectors and tensors

    def state(self, kind: str, at: str, switches: Switches = ON) -> Any:
        """A copy of the object in the state named, made under these switches, which stay for the call."""
        switches.turn(self.whole)
        for name in ("keyless", "public"):  # TenSEAL turns switches of a CKKS context that BFV is tried under
            if name in self.__dict__:
                ON.turn(self.__dict__[name])
        key = (kind, at, switches)
        if key not in self._states:
            self._states[key] = STATES[kind][at](self)
        # TenSEAL's operations may lower the level of their operands, so that each call gets an object of its own.
        return self._again(self._states[key], at)

    def _again(self, value: Any, at: str) -> Any:
        """A copy. TenSEAL's own copies the context too, which takes long, so that it reads its bytes instead."""
        if self.ts.__name__ != "tenseal" or at == "lazy":
            return value.copy()
        return type(value).load(value.context(), value.serialize())

    def vector(self, values: Any = THREE, context: Any = None, **options: Any) -> Any:
        return self.ts.ckks_vector(self.whole if context is None else context, values, **options)

    def tensor(self, values: Any = SQUARE, context: Any = None, **options: Any) -> Any:
        return self.ts.ckks_tensor(self.whole if context is None else context, values, **options)

    def foreign(self, value: Any) -> Any:
        """An operand whose making may need the package."""
        return value(self) if callable(value) else value


State = Callable[[World], Any]


STATES: dict[str, dict[str, State]] = {
    "vector": {
        "fresh": lambda w: w.vector(),
        "of one": lambda w: w.vector([2.0]),
        "of other scale": lambda w: w.vector(scale=2.0**20),
        "product": lambda w: w.vector() * w.vector(),
        "product of three": lambda w: w.vector() * w.vector() * w.vector(),
        "of several ciphertexts": lambda w: w.vector(np.linspace(-1, 1, 2100).tolist()),
        "public": lambda w: w.vector(context=w.public),
        "keyless": lambda w: w.vector(context=w.keyless),
        "read": lambda w: w.ts.ckks_vector_from(w.whole, w.vector().serialize()),
        "lazy": lambda w: w.ts.lazy_ckks_vector_from(w.vector().serialize()),
    },
    "tensor": {
        "fresh": lambda w: w.tensor(),
        "number": lambda w: w.tensor(2.0),
        "row": lambda w: w.tensor([1.0, 2.0]),
        "batch": lambda w: w.tensor(batch=True),
        "cube": lambda w: w.tensor([[[1.0], [2.0]]]),
        "of other scale": lambda w: w.tensor(scale=2.0**20),
        "product": lambda w: w.tensor([1.0, 2.0]) * w.tensor([1.0, 2.0]),
        "product of three": lambda w: w.tensor([1.0, 2.0]) * w.tensor([1.0, 2.0]) * w.tensor([1.0, 2.0]),
        "public": lambda w: w.tensor(context=w.public),
        "keyless": lambda w: w.tensor(context=w.keyless),
        "lazy": lambda w: w.ts.lazy_ckks_tensor_from(w.tensor([1.0]).serialize()),
    },
    "bfv vector": {
        "fresh": lambda w: w.ts.bfv_vector(w.bfv, WHOLE),
        "of one": lambda w: w.ts.bfv_vector(w.bfv, [2]),
        "product": lambda w: w.ts.bfv_vector(w.bfv, WHOLE) * w.ts.bfv_vector(w.bfv, WHOLE),
        "lazy": lambda w: w.ts.lazy_bfv_vector_from(w.ts.bfv_vector(w.bfv, WHOLE).serialize()),
    },
    "bfv tensor": {
        "fresh": lambda w: w.ts.bfv_tensor(w.bfv, [[1, 2], [3, 4]]),
        "row": lambda w: w.ts.bfv_tensor(w.bfv, [1, 2]),
        "batch": lambda w: w.ts.bfv_tensor(w.bfv, [[1, 2], [3, 4]], True),
        "lazy": lambda w: w.ts.lazy_bfv_tensor_from(w.ts.bfv_tensor(w.bfv, [1, 2]).serialize()),
    },
}

PLAIN_OPERANDS: dict[str, Any] = {
    "2": 2,
    "0": 0,
    "-0.5": -0.5,
    "True": True,
    "1e300": 1e300,
    "1e20": 1e20,
    "nan": float("nan"),
    "inf": float("inf"),
    "10**400": 10**400,
    "10**30": 10**30,
    "None": None,
    "word": "abc",
    "bytes": b"abc",
    "complex": 1j,
    "object": ...,
    "dict": {},
    "[]": [],
    "[[]]": [[]],
    "[1]": [1],
    "[1, 2]": [1, 2],
    "[1, 2, 3]": [1, 2, 3],
    "three reals": THREE,
    "three zeros": [0.0] * 3,
    "nan in a list": [1.0, float("nan"), 2.0],
    "inf in a list": [1.0, float("inf"), 2.0],
    "1e60 in a list": [1.0, 1e60, 2.0],
    "words": ["a", "b", "c"],
    "None in a list": [None, 1.0, 2.0],
    "ragged": [[1.0], [1.0, 2.0]],
    "1 x 3": [[1.0, 2.0, 3.0]],
    "3 x 1": [[1.0], [2.0], [3.0]],
    "3 x 2": [[1.0, 2.0]] * 3,
    "2 x 3": [[1.0, 2.0, 3.0]] * 2,
    "2 x 2": SQUARE,
    "cube": [[[1.0, 2.0], [3.0, 4.0]]],
    "array of three": np.array(THREE),
    "array of ints": np.array([1, 2, 3]),
    "array 2 x 2": np.array(SQUARE),
    "float32": np.float32(2),
    "int64": np.int64(2),
    "0-d array": np.array(2.0),
}

OWN_OPERANDS: dict[str, Callable[[World], Any]] = {
    "plain tensor of three": lambda w: w.ts.plain_tensor(THREE),
    "plain tensor 2 x 2": lambda w: w.ts.plain_tensor(SQUARE),
    "plain ints": lambda w: w.ts.plain_tensor([1, 2, 3], dtype="int"),
    "vector of three": lambda w: w.vector(),
    "vector of two": lambda w: w.vector([1.0, 2.0]),
    "vector of one": lambda w: w.vector([2.0]),
    "vector of other scale": lambda w: w.vector(scale=2.0**20),
    "product": lambda w: w.vector() * w.vector(),
    "vector of several ciphertexts": lambda w: w.vector(np.ones(2100).tolist()),
    "lazy vector": lambda w: w.ts.lazy_ckks_vector_from(w.vector().serialize()),
    "vector of a stranger": lambda w: w.vector(context=w.stranger),
    "tensor 2 x 2": lambda w: w.tensor(),
    "tensor of two": lambda w: w.tensor([1.0, 2.0]),
    "tensor of three": lambda w: w.tensor(THREE),
    "cube tensor": lambda w: w.tensor([[[1.0], [2.0]]]),
    "tensor of other scale": lambda w: w.tensor(scale=2.0**20),
    "tensor product": lambda w: w.tensor([1.0, 2.0]) * w.tensor([1.0, 2.0]),
    "lazy tensor": lambda w: w.ts.lazy_ckks_tensor_from(w.tensor([1.0]).serialize()),
    "bfv vector of three": lambda w: w.ts.bfv_vector(w.bfv, WHOLE),
    "bfv vector of two": lambda w: w.ts.bfv_vector(w.bfv, [1, 2]),
    "bfv tensor of two": lambda w: w.ts.bfv_tensor(w.bfv, [1, 2]),
    "context": lambda w: w.whole,
    "secret key": lambda w: w.whole.secret_key(),
}
