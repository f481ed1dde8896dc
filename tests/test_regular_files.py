"""Files that users name: only regular ones are read, and nobody waits for a pipe."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hetorch.regular_files import check_regular, open_regular, read_regular


def strange_files(folder: Path) -> list[Path]:
    """Return a pipe, a socket, a device, and links to them."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    (folder / "link").symlink_to(folder / "pipe")
    return [folder / "pipe", folder / "socket", folder / "link", Path("/dev/zero"), Path("/dev/tty")]


@pytest.mark.timeout(30)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    for path in strange_files(tmp_path):
        with pytest.raises(OSError):
            open_regular(path)
        if path != Path("/dev/tty"):
            with pytest.raises(OSError, match="no regular file"):
                check_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    check_regular(tmp_path)
    check_regular(tmp_path / "missing")


def test_a_regular_file_is_read_through_a_link_unless_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link") == b"0123456789"
    assert read_regular(tmp_path / "link", 4) == b"0123"
    with pytest.raises(OSError, match="symbolic"):
        open_regular(tmp_path / "link", follow=False)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(OSError):
            open_regular(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
