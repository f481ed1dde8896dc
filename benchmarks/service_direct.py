"""The predictions of a server without HTTP: as many workers parse requests, compute, and encode the responses.

`python -m benchmarks.service_direct PLAN KEYS WORKERS REQUEST...` reads a number of seconds a line. For each it prints
a JSON line with the number of predictions, the seconds that they took, and the processor time of the process.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from itertools import cycle
from pathlib import Path


def main(plan: str, keys: str, workers: str, *requests: str) -> None:
    """Load the plan, and run its workers for as long as each line of stdin says."""
    from hetorch.server.isolation import isolate

    isolate()
    from hetorch.engine.codec import load_evaluation_keys
    from hetorch.server.models import load_models
    from hetorch.wire.predict import dump_response, load_request

    (model,) = load_models([Path(plan)]).values()
    parameters, spec = model.plan.parameters, model.plan.key_spec
    loaded = load_evaluation_keys(parameters, spec, Path(keys).read_bytes())
    bodies = [Path(name).read_bytes() for name in requests]

    def work(end: float, counts: list[int]) -> None:
        count = 0
        for body in cycle(bodies):
            request = load_request(model.public, body)
            result = model.run(loaded, request.ciphertexts)
            dump_response(model.public, request.key_id, result, body)
            count += 1
            if time.perf_counter() > end:
                break
        counts.append(count)

    print("ready", flush=True)
    for line in sys.stdin:
        counts: list[int] = []
        start, cpu = time.perf_counter(), time.process_time()
        threads = [
            threading.Thread(target=work, args=(start + float(line), counts)) for _ in range(int(workers))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        print(json.dumps({"count": sum(counts), "seconds": seconds, "cpu_seconds": used}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
