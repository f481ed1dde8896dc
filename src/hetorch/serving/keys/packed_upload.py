"""The file that is made of an upload while its bytes come, so that little is left to do after the last one.

It is in the key folder without a name until it is whole (NewFile): a process that is killed leaves a file that the next
one deletes, and packs again from the bytes that have come.
"""

from __future__ import annotations

import os
from pathlib import Path

from hetorch.serving.keys.key_folder import KeyFolder, NewFile
from hetorch.serving.keys.stored_kinds import Identity, Packing


class PackedUpload:
    """The file of one upload. Used by one thread at a time.

    Args:
        packing: makes the file.
        folder: where the file will be.
        content: the SHA-256 (hex) that the upload must have.
        size: the bytes of the file when it is whole.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, packing: Packing, folder: KeyFolder, content: str, size: int) -> None:
        self._packing = packing
        self._offset = 0
        self.file: NewFile = folder.new_file()
        self.identity = Identity(content, content)
        self.size = size

    def advance(self, upload: Path, most: int | None = None) -> bool:
        """Pack the parts that have come whole, of at most `most` bytes and one part beyond; True if the file is whole.

        Raises:
            WireError: a part is malformed, or the whole has another SHA-256. The file must be dropped then.
            OSError: the upload cannot be read, or the file cannot be written. The file must be dropped then.
        """
        end = None if most is None else self._offset + most
        with upload.open("rb", buffering=0) as source:
            came = os.fstat(source.fileno()).st_size
            while (size := self._packing.next_bytes) and self._offset + size <= came:
                if end is not None and self._offset >= end:
                    return False
                self.file.write(self._packing.pack(os.pread(source.fileno(), size, self._offset)))
                self._offset += size
        return not size
