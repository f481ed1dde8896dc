"""Arrays in files: .npy, .npz and .csv (one sample on each line), read and written without pickle."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hetorch.atomic_files import PRIVATE, open_atomically
from hetorch.errors import InputError, StorageError
from hetorch.quantities import count_text
from hetorch.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".npy", ".npz", ".csv")


def load_array(path: Path) -> NDArray[np.generic]:
    """Read the array of a file, or the array NAME of `FILE.npz:NAME`.

    StorageError if it cannot be read, InputError if it holds no array of numbers, or several and none is named.
    """
    import numpy as np

    file_name, named, array_name = path.name.partition(".npz:")
    if named:
        path = path.with_name(f"{file_name}.npz")
    _check_suffix(path)
    try:
        if path.suffix == ".csv":
            with open_regular(path) as text:
                return np.loadtxt(text, delimiter=",", ndmin=2)
        with open_regular(path) as file:  # numpy leaves a file open when it is broken
            # numpy takes a file with any other beginning for a pickle, and advises to open it as one.
            if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise InputError(f"{path} is no {path.suffix} file: it does not begin as one")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = list(loaded.files)
            if array_name in names:
                return np.asarray(loaded[array_name])
            if len(names) != 1 or named:
                raise InputError(
                    f"{path} holds {count_text(len(names), 'array')} ({', '.join(names)})"
                    + (f", none is {array_name!r}" if named else "")
                    + f"; name one of them, as in {path}:{names[0] if names else 'NAME'}"
                )
            return np.asarray(loaded[names[0]])
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError:
        raise
    except Exception as error:  # numpy raises ValueError, EOFError, BadZipFile and more on broken files
        reason = "it holds Python objects, which are not opened" if "pickle" in str(error) else str(error)
        raise InputError(f"{path} is no readable {path.suffix} file of numbers: {reason}") from None


def check_output(path: Path, *, several: bool = False) -> None:
    """Raise InputError for a file whose ending is unknown, or does not hold several arrays."""
    _check_suffix(path)
    if several and path.suffix != ".npz":
        raise InputError(f"{path} holds one array, and the model has several outputs; give a file .npz")


def save_arrays(path: Path, arrays: NDArray[np.generic] | dict[str, NDArray[np.generic]]) -> None:
    """Write an array, or several by name, in the format of the suffix, to a file that only its owner may read.

    A file is replaced atomically and has mode 0600 afterwards, whatever it had before; a link to it is followed. A
    device or a pipe is written as it is. StorageError if the file cannot be written.
    """
    check_output(path, several=isinstance(arrays, dict))
    try:
        # A link is followed, as other programs do that write a file.
        target = path.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                _save(file, path.suffix, arrays)
            return
        with open_atomically(target, mode=PRIVATE) as file:
            _save(file, path.suffix, arrays)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before Python 3.13
        raise StorageError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def _save(file: IO[bytes], suffix: str, arrays: NDArray[np.generic] | dict[str, NDArray[np.generic]]) -> None:
    import numpy as np

    if isinstance(arrays, dict):
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                # The names may come from a server: none may lead out of the folder where they are unpacked.
                with archive.open(f"{name.replace('/', '_').replace(chr(92), '_')}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    elif suffix == ".npy":
        np.save(file, arrays, allow_pickle=False)
    elif suffix == ".npz":
        np.savez(file, outputs=arrays)
    else:
        rows = arrays.reshape(arrays.shape[0], -1) if arrays.ndim else arrays.reshape(1, 1)
        if rows.dtype.kind == "f":
            np.savetxt(file, rows, delimiter=",", fmt="%.17g")
        else:
            text = io.StringIO(newline="")
            csv.writer(text).writerows(rows.tolist())
            file.write(text.getvalue().encode())


def fit_samples(array: NDArray[np.generic], input_shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Reshape rows of numbers (from .csv) to samples of the model's shape; return anything else as it is."""
    size = 1
    for extent in input_shape:
        size *= extent
    if (
        array.ndim == 2
        and array.shape[1:] != input_shape
        and array.shape != input_shape
        and array.shape[1] == size
    ):
        return array.reshape(array.shape[0], *input_shape)
    return array


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} has none of the known endings {', '.join(SUFFIXES)}")
