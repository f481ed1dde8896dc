"""A round on the server: steps of the protocol as messages to the nodes of its parties, and back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid

from hetorch.errors import RoundVoidError, WireError
from hetorch.federated.aggregator import Aggregator, Outgoing
from hetorch.federated.flower.records import Step, content_of, data_of

log = logging.getLogger("flwr")


def content_or_none(reply: Message) -> RecordDict | None:
    """Return what a node answered; None, with a line in the log, if it is an error."""
    if not reply.has_error():
        return reply.content
    log.warning("node %s answered with an error: %s", reply.metadata.src_node_id, reply.error.reason)
    return None


@dataclass
class RunningRound:
    """A round after its keys.

    Args:
        number: that of Flower's round.
        grid: the way to the nodes.
        nodes: the node of each party of the round, by its index in it.
        parties: the indices of its parties in the roster that people agreed on.
        history: that of the model with which it begins.
        aggregator: its state.
        outgoing: what the parties are to get next.
        timeout: seconds to wait for a step.
    """

    number: int
    grid: Grid
    nodes: Mapping[int, int]
    parties: tuple[int, ...]
    history: bytes
    aggregator: Aggregator
    outgoing: Outgoing
    timeout: float

    def messages(self, step: Step, **records: object) -> list[Message]:
        """Return the messages of a step to the parties that are still in the round."""
        messages = []
        for party, data in self.outgoing.items():
            content = content_of(step, data, round=self.number)
            for name, record in records.items():
                content[name] = record
            messages.append(message_to(self.nodes[party], content))
        return messages

    def take(self, replies: Iterable[Message]) -> int:
        """Take the parties' answers of a step, end it, and return their number; RoundVoidError if too few came."""
        for reply in replies:
            content = content_or_none(reply)
            if content is None:
                continue
            try:
                self.aggregator = self.aggregator.receive(data_of(content))
            except WireError as error:
                log.warning("a message of node %s is ignored: %s", reply.metadata.src_node_id, error)
        count = len(self.aggregator.received)
        following, self.outgoing = self.aggregator.close()
        if following is not None:
            self.aggregator = following
        return count

    def step(self, step: Step) -> int:
        """Send a step, and return the number of answers; RoundVoidError if too few came."""
        return self.take(self.grid.send_and_receive(self.messages(step), timeout=self.timeout))

    def finish(self) -> int:
        """Send the shares of the sum, and return how many parties opened it; RoundVoidError if none did."""
        replies = self.grid.send_and_receive(self.messages(Step.FINISH), timeout=self.timeout)
        finished = sum(content_or_none(reply) is not None for reply in replies)
        if not finished:
            raise RoundVoidError("the round is void: no party could open the sum")
        return finished

    def forget(self) -> None:
        """Tell the parties that the round is void; they need not answer."""
        content = content_of(Step.VOID, round=self.number)
        self.grid.push_messages([message_to(node, content) for node in self.nodes.values()])


def message_to(node: int, content: RecordDict) -> Message:
    """Return a message to a node, of the kind that the app's train function would answer."""
    return Message(content, dst_node_id=node, message_type=MessageType.TRAIN)
