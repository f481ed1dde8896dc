"""Print the hash of a bootstrap with fixed randomness, and the kernel path and threads: run by test_bootstrap.py."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import warnings
from unittest.mock import patch

from hetorch.engine import _native, secret
from hetorch.errors import InsecureParametersWarning


def main() -> None:
    counter = itertools.count()
    fixed = patch.object(secret, "random_seed", lambda: hashlib.sha256(b"%d" % next(counter)).digest())
    with fixed, warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureParametersWarning)
        from tests.engine.bootstrap_case import Case, small_set

        case = Case.make(small_set(1 << 11, (3, 3, 3), (3, 3, 3)))
        result = case.engine.bootstrap(case.prepared, case.encrypt(case.values(0)))
    digest = hashlib.sha256(_native.ciphertext_rows(result).tobytes()).hexdigest()
    path, threads = _native.selected_kernel_path(), _native.thread_count()
    json.dump({"digest": digest, "path": path, "threads": threads}, sys.stdout)


if __name__ == "__main__":
    main()
