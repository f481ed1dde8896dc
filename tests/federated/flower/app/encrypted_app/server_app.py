"""The ServerApp: Flower's with another strategy."""

from __future__ import annotations

import json
from pathlib import Path

from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from hetorch.federated.flower import EncryptedFedAvg
from hetorch.serving.isolation import loaded_secret_modules

from . import first_model

app = ServerApp()


@app.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run two rounds, and write what the server knows afterwards."""
    strategy = EncryptedFedAvg(str(context.run_config["roster"]), fewest_parties=3, step_timeout=180)
    arrays = ArrayRecord({name: Array(array) for name, array in first_model().items()})
    result = strategy.start(grid, arrays, num_rounds=2, timeout=300)
    summary = {
        "contributors": [metrics["contributors"] for metrics in result.train_metrics_clientapp.values()],
        "arrays": len(result.arrays),
        "secret_modules": loaded_secret_modules(),
    }
    Path(str(context.run_config["output"])).write_text(json.dumps(summary))
