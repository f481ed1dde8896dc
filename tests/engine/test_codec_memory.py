"""Broken bytes do not make a reader allocate: measured from outside, as the core allocates on its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.fuzz

# The growth of the peak while thousands of blobs are refused. One whole object of these parameters takes 2 MiB
# of rows and 10 MiB of expanded seed bytes; a reader that believed a claimed level or length would take
# gigabytes.
SCRIPT = """
    import hashlib, itertools, resource, struct, sys, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    from hetorch.engine import codec
    from hetorch.engine.keys import EvaluationKeySpec
    from hetorch.engine.secret import SecretKey
    from hetorch.errors import WireError
    from hetorch.params import ParameterSet

    p = ParameterSet.from_bits(1 << 13, [40, 40], [41], security="none")
    key = SecretKey.generate(p)
    spec = EvaluationKeySpec(1, ())
    blobs = [
        (codec.dump_ciphertext(p, key.encrypt(np.zeros(p.slot_count), scale=2.0**30)), codec.load_ciphertext, ()),
        (b"".join(codec.dump_evaluation_keys(p, spec, key.switching_keys(spec))), codec.load_evaluation_keys, (spec,)),
        (codec.dump_public_key(p, key.public_key()), codec.load_public_key, ()),
    ]
    for data, load, extra in blobs:
        load(p, *extra, data)  # the honest load counts towards the base

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def sealed(head, body):
        content = head + body
        return content + hashlib.sha256(content).digest()

    base = peak()
    # From here on the address space may grow by 256 MiB: an allocation of a claimed size fails loudly.
    pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + (256 << 20),) * 2)
    refused = 0
    for data, load, extra in blobs:
        head, body = data[:40], data[48:-32]
        tries = []
        for length in (0, 2**31, 2**32, 2**40, 2**63, 2**64 - 1):
            tries.append(sealed(head + struct.pack("<Q", length), body))
        for claim in itertools.product((0, 2, 255), (0, 1, 3, 255), (0, 1, 255)):
            tries.append(sealed(data[:48], bytes(claim) + body[3:]))
        for cut in range(0, len(body), len(body) // 50):
            tries.append(sealed(head + struct.pack("<Q", cut), body[:cut]))
        tries.append(sealed(data[:48], body[:-64] + b"\\xff" * 64))
        for blob in tries:
            try:
                load(p, *extra, blob)
            except WireError:
                refused += 1
    assert refused > 150, refused
    print(peak() - base)
"""


def test_refusing_takes_no_memory() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 32 << 20
