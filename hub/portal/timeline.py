# SPDX-License-Identifier: Apache-2.0
"""What happened to a message, one moment after another, each with whose word it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub.envelope import Header
    from hub.exchange import ExchangeRecord
    from hub.portal.logproof import LogProof


class MomentKind(StrEnum):
    """What a moment is about."""

    SENT = "sent"
    """The sender signed the request; by the sender's clock."""
    RECEIVED = "received"
    """The hub had the last byte of it."""
    ACCEPTED = "accepted"
    ANSWER_SENT = "answer_sent"
    """The recipient signed the answer; by the recipient's clock."""
    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    RECEIPT = "receipt"
    """The hub signed the final receipt."""
    CHECKPOINT = "checkpoint"
    """A checkpoint of the log covers every entry about the message."""
    WITNESS = "witness"
    """A witness countersigned that checkpoint; by the witness's clock."""
    STAMP = "stamp"
    """An authority time-stamped a checkpoint that covers them."""
    STAMP_AWAITED = "stamp_awaited"
    CHECKPOINT_AWAITED = "checkpoint_awaited"


_OF_EVENT = {
    EntryEvent.ACCEPTED: MomentKind.ACCEPTED,
    EntryEvent.ANSWERED: MomentKind.ANSWERED,
    EntryEvent.REFUSED: MomentKind.REFUSED,
    EntryEvent.FAILED: MomentKind.FAILED,
    EntryEvent.DUPLICATE: MomentKind.DUPLICATE,
}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One moment.

    Attributes:
        at: UTC; None where nobody states a time.
        by: whose word and whose clock it is: a subsystem, `hub`, or an authority's name.
        index: of the log's entry that says so.
        size: of the checkpoint that it is about.
        code: why, for a refusal or failure.
    """

    kind: MomentKind
    by: str
    at: datetime | None = None
    index: int | None = None
    size: int | None = None
    code: str | None = None


HUB = "hub"


def moments_of(
    record: ExchangeRecord, question: Header | None, answer: Header | None, proof: LogProof
) -> tuple[Moment, ...]:
    """Return what happened, in order; what has no time of its own comes last."""
    moments = [Moment(kind=MomentKind.RECEIVED, by=HUB, at=record.received_at)]
    if question is not None:
        moments.append(Moment(kind=MomentKind.SENT, by=question.sender, at=question.sent_at))
    if answer is not None:
        moments.append(Moment(kind=MomentKind.ANSWER_SENT, by=answer.sender, at=answer.sent_at))
    moments += [
        Moment(
            kind=_OF_EVENT[each.logged.entry.event],
            by=HUB,
            at=each.logged.entry.at,
            index=each.logged.position.index,
            code=each.logged.entry.code,
        )
        for each in proof.entries
    ]
    if record.concluded_at is not None and record.receipt_sha256 is not None:
        moments.append(Moment(kind=MomentKind.RECEIPT, by=HUB, at=record.concluded_at, code=record.code))
    return (*_in_order(moments), *_seals(proof))


def _in_order(moments: Iterable[Moment]) -> list[Moment]:
    """Sort by time; of one instant, in the order in which things happen."""
    rank = list(MomentKind)
    timed = [(each.at, rank.index(each.kind), each) for each in moments if each.at is not None]
    return [each for *_, each in sorted(timed, key=lambda item: item[:2])]


def _seals(proof: LogProof) -> list[Moment]:
    if not proof.entries:
        return []
    checkpoint = proof.checkpoint
    if checkpoint is None:
        return [Moment(kind=MomentKind.CHECKPOINT_AWAITED, by=HUB)]
    seals = [Moment(kind=MomentKind.CHECKPOINT, by=HUB, size=checkpoint.size)]
    seals += [
        Moment(kind=MomentKind.WITNESS, by=name, at=at, size=checkpoint.size)
        for name, at in proof.witnesses.items()
    ]
    if proof.stamp is None:
        return [*seals, Moment(kind=MomentKind.STAMP_AWAITED, by=HUB)]
    stamp = proof.stamp
    return [
        *seals,
        Moment(kind=MomentKind.STAMP, by=stamp.authority, at=stamp.stamped_at, size=stamp.size),
    ]
