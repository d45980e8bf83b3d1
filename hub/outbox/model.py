# SPDX-License-Identifier: Apache-2.0
"""One delivery: a message on its way to one recipient, from the hub's promise to what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from datetime import datetime

    from hub.contracts import Pattern
    from hub.identifiers import MessageId, ServiceId, SubsystemId

DeliveryNumber = NewType("DeliveryNumber", int)
"""Counted from 1, in the order in which messages were accepted."""

Lane = NewType("Lane", str)
"""What shares one partner's rate, concurrency and breaker: a service, or a subscriber of an event service."""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    """A worker is at it."""
    DEFERRED = "deferred"
    """The recipient has it and will answer later; it is asked again when the answer was promised for."""
    DONE = "done"
    """The recipient answered, or refused it for good."""
    DEAD = "dead"
    """It could not be delivered; somebody has to look at it."""
    CLOSED = "closed"
    """A dead letter that somebody has looked at and left as it is, with a reason."""


OPEN_STATES = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.DEFERRED)


def lane_of(service: ServiceId, recipient: SubsystemId) -> Lane:
    """Return the lane of what goes to a service, or of a service's events for one subscriber."""
    is_its_own = service.startswith(f"{recipient}/")
    return Lane(service if is_its_own else f"{service} {recipient}")


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """What is put into the outbox.

    Attributes:
        sender: who sent the message.
        recipient: whose gateway it goes to; for an event the subscriber.
        is_ordered: whether it waits for what came before it in its conversation.
        expires_at: UTC; from then on it is delivered no more.
        log_index: where the log says that the hub took it.
        log_leaf: that entry's leaf hash, hexadecimal.
        request_sha256: of the container; its bytes are in the vault.
    """

    message_id: MessageId
    conversation: MessageId
    sender: SubsystemId
    recipient: SubsystemId
    service: ServiceId
    kind: Pattern
    is_ordered: bool
    expires_at: datetime
    log_index: int
    log_leaf: str
    request_sha256: str


@dataclass(frozen=True, kw_only=True)
class Delivery(NewDelivery):
    """A row of the outbox.

    Attributes:
        attempts: how often it was claimed, ever.
        tries: how often since it was put in, replayed or deferred; what the schedule counts.
        replays: how often an operator had it delivered once more.
        due_at: UTC; when it is tried next.
        expected_by: UTC; for when the recipient promised its answer.
        claimed_by: the worker's serving number while it is claimed.
        code: why the last attempt failed, or why it ended so.
        detail: the facts of it.
        replayed_by: who had it delivered once more last.
        closed_by: who closed the dead letter, and `closed_reason` why.
    """

    number: DeliveryNumber
    state: DeliveryState
    attempts: int
    tries: int
    replays: int
    due_at: datetime
    expected_by: datetime | None
    claimed_by: int | None
    claimed_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    code: str | None
    detail: str | None
    answer_sha256: str | None
    receipt_sha256: str | None
    replayed_by: str | None
    closed_by: str | None
    closed_reason: str | None

    @property
    def lane(self) -> Lane:
        """Which lane it goes by."""
        return lane_of(self.service, self.recipient)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What came of an attempt that ended a delivery.

    Attributes:
        code: None when the recipient answered well.
        answer_sha256: of the answer, or of the fault.
        receipt_sha256: of the hub's final receipt.
    """

    at: datetime
    code: str | None = None
    detail: str = ""
    answer_sha256: str | None = None
    receipt_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to deliver; what was written of it is never changed.

    Attributes:
        attempt: counted from 1 for each delivery.
        code: why it failed; None for an answer, or for a receipt that promises one.
        worker: the serving number of the process.
    """

    delivery: DeliveryNumber
    attempt: int
    started_at: datetime
    ended_at: datetime
    code: str | None
    detail: str
    worker: int


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How much of one service is in the outbox.

    Attributes:
        oldest_waiting_since: UTC; when the oldest of those waiting was put in.
    """

    waiting: int = 0
    claimed: int = 0
    deferred: int = 0
    dead: int = 0
    oldest_waiting_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DeadLetterSearch:
    """Which dead letters are looked for: those that fit everything that is given.

    Attributes:
        since: UTC; that ended then or later, `until` before then.
        state: dead, or closed.
        cursor: what the page before ended with.
        most: how many at most.
    """

    service: ServiceId | None = None
    code: str | None = None
    recipient: SubsystemId | None = None
    sender: SubsystemId | None = None
    message_id: MessageId | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: DeliveryState = DeliveryState.DEAD
    cursor: DeliveryNumber | None = None
    most: int = 100


@dataclass(frozen=True)
class DeadLetterPage:
    """Some dead letters, the youngest message first.

    Attributes:
        cursor: where the next page begins; None when this is the last.
    """

    letters: tuple[Delivery, ...]
    cursor: DeliveryNumber | None
