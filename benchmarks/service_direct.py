"""The predictions of a server without HTTP: the same workers parse requests, compute, and encode the responses.

`python -m benchmarks.service_direct PLAN KEYS WORKERS REQUEST...` reads two numbers a line of its input, seconds and
predictions that are asked for at once, and prints a JSON line with the number of predictions and the seconds taken.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from itertools import cycle
from pathlib import Path


async def main(plan: str, keys: str, workers: str, *requests: str) -> None:
    """Load the plan, and predict for as long as each line of stdin says."""
    from hetorch.serving.isolation import isolate

    isolate()
    from hetorch.server.endpoints import Endpoints
    from hetorch.server.settings import Settings
    from hetorch.serving.models import load_models

    models = load_models([Path(plan)])
    (name,) = models
    service = Endpoints(models, Settings(workers=int(workers), queue=1000)).service
    model = service.model(name, None)
    await service.workers.start()
    upload = Path(keys).read_bytes()
    key_id = await service.put(model.key_kind, io.BytesIO(upload), len(upload))
    bodies = cycle([Path(request).read_bytes() for request in requests])

    async def ask(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            await service.predict(model, key_id, next(bodies), lane="", timeout=60)
            count += 1
        return count

    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        seconds, at_once = line.split()
        start = time.perf_counter()
        counts = await asyncio.gather(*(ask(start + float(seconds)) for _ in range(int(at_once))))
        print(json.dumps({"count": sum(counts), "seconds": time.perf_counter() - start}), flush=True)
    await service.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
