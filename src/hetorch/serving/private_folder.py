"""A temporary folder that only this user may read, and that lives as long as the object that stands for it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class PrivateFolder:
    """A new empty folder `path` in the system's place for temporary files; deleted with this object, or at exit."""

    def __init__(self, name: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"hetorch-{name}-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
