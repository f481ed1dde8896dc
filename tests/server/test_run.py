"""What a server leaves in files."""

from __future__ import annotations

import os
from pathlib import Path

from hetorch.server.run import write_ready_file


def test_a_link_in_the_way_of_the_ready_file_is_not_followed(tmp_path: Path) -> None:
    """The folder may be one that others may write in, and the name beside the file can be guessed."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    ready = tmp_path / "ready"
    (tmp_path / f".ready.{os.getpid()}").symlink_to(precious)
    write_ready_file(ready, "http://127.0.0.1:8000")
    assert ready.read_text() == "http://127.0.0.1:8000\n" and not ready.is_symlink()
    assert precious.read_text() == "mine"
    write_ready_file(ready, "http://127.0.0.1:8001")
    assert ready.read_text() == "http://127.0.0.1:8001\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "ready"]
