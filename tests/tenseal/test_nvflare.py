"""The calls of NVFlare's filters of homomorphic encryption, under both packages: provisioning, encryption of weighted
updates, addition by a server without the secret key, decryption; from `nvflare.app_opt.he` and
`nvflare.lighter.impl.he` of NVFlare 2.9."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal
from numpy.typing import NDArray

import hetorch.tenseal as ts

pytestmark = [
    pytest.mark.filterwarnings("ignore::hetorch.errors.KeySwitchNoiseWarning"),
    pytest.mark.filterwarnings("ignore::hetorch.errors.LegacySecurityWarning"),
]

PACKAGES = {"hetorch": ts, "tenseal": tenseal}
ITERATIONS = [10, 20, 30]
SCALE = 2.0**40
RING_DEGREE = 8192
SIZES = {"weight": (50, 100), "bias": (7,)}
TOLERANCE = 8 * math.sqrt(3) * 3.2 * math.sqrt(4 * RING_DEGREE / 3) * math.sqrt(RING_DEGREE / 2) / SCALE
"""Eight standard deviations of the errors of three encryptions under a public key, in a slot: each coefficient has
sigma sqrt(4N/3), a slot sqrt(N/2) times as much. The division by the sum of the iterations makes them smaller, and what
it rounds, sqrt(N/18) a coefficient, is smaller still."""
Kits = tuple[bytes, bytes]


def provision(package: Any) -> Kits:
    """HEBuilder: the context of the server's kit, and that of each client's, which is the same for all."""
    context = package.context(
        package.SCHEME_TYPE.CKKS,
        poly_modulus_degree=RING_DEGREE,
        coeff_mod_bit_sizes=[60, 40, 40],
        encryption_type=package.ENCRYPTION_TYPE.SYMMETRIC,
    )
    context.generate_relin_keys()
    context.global_scale = 2**40
    server, client = (
        context.serialize(
            save_public_key=is_client, save_secret_key=is_client, save_galois_keys=False, save_relin_keys=True
        )
        for is_client in (False, True)
    )
    return server, client


def updates() -> list[dict[str, NDArray[np.float64]]]:
    rng = np.random.default_rng(3)
    return [{name: rng.normal(size=shape) / 100 for name, shape in SIZES.items()} for _ in ITERATIONS]


def encrypt(package: Any, client: bytes, update: dict[str, NDArray[np.float64]], iterations: int) -> Any:
    """HEModelEncryptor and the decomposer: what a client sends, vector and public context for each array."""
    context = package.context_from(client)
    sent = {}
    for name, array in update.items():
        vector = package.ckks_vector(context, array.ravel() * np.float64(iterations))
        sent[name] = (vector.serialize(), vector.context().serialize())
    return sent


def aggregate(package: Any, server: bytes, sent: list[Any]) -> dict[str, bytes]:
    """WeightedAggregationHelper, HEModelShareableGenerator and HEModelSerializeFilter, without the secret key."""
    totals: dict[str, Any] = {}
    for update in sent:
        for name, (data, context) in update.items():
            vector = package.ckks_vector_from(package.context_from(context), data)
            assert isinstance(vector, package.CKKSVector)
            totals[name] = totals[name] + vector if name in totals else vector
    result = {}
    kit = package.context_from(server)
    assert not kit.is_private()
    for name, total in totals.items():
        mean = total * (1.0 / sum(ITERATIONS))
        base = np.zeros(mean.size())  # the first global model is in clear
        result[name] = package.ckks_vector_from(kit, (mean + base).serialize()).serialize()
    return result


def decrypt(package: Any, client: bytes, data: dict[str, bytes]) -> dict[str, NDArray[np.float64]]:
    """HEModelDecryptor."""
    context = package.context_from(client)
    vectors = {name: package.ckks_vector_from(context, blob) for name, blob in data.items()}
    return {name: np.array(v.decrypt(secret_key=context.secret_key())) for name, v in vectors.items()}


@pytest.mark.parametrize("at_server", PACKAGES)
@pytest.mark.parametrize("at_client", PACKAGES)
@pytest.mark.parametrize("kits_by", PACKAGES)
def test_a_round_gives_fedavg_whoever_runs_which_package(
    kits_by: str, at_client: str, at_server: str
) -> None:
    server, client = provision(PACKAGES[kits_by])
    package = PACKAGES[at_client]
    sent = [
        encrypt(package, client, update, count) for update, count in zip(updates(), ITERATIONS, strict=True)
    ]
    found = decrypt(package, client, aggregate(PACKAGES[at_server], server, sent))
    for name, values in found.items():
        expected = np.average([u[name].ravel() for u in updates()], axis=0, weights=ITERATIONS)
        assert np.abs(values - expected).max() < TOLERANCE


def test_a_server_cannot_decrypt_and_one_client_can_decrypt_anothers_update() -> None:
    """What NVFlare's one key for all means: the documentation says it, and this shows it."""
    server, client = provision(ts)
    update = updates()[0]
    sent = encrypt(ts, client, update, 1)
    data, context = sent["bias"]
    for public in (server, context):
        with pytest.raises(ValueError, match="secret_key"):
            ts.ckks_vector_from(ts.context_from(public), data).decrypt()
    others = decrypt(ts, client, {"bias": data})
    assert np.abs(others["bias"] - update["bias"]).max() < TOLERANCE


def test_the_alias_of_the_documentation_serves_nvflares_imports(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "nvflare.md"
    (alias,) = [
        block.split("```")[0].split("\n", 1)[1]
        for block in page.read_text().split("```python")[1:]
        if "sys.modules" in block
    ]
    (tmp_path / "tenseal.py").write_text(alias)
    program = (
        "import tenseal as ts\n"
        "from tenseal.tensors.ckksvector import CKKSVector\n"
        "import hetorch.tenseal\n"
        "assert ts is hetorch.tenseal and CKKSVector is hetorch.tenseal.CKKSVector is ts.CKKSVector\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
