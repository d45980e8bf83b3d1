# SPDX-License-Identifier: Apache-2.0
"""One message's path for operators: where it went, every try and what came of it; never what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.exchange import ExchangeState
from hub.outbox import DeliveryState
from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from hub.exchange import ExchangeRecord
    from hub.identifiers import SubsystemId
    from hub.outbox import Attempt, Delivery
    from hub.tlog import Entry


class StepKind(StrEnum):
    """What a step of a path is."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    TRY_FAILED = "try_failed"
    TRY_DONE = "try_done"
    TRY_RUNS = "try_runs"
    DEFERRED = "deferred"
    """The recipient signed that it has the message and answers later."""
    REPLAYED = "replayed"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"
    ANSWERED = "answered"
    DEAD = "dead"
    """Nobody tries any more; an operator has to decide."""
    CLOSED = "closed"
    """An operator decided that it shall not be delivered."""
    NEXT_TRY = "next_try"
    ERASED = "erased"


_OF_EVENT = {
    EntryEvent.ACCEPTED: StepKind.ACCEPTED,
    EntryEvent.DELIVERED: StepKind.DEFERRED,
    EntryEvent.REPLAYED: StepKind.REPLAYED,
    EntryEvent.ANSWERED: StepKind.ANSWERED,
    EntryEvent.REFUSED: StepKind.REFUSED,
    EntryEvent.FAILED: StepKind.FAILED,
    EntryEvent.DUPLICATE: StepKind.DUPLICATE,
    EntryEvent.ERASED: StepKind.ERASED,
}
_OF_STATE = {
    DeliveryState.WAITING: StepKind.NEXT_TRY,
    DeliveryState.CLAIMED: StepKind.TRY_RUNS,
    DeliveryState.DEFERRED: StepKind.NEXT_TRY,
    DeliveryState.DEAD: StepKind.DEAD,
    DeliveryState.CLOSED: StepKind.CLOSED,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        at: UTC; of a try when it began, of the next one when it is due.
        until: UTC; when a try ended.
        number: of a try, counted from 1 for each recipient, replays counted on.
        waited: since the try before ended.
        code: why it went wrong.
        detail: the facts of it, in English.
        recipient: where it was delivered, or is to be.
        index: of the log's entry that says so.
    """

    kind: StepKind
    at: datetime
    until: datetime | None = None
    number: int | None = None
    waited: timedelta | None = None
    code: str | None = None
    detail: str = ""
    recipient: SubsystemId | None = None
    index: int | None = None

    @property
    def is_try(self) -> bool:
        """Whether it is a try to deliver."""
        return self.number is not None

    @property
    def is_to_come(self) -> bool:
        """Whether it has not happened yet."""
        return self.kind is StepKind.NEXT_TRY


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The way to one recipient.

    Attributes:
        tries: oldest first.
        end: how it stands now: the next try, the one that runs, or that nobody tries any more; None when it
            arrived.
    """

    delivery: Delivery
    tries: tuple[Step, ...]
    end: Step | None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of it."""
        return (*self.tries, *((self.end,) if self.end else ()))


def lane_of(delivery: Delivery, attempts: Sequence[Attempt], now: datetime) -> Lane:
    """Return the way of one delivery."""
    tries: list[Step] = []
    for number, attempt in enumerate(attempts, start=1):
        before = tries[-1].until if tries else None
        tries.append(
            Step(
                kind=StepKind.TRY_DONE if attempt.code is None else StepKind.TRY_FAILED,
                at=attempt.started_at,
                until=attempt.ended_at,
                number=number,
                waited=attempt.started_at - before if before else None,
                code=attempt.code,
                detail=attempt.detail,
                recipient=delivery.recipient,
            )
        )
    return Lane(delivery=delivery, tries=tuple(tries), end=_end_of(delivery, tries, now))


def steps_of(
    record: ExchangeRecord, entries: Sequence[tuple[int, Entry]], lanes: Sequence[Lane]
) -> tuple[Step, ...]:
    """Return the whole path, in order of time; what is still to come stands last.

    Args:
        record: the exchange.
        entries: the log's about the request, each with its index.
        lanes: of the deliveries; a synchronous message has none.
    """
    steps = [Step(kind=StepKind.RECEIVED, at=record.received_at)]
    steps += [
        Step(kind=_OF_EVENT[entry.event], at=entry.at, code=entry.code, index=index)
        for index, entry in entries
    ]
    # An answer is logged under its own id, so the request's entries do not tell of it.
    if record.state is ExchangeState.PROCESSED and record.concluded_at is not None:
        steps.append(Step(kind=StepKind.ANSWERED, at=record.concluded_at))
    for lane in lanes:
        steps += lane.steps
    rank = list(StepKind)
    return tuple(sorted(steps, key=lambda each: (each.is_to_come, each.at, rank.index(each.kind))))


def _end_of(delivery: Delivery, tries: Sequence[Step], now: datetime) -> Step | None:
    kind = _OF_STATE.get(delivery.state)
    if kind is None:
        return None
    if kind is StepKind.TRY_RUNS:
        # A try is written down when it has ended.
        at = delivery.claimed_at or now
        return Step(kind=kind, at=at, number=len(tries) + 1, recipient=delivery.recipient)
    at = delivery.due_at if kind is StepKind.NEXT_TRY else delivery.ended_at or now
    # What failed last is told by the try; only an end has a reason of its own.
    code = None if kind is StepKind.NEXT_TRY else delivery.code
    return Step(kind=kind, at=at, code=code, recipient=delivery.recipient)
