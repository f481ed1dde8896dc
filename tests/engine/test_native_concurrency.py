"""Many threads over one engine get the bits that one thread gets; a forked child works too."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hetorch.engine import codec
from hetorch.engine.native import Ciphertext, NativeEngine
from hetorch.engine.transform import DiagonalTransform
from tests.engine import noise
from tests.engine.conftest import Owner

SCALE = 2.0**36


def operations(owner: Owner, engine: NativeEngine) -> list[Callable[[], list[Ciphertext]]]:
    a, b = owner.encrypt(owner.values(1), 4, SCALE), owner.encrypt(owner.values(2), 5, SCALE)
    outputs, inputs, giants, babies = np.array([[0, 1, 0], [0, 0, 1], [0, 4, 4], [1, 2, 0]], np.int32)
    values = np.random.default_rng(3).uniform(-1, 1, (3, owner.slots))
    t = DiagonalTransform(owner.slots, 2, 2, outputs, inputs, giants, babies, values)
    prepared = engine.prepare_transform(t, level=4, input_scale=SCALE, output_scale=SCALE)
    low = engine.drop_level(b, 4)
    return [
        lambda: [engine.add(a, b)],
        lambda: [engine.multiply(a, b)],
        lambda: [engine.rescale(engine.multiply(a, a))],
        lambda: [engine.rotate(a, 1), engine.rotate(b, 100)],
        lambda: [engine.conjugate(b)],
        lambda: engine.linear_transform(prepared, [a, low]),
        lambda: [engine.polynomial(b, [0.1, 0.2, 0.3, 0.4, 0.5], output_scale=SCALE)],
        lambda: [engine.multiply_plaintext(a, engine.encode(owner.values(4), level=4, scale=SCALE))],
    ]


def test_threads_share_an_engine(owner: Owner) -> None:
    # A new engine over the same keys, so that its tables of automorphisms may be made by any thread.
    engine = NativeEngine(owner.parameters, evaluation_keys=owner.keys)
    calls = operations(owner, engine)

    def dumped(call: Callable[[], list[Ciphertext]]) -> list[bytes]:
        return [codec.dump_ciphertext(owner.parameters, c) for c in call()]

    expected = [dumped(call) for call in calls]
    barrier = threading.Barrier(6)

    def worker(offset: int) -> list[tuple[int, list[bytes]]]:
        barrier.wait(timeout=60)
        order = [(offset + 3 * i) % len(calls) for i in range(2 * len(calls))]
        return [(i, dumped(calls[i])) for i in order]

    with ThreadPoolExecutor(6) as pool:
        for results in pool.map(worker, range(6)):
            for i, result in results:
                assert result == expected[i]


def test_keys_are_made_and_used_by_many_threads(owner: Owner) -> None:
    # Key generation calls back into Python for its bytes, from code that has released the interpreter lock.
    def worker(number: int) -> None:
        values = owner.values(number)
        keys = owner.key.public_key()
        blob = codec.dump_public_key(owner.parameters, keys)
        loaded = codec.load_public_key(owner.parameters, blob)
        assert codec.dump_public_key(owner.parameters, loaded) == blob
        ciphertext = codec.load_ciphertext(
            owner.parameters, codec.dump_ciphertext(owner.parameters, owner.encrypt(values, 2, SCALE))
        )
        noise.assert_error(owner.key.decrypt(ciphertext), values, noise.fresh(owner.parameters) / SCALE)

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(worker, range(16)):
            pass


SCRIPT = """
    import os, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    from hetorch.engine import codec
    from hetorch.engine.native import NativeEngine
    from hetorch.engine.secret import SecretKey
    from hetorch.params import ParameterSet

    p = ParameterSet.from_bits(1 << 11, [40, 40, 40], [45], security="none")
    key = SecretKey.generate(p)
    a = key.encrypt(np.zeros(p.slot_count), scale=2.0**40)
    engine = NativeEngine(p)
    before = codec.dump_ciphertext(p, engine.rescale(engine.add(a, a)))  # the pool of threads runs from here on
    child = os.fork()
    if child == 0:
        same = codec.dump_ciphertext(p, engine.rescale(engine.add(a, a))) == before
        os._exit(0 if same else 3)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_has_threads_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        env={**os.environ, "HETORCH_NUM_THREADS": "3"},
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
