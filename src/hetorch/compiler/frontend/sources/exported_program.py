"""Files that torch.export.save wrote (.pt2)."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import torch

from hetorch.errors import InputError


def load_exported(path: Path) -> torch.nn.Module:
    """Return the module of a .pt2 file, whose batch axis should have been exported as dynamic.

    torch runs the code that such a file holds: load only files that you trust.

    Raises:
        InputError: torch cannot read the file.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no model that torch.export.save wrote: it is no zip archive")
    # torch logs a traceback before it raises; the error below says the same in one sentence.
    log = logging.getLogger("torch")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return torch.export.load(path).module()
    except Exception as error:  # torch raises many kinds on a broken archive
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no model that torch.export.save wrote: {reason}") from error
    finally:
        log.setLevel(level)
