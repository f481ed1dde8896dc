"""The strategy of a ServerApp: federated averaging in which the server relays and adds, and learns no model.

A round of Flower is one of the protocol, in seven exchanges: keys and shares before the app's training, then the
encrypted updates, the agreement on their sum, its opening, and the shares of the opening to all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result

from hetorch.errors import InputError, RoundVoidError, WireError
from hetorch.federated.aggregator import Aggregator
from hetorch.federated.flower.records import RECORD, Step, config_of, content_of, data_of
from hetorch.federated.flower.running_round import RunningRound, content_or_none, log, message_to
from hetorch.federated.flower.session import next_history, roster_of_round
from hetorch.federated.roster import Roster
from hetorch.federated.roster_file import MOST_BYTES, load_roster
from hetorch.regular_files import read_regular


class EncryptedFedAvg(FedAvg):  # type: ignore[misc]
    """Federated averaging of encrypted updates, with `EncryptedUpdates` in the ClientApp.

    The nodes hold the joint model, and nobody else: `Result.arrays` stays empty, and the server cannot evaluate. The
    aggregated metrics of a round's training are the number of contributors, 0 in a round that was void; the training
    goes on then with the model as it was.

    Args:
        roster: the roster that people agreed on, or its file (`hetorch.federated.roster_file`).
        fewest_parties: rounds are tried with as few parties when others are missing; by default all must be there. The
            nodes must allow it too (`hetorch-fewest-parties`).
        step_timeout: seconds to wait for the nodes in one exchange. The training itself has the timeout of `start`.
        options: those of FedAvg for evaluation and names of records; all parties train in each round.

    Raises:
        InputError: the roster cannot be read, or an option leaves parties out.
    """

    def __init__(
        self,
        roster: Roster | str | os.PathLike[str],
        *,
        fewest_parties: int | None = None,
        step_timeout: float = 600.0,
        **options: Any,
    ) -> None:
        if not isinstance(roster, Roster):
            roster = load_roster(read_regular(roster, MOST_BYTES).decode())
        for name in ("fraction_train", "min_train_nodes", "train_metrics_aggr_fn"):
            if name in options:
                raise InputError(
                    f"all parties of the roster train, and send no metrics of it; leave {name} out"
                )
        super().__init__(**options)
        self.roster = roster
        self.fewest_parties = roster.party_count if fewest_parties is None else max(3, fewest_parties)
        self.step_timeout = step_timeout
        self._round: RunningRound | None = None
        self._history: bytes | None = None
        """The history of the joint model; None before the first sum, when the nodes begin with the server's model."""
        self._nodes: dict[int, int] = {}
        """The node of each party of the last round that gave a sum, by its index in the roster."""

    def summary(self) -> None:
        """Log the roster."""
        log.info(
            "\t├──> Encrypted updates of %s parties, threshold %s",
            self.roster.party_count,
            self.roster.threshold,
        )
        log.info("\t└──> Roster: %s", self.roster.digest.hex())

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        *arguments: Any,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
        **options: Any,
    ) -> Result:
        """Run the rounds, as Strategy.start; InputError if the server is to evaluate a model that it does not know."""
        if evaluate_fn is not None or len(arguments) > 4:
            raise InputError(
                "the server does not know the joint model, so it has nothing to evaluate; nodes do"
            )
        return super().start(grid, initial_arrays, *arguments, **options)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Begin a round of the protocol, and return the messages with which its parties train."""
        self._round = None
        config["server-round"] = server_round
        try:
            self._round = self._begin(server_round, arrays, grid)
            self._round.step(Step.SHARES)
        except RoundVoidError as error:
            self._void(server_round, error)
            return []
        return self._round.messages(Step.TRAIN, **{self.configrecord_key: config})

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Take the parties through the rest of the round; the sum is theirs."""
        contributors = 0
        if self._round is not None:
            try:
                contributors = self._finish(self._round, replies)
            except RoundVoidError as error:
                self._void(server_round, error)
        self._round = None
        return None, MetricRecord({"contributors": contributors})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages with which nodes evaluate the joint model that they hold."""
        messages: list[Message] = list(super().configure_evaluate(server_round, ArrayRecord(), config, grid))
        for message in messages:
            message.content[RECORD] = content_of(Step.EVALUATE)[RECORD]
        return messages

    def _finish(self, running: RunningRound, replies: Iterable[Message]) -> int:
        """Return the number of contributors of a round whose parties have trained."""
        running.take(replies)
        contributors = running.step(Step.UPDATE)
        running.step(Step.AGREE)
        running.step(Step.OPEN)
        finished = running.finish()
        log.info("aggregate_train: the sum of %s updates, opened by %s parties", contributors, finished)
        self._history = next_history(running.history, running.aggregator.identifier)
        self._nodes = {running.parties[index]: node for index, node in running.nodes.items()}
        return contributors

    def _void(self, server_round: int, error: RoundVoidError) -> None:
        """Log that the round is void, and let its parties forget it."""
        log.warning("round %s gives no sum, and the model stays as it is: %s", server_round, error)
        if self._round is not None:
            self._round.forget()

    def _begin(self, server_round: int, arrays: ArrayRecord, grid: Grid) -> RunningRound:
        """Return a round whose parties have sent their keys, without those that are missing, if so few may be."""
        nodes = self._online(grid)
        parties = sorted(self._nodes) if self._history else list(range(self.roster.party_count))
        if self._history:
            parties = [party for party in parties if self._nodes[party] in nodes]
            nodes = [self._nodes[party] for party in parties]
        while len(parties) >= self.fewest_parties:
            found = self._keys(server_round, arrays, grid, parties, nodes)
            if isinstance(found, RunningRound):
                return found
            parties, nodes = sorted(found), [found[party] for party in sorted(found)]
        raise RoundVoidError(
            f"the round is void: {len(parties)} of {self.roster.party_count} parties are there with the same model, "
            f"{self.fewest_parties} must be; there are: {parties}"
        )

    def _keys(
        self, server_round: int, arrays: ArrayRecord, grid: Grid, parties: list[int], nodes: list[int]
    ) -> RunningRound | dict[int, int]:
        """Ask for round keys, and return the round, or the nodes of the parties whose keys came, by index."""
        content = content_of(Step.KEYS, parties=parties, round=server_round)
        if self._history is None:
            content[self.arrayrecord_key] = arrays
        messages = [message_to(node, content) for node in nodes]
        answers: dict[bytes, list[tuple[int, RecordDict]]] = {}
        for reply in grid.send_and_receive(messages, timeout=self.step_timeout):
            answer = content_or_none(reply)
            config = None if answer is None else config_of(answer)
            if config is not None and isinstance(history := config.get("history"), bytes):
                answers.setdefault(history, []).append((reply.metadata.src_node_id, answer))
        if not answers:
            return {}
        history = max(answers, key=lambda key: len(answers[key]))  # that of most nodes
        aggregator = Aggregator.begin(roster_of_round(self.roster, history, parties), server_round)
        found: dict[int, int] = {}
        for node, answer in answers[history]:
            try:
                following = aggregator.receive(data_of(answer))
            except WireError as error:
                log.warning("the key of node %s is ignored: %s", node, error)
                continue
            (index,) = following.received.keys() - aggregator.received.keys()
            found[index] = node
            aggregator = following
        if aggregator.missing:
            return {parties[index]: node for index, node in found.items()}
        running = RunningRound(
            server_round, grid, found, tuple(parties), history, aggregator, {}, self.step_timeout
        )
        running.take([])
        return running

    def _online(self, grid: Grid) -> list[int]:
        """Return the nodes; before the first sum, wait until there is one for each party."""
        end = time.monotonic() + self.step_timeout
        while True:
            nodes = list(grid.get_node_ids())
            if self._history or len(nodes) >= self.roster.party_count or time.monotonic() > end:
                return nodes
            time.sleep(1)
