"""The memory of a client's process while it makes the keys of a bootstrapped plan, sends them and predicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hetorch.engine.codec import evaluation_keys_blob_bytes
from hetorch.engine.keys import all_links
from hetorch.plan.memory import link_memory
from hetorch.serving.models import serve_plan
from tests.engine.bootstrap_case import small_set
from tests.server.bootstrap_plan import bootstrap_plan
from tests.server.live import live

CLIENT = """
import json, sys
import numpy as np
from hetorch.client import Client

def peak():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")  # the peak is counted from here
    return 1024 * int(line.split()[1])

with Client(sys.argv[1], vault=sys.argv[2], allow_insecure=True, progress=False) as client:
    client.plan.samples(np.zeros(8), fewest=1)
    opened = peak()
    client.make_keys()
    made = peak()
    client.predict(np.zeros(8))
    print(json.dumps({"opened": opened, "made": made, "predicted": peak(), "torch": "torch" in sys.modules}))
"""


def test_a_client_holds_one_key_at_a_time(tmp_path: Path) -> None:
    plan = bootstrap_plan(small_set(1 << 13, (4, 3, 3), (3, 3, 2, 2)))
    parameters, spec = plan.parameters, plan.key_spec
    largest = max(link_memory(parameters, link) for link in all_links(parameters, spec))
    size = evaluation_keys_blob_bytes(parameters, spec)
    with live({"deep": serve_plan("deep", plan)}) as url:
        client = subprocess.run(
            [sys.executable, "-c", CLIENT, url, str(tmp_path / "vault")],
            stdout=subprocess.PIPE,
            text=True,
            timeout=240,
            check=True,
            env=os.environ | {"HETORCH_NUM_THREADS": "1"},
        )
    peaks = json.loads(client.stdout)
    assert not peaks["torch"]
    # A key, its errors and the residues of the secrets, and the bytes of a key twice; all keys together are more.
    assert peaks["made"] - peaks["opened"] < 6 * largest < size
    # Sending and predicting take less: pieces of the file, and a request.
    assert peaks["predicted"] < peaks["made"]
