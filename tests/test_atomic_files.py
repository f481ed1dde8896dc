"""Files replaced whole or not at all: failures, permissions, links and several writers."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetorch.atomic_files import PRIVATE, SHARED, TEMPORARY_PREFIX, open_atomically, write_atomically


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_chunks_replace_the_file_and_are_counted(tmp_path: Path) -> None:
    target = tmp_path / "file"
    assert write_atomically(target, b"old") == 3
    assert write_atomically(target, iter([b"new", b" ", b"content"])) == 11
    assert target.read_bytes() == b"new content"
    assert write_atomically(target, memoryview(bytearray(b"view"))) == 4
    assert target.read_bytes() == b"view"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise failure

    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(failure):
        write_atomically(target, chunks())
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "file"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    program = (
        "import os, signal, sys; from hetorch.atomic_files import open_atomically\n"
        "with open_atomically(sys.argv[1]) as file:\n"
        "    file.write(bytes(1 << 20)); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    (left,) = [name for name in names(tmp_path) if name != "file"]
    assert left.startswith(TEMPORARY_PREFIX)
    write_atomically(target, b"new")  # what was left behind is in nobody's way
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("asked", "umask", "expected"),
    [(PRIVATE, 0, 0o600), (SHARED, 0o022, 0o644), (SHARED, 0o077, 0o600), (SHARED, 0, 0o666)],
)
def test_the_mode_is_the_one_asked_for_less_the_umask(
    tmp_path: Path, asked: int, umask: int, expected: int
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(0o640)  # does not count
    before = os.umask(umask)
    try:
        with open_atomically(target, mode=asked) as file:
            (temporary,) = tmp_path.glob(f"{TEMPORARY_PREFIX}*")
            assert mode(temporary) == expected  # from the beginning, not only at the end
            file.write(b"new")
    finally:
        os.umask(before)
    assert mode(target) == expected


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "file"
    elsewhere.write_bytes(b"untouched")
    target.symlink_to(elsewhere)
    write_atomically(target, b"new")
    assert elsewhere.read_bytes() == b"untouched"
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_in_the_way_is_not_lost(tmp_path: Path) -> None:
    target = tmp_path / "pipe"
    os.mkfifo(target)
    with pytest.raises(OSError, match="it is a device, a pipe or a socket"):
        write_atomically(target, b"content")
    assert stat.S_ISFIFO(target.lstat().st_mode) and names(tmp_path) == ["pipe"]


def test_a_link_under_the_name_of_the_temporary_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    monkeypatch.setattr(os, "urandom", bytes)  # a name that somebody guessed
    (tmp_path / f"{TEMPORARY_PREFIX}{bytes(8).hex()}").symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"new")
    assert elsewhere.read_bytes() == b"untouched"


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = [bytes([writer]) * 50_000 for writer in range(8)]
    seen: set[bytes] = set()

    def write(content: bytes) -> None:
        for _ in range(5):
            write_atomically(target, (content[at : at + 1000] for at in range(0, len(content), 1000)))
            seen.add(target.read_bytes())

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(contents)
    assert names(tmp_path) == ["file"]


def test_the_file_is_flushed_before_the_renaming_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int | str]] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noting_replace(source: Path, target: Path) -> None:
        steps.append(("replace", target.name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_atomically(tmp_path / "file", b"new")
    file, folder = (tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino
    assert steps == [("fsync", file), ("replace", "file"), ("fsync", folder)]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "file", b"new")
