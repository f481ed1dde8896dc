"""Rounds with an aggregator in a process of its own: the mean of FedAvg, lost parties, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.errors import RoundVoidError
from hetorch.federated import Aggregator, Identity, Party, Roster, RoundResult
from hetorch.federated.http.party import AggregatorAddress, take_part
from hetorch.federated.http.sizes import message_bytes, most_reply_bytes
from hetorch.serving.isolation import SECRET_MODULES
from hetorch.wire import addresses
from hetorch.wire.frame import HEADER_BYTES, Kind
from tests.federated.http.running import aggregator_process, take_part_together
from tests.federated.rounds import Update, mean_error_bound, roster_of, weighted_mean

OCTETS = {"Content-Type": addresses.OCTETS}
SAMPLES = [10, 11, 12, 13]


class Dies(Exception):
    """The end of a party, in place of that of its process: its connections are closed."""


@dataclass(frozen=True)
class Setting:
    """Four parties and their aggregator."""

    url: str
    process: subprocess.Popen[str]
    roster: Roster
    identities: dict[int, Identity]
    updates: dict[int, Update]


def parties() -> tuple[Roster, dict[int, Identity], dict[int, Update]]:
    rng = np.random.default_rng(1)
    identities = {index: Identity.generate() for index in range(4)}
    updates: dict[int, Update] = {
        index: {"w": rng.uniform(-1, 1, (40, 60)), "b": rng.uniform(-1, 1, 7)} for index in range(4)
    }
    return roster_of(list(identities.values()), updates[0], 3), identities, updates


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    roster, identities, updates = parties()
    with aggregator_process(roster, tmp_path) as (url, process):
        yield Setting(url, process, roster, identities, updates)


def dying(victim: int, last: Kind) -> Callable[[int, Kind], None]:
    def before(party: int, step: Kind) -> None:
        if party == victim and step is last:
            raise Dies

    return before


def check_mean(setting: Setting, results: dict[int, RoundResult]) -> None:
    expected = weighted_mean(list(setting.updates.values()), SAMPLES)
    for result in results.values():
        assert result.contributors == (0, 1, 2, 3)
        for name, values in expected.items():
            assert np.abs(result.arrays[name] - values).max() <= mean_error_bound(setting.roster, SAMPLES)


def test_all_parties_get_the_mean(setting: Setting) -> None:
    results, errors, traffic = take_part_together(
        setting.url, setting.roster, setting.identities, setting.updates
    )
    assert sorted(results) == [0, 1, 2, 3], errors
    check_mean(setting, results)
    assert traffic.up == sum(message_bytes(setting.roster, step) for step in Aggregator.STEPS)
    # In the step of shares there is one for each other party, and the bound on the answer allows one more.
    spare = message_bytes(setting.roster, Kind.ROUND_SHARE) - HEADER_BYTES
    largest = sum(most_reply_bytes(setting.roster, step) for step in Aggregator.STEPS)
    assert traffic.down == largest - spare // 3


def test_lost_parties_are_noticed_by_their_connections(setting: Setting) -> None:
    """No test waits for the time of a step to pass: it is longer than the tests may take."""
    ask = (setting.url, setting.roster, setting.identities, setting.updates)
    results, errors, _ = take_part_together(*ask, 1, dying(2, Kind.ROUND_AGREEMENT))
    assert sorted(results) == [0, 1, 3]
    assert isinstance(errors[2], Dies)
    check_mean(setting, results)
    results, errors, _ = take_part_together(*ask, 2, dying(1, Kind.ROUND_UPDATE))
    assert not results
    for party in (0, 2, 3):
        error = errors[party]
        assert isinstance(error, RoundVoidError)
        assert error.exposed
        assert "in the step round_update 3 parties of 4 sent something, 4 must; missing: [1]" in str(error)
        assert str(error).count("the round is void") == 1
    results, errors, _ = take_part_together(*ask, 3, dying(0, Kind.ROUND_SHARE))
    assert not results
    assert not any(error.exposed for error in errors.values() if isinstance(error, RoundVoidError))
    results, errors, _ = take_part_together(*ask, 4)
    assert len(results) == 4, errors


def test_what_it_refuses(setting: Setting) -> None:
    def code(path: str, content: bytes, headers: dict[str, str] = OCTETS, method: str = "POST") -> str:
        answer = http.request(method, path, content=content, headers=headers)
        assert 400 <= answer.status_code < 500
        return str(answer.json()["code"])

    key_bytes = message_bytes(setting.roster, Kind.ROUND_KEY)
    _, key = Party(setting.roster, setting.identities[0]).begin(7)
    other = setting.roster.__class__(
        "other", setting.roster.identities, 3, setting.roster.arrays, setting.roster.most_samples
    )
    _, other_key = Party(other, setting.identities[0]).begin(1)
    changed = key[:-1] + bytes([key[-1] ^ 1])
    path = addresses.round_step(1, "round_key", 0)
    with httpx.Client(base_url=setting.url, trust_env=False, timeout=30) as http:
        assert code(path, bytes(key_bytes)) == "message_malformed"
        assert code(path, changed) == "message_malformed"
        assert code(path, key) == "message_malformed"  # it is of round 7
        assert code(path, other_key) == "message_malformed"
        assert code(path, bytes(key_bytes + 1)) == "body_too_large"
        assert code(path, bytes(key_bytes - 1)) == "body_too_short"
        assert code(path, bytes(key_bytes), {"Content-Type": "text/plain"}) == "content_type_unsupported"
        assert code(path, b"", method="PUT") == "method_not_allowed"
        for wrong in ("/", "/v1/rounds/1/round_key/4", "/v1/rounds/x/round_key/0", "/v1/rounds/1/no_step/0"):
            assert code(wrong, bytes(key_bytes)) == "no_such_address"
        assert code(f"/v1/rounds/{1 << 63}/round_key/0", bytes(key_bytes)) == "no_such_address"
        length = message_bytes(setting.roster, Kind.ROUND_OPENING)
        assert code(addresses.round_step(1, "round_opening", 0), bytes(length)) == "round_not_begun"
        assert code(addresses.round_presence(1, 0), key) == "message_malformed"
        assert code(addresses.round_step(7, "round_key", 1), key) == "message_malformed"  # it is party 0's
        # None of it began a round, or hinders one.
        results, errors, _ = take_part_together(
            setting.url, setting.roster, setting.identities, setting.updates, 5
        )
        assert len(results) == 4, errors
        assert code(path, key) == "round_passed"
        assert code(addresses.round_presence(5, 0), key) == "message_malformed"


def test_a_message_may_be_sent_again(setting: Setting) -> None:
    """After a broken connection the same bytes get the same answer, and other bytes of that party none."""
    sent: dict[str, bytes] = {}
    answers: dict[str, bytes] = {}

    class Twice(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            path, body = request.url.path, request.read()
            response = super().handle_request(request)
            answer = response.read()
            if "presence" not in path:
                sent[path], answers[path] = body, answer
            return httpx.Response(
                response.status_code, headers=response.headers, stream=httpx.ByteStream(answer)
            )

    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(
                take_part,
                Party(setting.roster, setting.identities[index]),
                1,
                setting.updates[index],
                sample_count=SAMPLES[index],
                aggregator=AggregatorAddress(
                    setting.url, timeout=300, transport=Twice() if index == 0 else None
                ),
            )
            for index in range(4)
        ]
        assert len([future.result() for future in futures]) == 4
    assert len(sent) == len(Aggregator.STEPS)
    with httpx.Client(base_url=setting.url, trust_env=False, timeout=30) as http:
        for path, body in sent.items():
            assert http.post(path, content=body, headers=OCTETS).content == answers[path]


def test_a_step_ends_in_time(tmp_path: Path) -> None:
    roster, identities, updates = parties()
    del identities[3]
    with aggregator_process(roster, tmp_path, seconds=0.5) as (url, _):
        results, errors, _ = take_part_together(url, roster, identities, updates)
    assert not results
    assert all("in the step round_key" in str(error) for error in errors.values())


def test_without_an_aggregator_the_round_is_void(setting: Setting) -> None:
    def stopped(party: int, step: Kind) -> None:
        if party == 0 and step is Kind.ROUND_AGREEMENT:
            setting.process.kill()
            setting.process.wait()

    party = Party(setting.roster, setting.identities[0])
    results, errors, _ = take_part_together(
        setting.url, setting.roster, setting.identities, setting.updates, 1, stopped
    )
    assert not results
    assert all(isinstance(error, RoundVoidError) and error.exposed for error in errors.values()), errors
    with pytest.raises(RoundVoidError, match=r"no server answers.* is the aggregator running") as caught:
        take_part(party, 2, setting.updates[0], sample_count=1, aggregator=AggregatorAddress(setting.url))
    assert not caught.value.exposed


@pytest.mark.parametrize("how", ["stdin", "SIGINT", "SIGTERM"])
def test_the_process_ends(setting: Setting, how: str) -> None:
    if how == "stdin":
        assert setting.process.stdin is not None
        setting.process.stdin.close()
    else:
        os.kill(setting.process.pid, signal.Signals[how])
    assert setting.process.wait(60) == 0


def test_a_roster_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "roster.json").write_text('{"session": 1}')
    command = [sys.executable, "-m", "hetorch.federated.http.serve_rounds"]
    run = subprocess.run(
        [*command, str(tmp_path / "roster.json"), str(tmp_path / "ready"), "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("this is no roster as hetorch writes it")
    assert run.stderr.count("\n") == 1


def test_the_process_can_import_no_code_that_knows_secrets() -> None:
    program = (
        "import sys\n"
        "from hetorch.serving.isolation import isolate, loaded_secret_modules\n"
        "isolate()\n"
        "import hetorch.federated.http.service, hetorch.federated.http.serve_rounds, hetorch.server.run\n"
        "assert not loaded_secret_modules()\n"
        "print(*sorted(name for name in sys.modules if name.startswith('hetorch')))\n"
        "import hetorch.federated.http.party\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "hetorch.federated.http.running_round" in run.stdout
    assert "SecretImportError" in run.stderr
    assert not [name for name in run.stdout.split() if name in SECRET_MODULES or ".party" in name]
