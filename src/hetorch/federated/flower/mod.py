"""The mod of a ClientApp: what the app's train function returns is encrypted, and leaves the node in no other way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from hetorch.errors import InputError, RoundVoidError
from hetorch.federated.flower.joint_model import Arrays, NodeState, update_digest
from hetorch.federated.flower.kept_party import KeptParty
from hetorch.federated.flower.records import (
    RECORD,
    Step,
    arrays_of,
    config_of,
    content_of,
    data_of,
    record_of,
)
from hetorch.federated.flower.session import roster_of_round
from hetorch.federated.roster import Roster
from hetorch.federated.roster_file import MOST_BYTES, load_roster
from hetorch.regular_files import open_regular, read_regular
from hetorch.wire.frame import load_header

CallNext = Callable[[Message, Context], Message]
ROSTER, IDENTITY, FEWEST = "hetorch-roster", "hetorch-identity", "hetorch-fewest-parties"
"""Keys of the node's configuration (`flower-supernode --node-config`), which its owner writes."""

_ANEW = "this node has no model of this run: it has begun anew since the run began"
_SAME = (
    "this update was sent in a round that gave this node no sum. The same one is not sent again, because the "
    "difference of two sums could be it; seed the training with the round's number"
)


class EncryptedUpdates:
    """A mod that takes part in rounds of `EncryptedFedAvg`, and refuses every other message.

    The app's train and evaluate functions get the joint model, which only the nodes know. What train returns, an
    ArrayRecord and the number of samples, is encrypted; its other records are dropped. What evaluate returns is sent as
    it is, so it may hold no arrays.

    The node's configuration has `hetorch-roster`, a file with the roster that people agreed on, `hetorch-identity`, a
    file with the 32 private bytes of this party, and may have `hetorch-fewest-parties`: rounds of as few parties are
    taken part in when others are missing; by default all must be there.

    Args:
        arrayrecord_key: the name of the ArrayRecord in the app's messages.
        weighted_by_key: the name of the number of samples in the app's MetricRecord.
    """

    def __init__(self, arrayrecord_key: str = "arrays", weighted_by_key: str = "num-examples") -> None:
        self.arrayrecord_key = arrayrecord_key
        self.weighted_by_key = weighted_by_key

    def __call__(self, message: Message, context: Context, call_next: CallNext) -> Message:
        """Answer a message of the strategy."""
        config = config_of(message.content)
        if config is None:
            raise InputError(
                "this node's updates are encrypted, so it answers nothing but messages of EncryptedFedAvg; the server "
                "runs another strategy, or sent a query"
            )
        step = Step(config["step"])
        kind = message.metadata.message_type
        if kind != (MessageType.EVALUATE if step is Step.EVALUATE else MessageType.TRAIN):
            raise InputError(
                f"the step {step} came in a message of the kind {kind}, which the strategy does not send"
            )
        if step is Step.KEYS:
            return Message(self._begin(message.content, config, context), reply_to=message)
        state = NodeState.load(context)
        if state is None:
            raise RoundVoidError(_ANEW)
        if step is Step.EVALUATE:
            return self._evaluate(message, context, call_next, state)
        if not state.kept or int(config["round"]) != state.round_number:
            raise RoundVoidError(
                "this node is not in that round: it was too late, or an earlier message ended it"
            )
        party = KeptParty(state.kept)
        if step is Step.VOID:  # the next round may have begun meanwhile: its state is left alone
            party.end()
            return Message(RecordDict(), reply_to=message)
        try:
            content = self._continue(step, message, context, call_next, state)
        except Exception:
            party.end()
            replace(state, kept="").save(context)
            raise
        return Message(content, reply_to=message)

    def _begin(self, content: RecordDict, config: ConfigRecord, context: Context) -> RecordDict:
        """Begin a round, and return the round key and the history of this node's model."""
        roster, identity, fewest = _read_node(context)
        state = NodeState.load(context)
        if state is None:
            arrays = content.array_records.get(self.arrayrecord_key)
            if arrays is None:
                raise RoundVoidError(_ANEW)
            state = NodeState.begin(context.run_id, arrays_of(arrays))
        if state.kept:
            KeptParty(state.kept).end()
        parties = sorted({int(party) for party in config["parties"]})
        if len(parties) < fewest:
            raise InputError(f"the round is of {len(parties)} parties; this node wants at least {fewest}")
        of_round = roster_of_round(roster, state.history, parties)
        number = int(config["round"])
        party, key = KeptParty.begin(of_round, identity, number)
        replace(state, round_number=number, kept=party.folder).save(context)
        return content_of(Step.KEYS, key, history=state.history)

    def _continue(
        self, step: Step, message: Message, context: Context, call_next: CallNext, state: NodeState
    ) -> RecordDict:
        """Take the next step of a round, and return the answer; the node's state is what it is before the step."""
        party, data = KeptParty(state.kept), data_of(message.content)
        if step is Step.TRAIN:
            party.receive(data)
            update, sample_count = self._train(message, context, call_next, state)
            digest = update_digest(update, sample_count)
            roster, _, fewest = _read_node(context)
            # Where all parties of the roster must contribute, there is no other sum to take this one from.
            always_all = roster.fewest_contributors == fewest == roster.party_count
            if digest in state.exposed and not always_all:
                raise RoundVoidError(_SAME, exposed=True)
            answer = party.encrypt(update, sample_count)
            replace(state, trained=digest).save(context)
        elif step is Step.UPDATE:
            answer = party.receive(data)
            replace(state, exposed=(*state.exposed, state.trained)).save(context)
        elif step is Step.FINISH:
            state.after(party.finish(data), load_header(data).key_id).save(context)
            return content_of(step)
        else:
            answer = party.receive(data)
        return content_of(step, answer)

    def _train(
        self, message: Message, context: Context, call_next: CallNext, state: NodeState
    ) -> tuple[Arrays, int]:
        """Run the app's train function on the joint model, and return its update and number of samples."""
        reply = self._call(message, context, call_next, state)
        records, metrics = list(reply.content.array_records.values()), reply.content.metric_records
        counts = [
            record[self.weighted_by_key] for record in metrics.values() if self.weighted_by_key in record
        ]
        if len(records) != 1 or len(counts) != 1:
            raise InputError(
                f"the app's train function must return one ArrayRecord, and one MetricRecord with "
                f"{self.weighted_by_key!r}; it returned {len(records)} and {len(counts)}"
            )
        return state.update_of(arrays_of(records[0])), int(counts[0])

    def _evaluate(self, message: Message, context: Context, call_next: CallNext, state: NodeState) -> Message:
        """Run the app's evaluate function on the joint model; its answer may hold no arrays."""
        reply = self._call(message, context, call_next, state)
        if reply.content.array_records:
            raise InputError(
                "the app's evaluate function returned arrays, which would be sent in clear; metrics may be"
            )
        return reply

    def _call(self, message: Message, context: Context, call_next: CallNext, state: NodeState) -> Message:
        """Give the app a message with the joint model, and without the records of this package."""
        content = message.content
        for name in [name for name in content if name.startswith(RECORD)]:
            del content[name]
        content[self.arrayrecord_key] = record_of(state.model)
        reply = call_next(message, context)
        if reply.has_error():
            raise InputError(f"the app answered with an error: {reply.error.reason}")
        return reply


def _read_node(context: Context) -> tuple[Roster, bytes, int]:
    """Return the roster, the private identity and the fewest parties of the node's configuration.

    Raises:
        InputError: a key is missing, or others may read the identity.
        OSError: a file cannot be read.
    """
    config = context.node_config
    for key in (ROSTER, IDENTITY):
        if not isinstance(config.get(key), str):
            raise InputError(
                f"the node's configuration (flower-supernode --node-config) has no {key}, the path of a file"
            )
    roster = load_roster(read_regular(str(config[ROSTER]), MOST_BYTES).decode())
    with open_regular(str(config[IDENTITY])) as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise InputError(f"others can read the file of {IDENTITY}, which is secret; give it the mode 600")
        identity = file.read(64)
    return roster, identity, int(config.get(FEWEST, roster.party_count))
