"""Results for others: their noise, and the plan that its bound comes from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hetorch.client import Client, Sharing, Vault
from hetorch.client.pinning import PinnedPlan
from hetorch.client.sharing_noise import checked_sharing, sharing_noise
from hetorch.errors import InputError, PlanUseError, VaultError
from hetorch.plan.plan import Plan
from hetorch.serving.models import serve_plan
from tests.client.test_client import ERROR, samples
from tests.server.live import live
from tests.server.small_plan import expected, small_plan


@pytest.fixture(scope="module")
def precise() -> Plan:
    """A plan whose predicted error is 1e-8; its results have a hundredth of it."""
    plan = small_plan()
    return dataclasses.replace(plan, report=dataclasses.replace(plan.report, predicted_error=1e-9))


@pytest.fixture(scope="module")
def precise_url(precise: Plan) -> Iterator[str]:
    with live({"small": serve_plan("small", precise)}) as address:
        yield address


@pytest.mark.parametrize("pin", ["plan", "public", "digest", "DIGEST", "folder"])
def test_shared_results_are_noisy_as_promised_and_counted(
    precise: Plan, precise_url: str, tmp_path: Path, pin: str
) -> None:
    public = precise.public()
    precise.save(tmp_path / "plan")
    pins: dict[str, PinnedPlan] = {
        "plan": precise,
        "public": public,
        "digest": public.sha256,
        "DIGEST": public.sha256.upper(),
        "folder": tmp_path / "plan",
    }
    sharing = Sharing(queries=3)
    x = samples(3)
    vault = Vault(tmp_path / "keys")
    with Client(precise_url, vault=vault, allow_insecure=True, pinned=pins[pin]) as client:
        error = client.predict(x, for_sharing=sharing) - expected(x)
        # sqrt(12 * 3) * 2^15 * sqrt(4) * 1e-8: one sample of 4 outputs a request
        sigma = 6 * 2**15 * 2 * 1e-8
        # 12 Gaussians: P(chi^2_12 < 12/32) and P(chi^2_12 > 96) are both below 1e-7.
        assert sigma**2 / 32 < np.mean(error**2) < 8 * sigma**2
        assert vault.shared(client.plan.parameters).results == 3
        with pytest.raises(VaultError, match="budget"):
            client.predict(x[0], for_sharing=sharing)
        assert np.abs(client.predict(x[0]) - expected(x[0])).max() < ERROR  # for the owner nothing changed


def test_a_plan_that_is_the_servers_word_gives_no_bound(
    client: Client, precise_url: str, vault: Vault
) -> None:
    with pytest.raises(InputError, match=r"the server's word: .*pinned="):
        client.predict(samples(1), for_sharing=Sharing(queries=1))
    assert client.timings == []
    with pytest.raises(PlanUseError, match="is not the pinned one"):
        Client(precise_url, vault=vault, allow_insecure=True, pinned=client.plan)
    with pytest.raises(InputError, match="64 hexadecimal digits, got a int"):
        Client(precise_url, vault=vault, allow_insecure=True, pinned=5)  # type: ignore[arg-type]


def test_a_precision_claimed_by_the_server_does_not_switch_the_noise_off(precise: Plan) -> None:
    """The floor: 6 deviations of the encryption noise and its rounding, sqrt((3.19^2 + 1/12) N/2), over the scale."""
    plan = dataclasses.replace(precise.public(), precision=1e-30)
    scale, n = plan.output_scale, plan.parameters.ring_degree
    floor = 6 * math.sqrt((3.19**2 + 1 / 12) * n / 2) / scale
    bound = checked_sharing(plan, Sharing(queries=1), 1, pinned=True).error_bound
    assert bound is not None and math.isclose(bound, floor, rel_tol=1e-9)
    with pytest.raises(InputError, match="1e-30 is below"):
        checked_sharing(plan, Sharing(queries=1, error_bound=1e-30), 1, pinned=True)
    # Real results of this plan are no better than that: the floor is not above what a plan can keep.
    assert floor < 1e-8


def test_noise_that_drowns_the_outputs_is_refused_unless_its_share_is_stated(client: Client) -> None:
    plan = client.plan  # it predicts an error of 1e-5, for a range of 10
    with pytest.raises(InputError, match=r"bound 9e-06 is below 1e-05"):
        checked_sharing(plan, Sharing(queries=1, error_bound=9e-6), 1, pinned=True)
    # sqrt(12 * 10) * 2^15 * sqrt(4) * 1e-5 = 7.18; a tenth of the range with 0.1 / (sqrt(120) * 2^16) = 1.4e-7
    with pytest.raises(
        InputError, match=r"7\.18, 0\.72 times .* \(10\).* shared_queries=10 \(precision=1e-07\)"
    ):
        checked_sharing(plan, Sharing(queries=10), 1, pinned=True)
    stated = checked_sharing(plan, Sharing(queries=10, most_noise=0.8), 1, pinned=True)
    assert math.isclose(sharing_noise(plan, stated, 1), 7.18, rel_tol=1e-3)
