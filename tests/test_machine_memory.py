"""The memory that is free: the least of machine, control groups and the process's own limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetorch import machine_memory

MIB = 1 << 20


@pytest.mark.parametrize(
    ("own", "files", "free"),
    [
        ("0::/\n", {"memory.max": 100, "memory.current": 70}, 30),
        (
            "0::/\n",
            {"memory.max": 100, "memory.current": 70, "memory.stat": 50},
            80,
        ),  # files that can be dropped
        (
            "0::/system.slice/a\n",
            {
                "system.slice/memory.max": 100,
                "system.slice/memory.current": 95,
                "system.slice/a/memory.max": 50,
                "system.slice/a/memory.current": 1,
            },
            5,
        ),
        (
            "4:memory:/docker/1\n",
            {"memory/docker/1/memory.limit_in_bytes": 64, "memory/docker/1/memory.usage_in_bytes": 60},
            4,
        ),
    ],
)
def test_free_memory_is_what_the_control_groups_leave(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, files: dict[str, int], free: int
) -> None:
    for name, size in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stat = f"anon 5\ninactive_file {size * MIB}\n"
        path.write_text(stat if name.endswith("stat") else f"{size * MIB}\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine_memory, "GROUPS", tmp_path)
    monkeypatch.setattr(machine_memory, "OWN_GROUPS", tmp_path / "own")
    assert machine_memory.available_memory() == free * MIB


def test_a_group_without_a_limit_bounds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine_memory, "GROUPS", tmp_path)
    monkeypatch.setattr(machine_memory, "OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    free, physical = machine_memory.available_memory(), machine_memory.physical_memory()
    assert free is not None and physical is not None and 1 << 20 < free <= physical
