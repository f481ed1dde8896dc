"""Every public name of the installed TenSEAL has its counterpart here, with the same signature."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest
import tenseal

import hetorch.tenseal as ts

MODULE_EXCEPTIONS = {
    "_ts_cpp": "the compiled part of TenSEAL, not public",
    "sealapi": "SEAL's own classes: use seal-python, which is SEAL's interface in Python",
}

MODULES = [
    found.name.removeprefix("tenseal.")
    for found in pkgutil.walk_packages(tenseal.__path__, "tenseal.")
    if not found.name.startswith("tenseal.sealapi")
]


def own_classes() -> dict[str, tuple[type, str]]:
    """Every class that a Python module of TenSEAL defines, and that module."""
    return {
        name: (value, module)
        for module in MODULES
        for name, value in vars(importlib.import_module(f"tenseal.{module}")).items()
        if inspect.isclass(value) and value.__module__ == f"tenseal.{module}" and not name.startswith("_")
    }


CLASSES = own_classes()

SIGNATURE_EXCEPTIONS = {
    "Context.__init__": "has the keyword-only argument `security` more",
}


def public_names(thing: Any) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def defined_dunders(cls: type) -> list[str]:
    """Operators and the like that TenSEAL's class or its bases define themselves."""
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("tenseal"):
            found |= {
                name: None
                for name in vars(base)
                if name.startswith("__") and callable(getattr(cls, name, None))
            }
    return [
        name for name in found if name not in ("__init__", "__new__", "__hash__", "__eq__", "__reduce_ex__")
    ]


def normal_form(value: object) -> object:
    return (type(value).__name__, value.name) if isinstance(value, enum.Enum) else value


def signature(thing: Any) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(thing).parameters.values()
    return [(p.name, p.kind, normal_form(p.default)) for p in parameters if p.kind is not p.KEYWORD_ONLY]


@pytest.mark.parametrize("name", public_names(tenseal))
def test_every_name_of_the_module_exists(name: str) -> None:
    if name in MODULE_EXCEPTIONS:
        return
    theirs, ours = getattr(tenseal, name), getattr(ts, name)
    if isinstance(theirs, ModuleType):
        assert inspect.ismodule(ours)
    elif inspect.isclass(theirs):
        assert inspect.isclass(ours)
    else:
        assert signature(ours) == signature(theirs)


def test_all_lists_what_tenseal_lists() -> None:
    assert set(tenseal.__all__) <= set(ts.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_modules_hold_the_same_classes(module: str) -> None:
    theirs = importlib.import_module(f"tenseal.{module}")
    ours = importlib.import_module(f"hetorch.tenseal.{module}")
    for name in public_names(theirs):
        value = getattr(theirs, name)
        if inspect.isclass(value) and value.__module__.startswith(theirs.__name__):
            assert inspect.isclass(getattr(ours, name)), name


def test_the_introspection_finds_what_there_is() -> None:
    """What TenSEAL 0.3.18 has, as numbers: nothing here is true because there is nothing to look at."""
    assert tenseal.__version__ == ts.__version__ == "0.3.18"
    assert {"enc_context", "tensors.ckksvector", "tensors.ckkstensor", "version"} <= set(MODULES)
    assert set(CLASSES) == {
        *(
            "Context",
            "SCHEME_TYPE",
            "ENCRYPTION_TYPE",
            "SEALPrimitive",
            "SecretKey",
            "PublicKey",
            "GaloisKeys",
        ),
        *("RelinKeys", "SEALContext", "Encryptor", "Decryptor", "AbstractTensor", "PlainTensor"),
        *("CKKSVector", "CKKSTensor", "BFVVector", "BFVTensor"),
    }
    counts = {name: len(public_names(CLASSES[name][0])) for name in ("Context", "CKKSVector", "CKKSTensor")}
    assert counts == {"Context": 24, "CKKSVector": 39, "CKKSTensor": 39}
    operators = {
        *("__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__"),
        *("__imul__", "__matmul__", "__imatmul__", "__pow__", "__ipow__", "__neg__", "__copy__"),
    }
    assert operators <= set(defined_dunders(tenseal.CKKSVector))
    assert {*operators, "__getitem__"} <= set(defined_dunders(tenseal.CKKSTensor))
    assert "__len__" in defined_dunders(tenseal.PlainTensor)


def test_no_exception_is_of_ckks() -> None:
    """The module that is missing is SEAL's interface in other words; what differs has an argument more."""
    assert set(MODULE_EXCEPTIONS) == {"_ts_cpp", "sealapi"}
    assert set(SIGNATURE_EXCEPTIONS) == {"Context.__init__"}
    assert "security" not in inspect.signature(tenseal.Context).parameters


@pytest.mark.parametrize("class_name", CLASSES)
def test_every_member_has_the_same_signature(class_name: str) -> None:
    theirs, module = CLASSES[class_name]
    ours = getattr(importlib.import_module(f"hetorch.tenseal.{module}"), class_name)
    if issubclass(theirs, enum.Enum):
        assert [member.name for member in ours] == [member.name for member in theirs]
        assert [member.value for member in ours] == [int(member.value) for member in theirs]
        return
    for name in ["__init__", *public_names(theirs), *defined_dunders(theirs)]:
        assert hasattr(ours, name), f"{class_name}.{name}"
        member = inspect.getattr_static(theirs, name)
        mine = inspect.getattr_static(ours, name)
        if isinstance(member, property):
            assert isinstance(mine, property), f"{class_name}.{name}"
            assert (mine.fset is None) == (member.fset is None), f"{class_name}.{name}: a setter"
            continue
        assert isinstance(member, classmethod) == isinstance(mine, classmethod), f"{class_name}.{name}"
        expected = signature(getattr(theirs, name))
        assert signature(getattr(ours, name)) == expected, f"{class_name}.{name}"


def test_only_the_exceptions_have_further_arguments() -> None:
    for class_name, (_, module) in CLASSES.items():
        ours = getattr(importlib.import_module(f"hetorch.tenseal.{module}"), class_name)
        for name in [*public_names(ours), "__init__"]:
            member = getattr(ours, name)
            if not inspect.isfunction(member) or issubclass(ours, enum.Enum):
                continue
            kinds = {p.kind for p in inspect.signature(member).parameters.values()}
            if inspect.Parameter.KEYWORD_ONLY in kinds:
                assert f"{class_name}.{name}" in SIGNATURE_EXCEPTIONS


def test_importing_needs_neither_tenseal_nor_seal() -> None:
    import subprocess
    import sys

    code = (
        "import sys\n"
        "for name in ('tenseal', '_tenseal_cpp', 'seal', 'torch'): sys.modules[name] = None\n"
        "import hetorch.tenseal as ts\n"
        "c = ts.context(ts.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[40, 20, 40])\n"
        "c.global_scale = 2**20\n"
        "print(round(ts.ckks_vector(c, [1.5]).decrypt()[0], 1))\n"
        "try: ts.context(ts.SCHEME_TYPE.BFV, 4096, 1032193)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "1.5"
    assert "seal-python" in done.stdout.splitlines()[1]
