"""`hetorch serve --engine seal`: the ordinary client, SEAL on the other side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hetorch.client import Client, Vault
from hetorch.params import ParameterSet
from tests.cli.command import hetorch, refusal, save_secure_plan, server_process
from tests.server.scrape import scrape_url
from tests.server.small_plan import expected, small_plan


def test_a_client_is_served_by_seal(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    vault = Vault(tmp_path / "owner" / "vault")
    x = np.random.default_rng(0).uniform(-1, 1, (3, 8))
    with (
        server_process([plan], tmp_path, "--engine", "seal") as (url, _),
        Client(url, vault=vault, model="small0") as client,
    ):
        # The bound of the native engine at scale 2^40 and N = 2^13, though SEAL's digits are not centred.
        assert np.abs(client.predict(x) - expected(x)).max() < 2.0**-16
        metrics = scrape_url(url)
        assert metrics("secret_modules") == 0 and metrics.has("secret_modules")


def test_what_seal_cannot_run_is_refused_at_start(tmp_path: Path) -> None:
    path = tmp_path / "wide.hetorch"
    parameters = ParameterSet.from_bits(1 << 13, [42, 40, 40], [45, 45], digit_size=2)
    small_plan(0, parameters).save(path)
    message = refusal("serve", path, "--engine", "seal", "--port", 0)
    assert "digits of 2 primes" in message and "compile the model with --engine seal" in message
    assert "native, seal" in hetorch("serve", path, "--engine", "gpu", "--port", 0, code=2).stderr
