"""`hetorch doctor`: report what this machine offers and what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from hetorch.errors import HetorchError
from hetorch.optional_packages import EXTRAS
from hetorch.quantities import count_text

ESSENTIAL = ("numpy", "cryptography", "safetensors", "pydantic", "httpx", "typer", "rich")
PURPOSES: Mapping[str, str] = {
    "notebook": "run the notebooks and tabulate traces",
    "onnx": "read ONNX models",
    "seal": "run plans on SEAL",
}
"""What extras are for, where their names do not say it."""
CPU_FLAGS = ("avx2", "fma", "avx512f", "avx512dq", "avx512ifma")
"""Features of the processor, as Linux names them, on which the kernel paths depend."""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the kernel path, threads, memory and versions of this machine, and name missing packages.

    The exit code is 1 if something essential is missing.

    Example: [bold]hetorch doctor --json[/bold]
    """
    facts, missing, advice = examine()
    if as_json:
        print(json.dumps(facts | {"missing": missing, "advice": advice}))
    else:
        for name, value in facts.items():
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            print(f"{name.replace('_', ' '):<16}  {text}")
        for sentence in (*missing, *advice):
            print(f"- {sentence}")
        if not missing and not advice:
            print("everything is there")
    if missing:
        raise typer.Exit(1)


def examine() -> tuple[dict[str, object], list[str], list[str]]:
    """Return facts by name, sentences on essential things that are missing, and sentences of advice."""
    missing: list[str] = []
    advice: list[str] = []
    facts: dict[str, object] = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpu_features": " ".join(flag for flag in CPU_FLAGS if flag in _cpu_flags())
        or "none of " + " ".join(CPU_FLAGS),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    facts |= _engine(missing, advice)
    facts["tuned"] = _tuned(advice)
    facts["vault"] = _vault(missing, advice)
    facts["versions"] = _versions(missing, advice)
    return facts, missing, advice


def _engine(missing: list[str], advice: list[str]) -> dict[str, object]:
    try:
        native = importlib.import_module("hetorch.engine._native")
        importlib.import_module("hetorch.engine._secret")  # to see that it loads
    except ImportError as error:
        missing.append(f"the compiled core cannot be loaded ({error}); install hetorch again: pip install .")
        return {"kernel_path": "none"}
    kernel_path = native.selected_kernel_path()
    if kernel_path == "portable":
        advice.append(
            "the portable kernels are in use, which are slow; a CPU with AVX2 or AVX-512 IFMA is several times faster"
        )
    return {
        "kernel_path": kernel_path,
        "kernel_paths": " ".join(native.kernel_paths()),
        "forced_isa": os.environ.get("HETORCH_ISA", "no"),
        "threads": native.thread_count(),
    }


def _vault(missing: list[str], advice: list[str]) -> str:
    from hetorch.client.private_files import ANOTHER_FOLDER, private_folder
    from hetorch.client.vault import default_vault_path
    from hetorch.errors import VaultError

    try:
        path = default_vault_path()
    except VaultError as error:
        advice.append(str(error))  # only a data owner needs one
        return "none"
    if not os.path.exists(path):  # False, too, where a folder above it cannot be read
        if not _can_be_made(path):
            advice.append(f"the vault {path} cannot be made there; {ANOTHER_FOLDER}")
            return "none"
        return f"{path} (is made on first use)"
    try:
        private_folder(path)
    except VaultError as error:
        missing.append(str(error))
    return str(path)


def _can_be_made(path: Path) -> bool:
    """True if the nearest folder above `path` that exists may be written."""
    above = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _versions(missing: list[str], advice: list[str]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in ("hetorch", *ESSENTIAL):
        installed = _version(name)
        versions[name] = installed or "missing"
        if installed is None and name != "hetorch":
            missing.append(f"the package {name} is missing: pip install {name}")
    for extra, packages in EXTRAS.items():
        absent = [name for name, module in packages.items() if importlib.util.find_spec(module) is None]
        versions |= {name: _version(name) or "missing" for name in packages}
        if absent:
            advice.append(
                f"to {PURPOSES.get(extra, extra)}, {' and '.join(absent)} would be needed: pip install "
                f"'hetorch[{extra}]'"
            )
    # Whoever has an estimator to compile has scikit-learn, so there is no advice to install it.
    return versions | {"scikit-learn": _version("scikit-learn") or "missing (optional)"}


def _tuned(advice: list[str]) -> str:
    try:
        from hetorch.compiler.costs.machine import default_path, load_machine

        machine = load_machine()
    except (ImportError, HetorchError) as error:
        return f"unknown ({error})"
    if machine.label == "default":
        advice.append("times are predicted with default constants; hetorch tune measures this machine's")
        return "no"
    return f"{machine.name}, {count_text(machine.threads, 'thread')}, {default_path()}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_field("flags").split())


def _cpu_name() -> str:
    return _cpu_field("model name") or platform.processor() or "unknown"


def _cpu_field(field: str) -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    except OSError:
        pass
    return ""
