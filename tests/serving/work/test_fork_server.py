"""The process that forks workers, by itself."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hetorch.errors import PlanUseError
from hetorch.serving.work.fork_client import ForkServer
from hetorch.serving.work.messages import pack


def test_it_ends_in_silence_when_its_server_is_gone_with_a_message_unread() -> None:
    """A Unix socket that is closed with unread bytes resets the connection at its other end."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "hetorch.serving.work.fork_server", str(theirs.fileno())]
    with theirs:
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    with ours:
        ours.sendall(pack({"models": []}))
        ours.recv(1, socket.MSG_PEEK)  # READY has come, and stays unread
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("script", "sentence"), [("exit 3", "exit code 3"), ("kill -9 $$", "signal 9 .* memory")]
)
def test_the_way_it_ended_is_told(
    script: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(PlanUseError, match=sentence):
        ForkServer.start([])
