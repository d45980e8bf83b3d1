# SPDX-License-Identifier: Apache-2.0
"""Putting messages in, claiming what is due, and entering what came of it.

Whatever ends a delivery is entered in the transaction that logs it, and only while the claim still stands: a
worker that was taken for dead and comes back finds that its delivery is in other hands, and its whole
transaction is undone. So a message ends once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from hub.clock import format_instant
from hub.errors import ExchangeError
from hub.outbox import store
from hub.outbox.model import Attempt, DeliveryState, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import ServingClaim, Writer
    from hub.identifiers import MessageId, ServiceId, SubsystemId
    from hub.outbox.model import (
        DeadLetterPage,
        DeadLetterSearch,
        Delivery,
        DeliveryNumber,
        Depth,
        Lane,
        NewDelivery,
    )
    from hub.tlog import LogPosition

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Claims:
    """How many claims there are beside this worker's decision.

    Attributes:
        by_lane: how many deliveries are claimed, by whichever worker.
        workers: how many processes serve.
    """

    by_lane: Mapping[Lane, int]
    workers: int


class Outbox:
    """The deliveries of all services.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's.
        clock: says what is due.
        claim: this process's; `number` is what rows name.
    """

    def __init__(self, engine: Engine, writer: Writer, clock: Clock, claim: ServingClaim) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._claim = claim
        self._listeners: list[Callable[[], None]] = []
        self._under_way: set[DeliveryNumber] = set()
        self._changing = threading.Lock()
        self._suspects: frozenset[tuple[DeliveryNumber, int]] = frozenset()

    @property
    def worker(self) -> int:
        """What a row says when this process is at it."""
        return self._claim.number

    def put(self, connection: Connection, new: NewDelivery, *, expected_by: datetime | None = None) -> None:
        """Put a message in, in the transaction that logs it; it is due at once.

        Args:
            connection: inside a unit of the writer.
            new: the delivery.
            expected_by: UTC; for when the recipient, which has it already, promised its answer. It is due
                then.
        """
        store.put(connection, new, self._clock.now())
        if expected_by is not None:
            store.defer(connection, new, min(expected_by, new.expires_at))

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a worker of this process told that something was put in, so that it need not wait to look."""
        self._listeners.append(listener)

    def announce(self) -> None:
        """Tell the workers of this process; to be called after the transaction."""
        for listener in self._listeners:
            listener()

    def claim(
        self, most: int, room: Callable[[Lane, ServiceId, Claims], int] | None = None
    ) -> list[Delivery]:
        """Claim what is due, and what has expired.

        What is due is looked for without holding anybody up; then it is claimed in a short transaction of its
        own, on PostgreSQL without a look at what others are just claiming.

        Args:
            most: how many in all.
            room: how many of a lane may begin; without it, as many as there are.
        """
        now = self._clock.now()
        numbers = self._find_due(now, most, room)
        return self._claim_these(numbers, now) if numbers else []

    def claim_deferred(self, message_id: MessageId, recipient: SubsystemId) -> Delivery | None:
        """Claim the delivery whose promised answer has come unasked; None when none was awaited."""
        numbers = [
            each.number
            for each in self.of_message(message_id)
            if each.recipient == recipient and each.state is DeliveryState.DEFERRED
        ]
        claimed = self._claim_these(numbers, self._clock.now()) if numbers else []
        return claimed[0] if claimed else None

    def _claim_these(self, numbers: list[DeliveryNumber], now: datetime) -> list[Delivery]:
        def work(connection: Connection) -> list[Delivery]:
            claimed = store.claim(connection, numbers, self._claim.number, now)
            with self._changing:
                # Before anybody can read the claim: who looks must never take it for abandoned.
                self._under_way.update(each.number for each in claimed)
            return claimed

        if self._engine.dialect.name == "postgresql":
            # Not through the writer: a claim needs neither the log nor its turn to write.
            with self._engine.begin() as connection:
                return work(connection)
        return self._writer.run(work)

    def _find_due(
        self, now: datetime, most: int, room: Callable[[Lane, ServiceId, Claims], int] | None
    ) -> list[DeliveryNumber]:
        with self._engine.connect() as connection:
            numbers = store.list_expired(connection, now, most)
            lanes = store.lanes_due(connection, now)
            if not lanes:
                return numbers
            claims = Claims(store.claimed_by_lane(connection), max(len(self._claim.living(connection)), 1))
            for lane, service in lanes:
                free = most if room is None else room(lane, service, claims)
                wanted = min(free, most - len(numbers))
                if wanted > 0:
                    numbers += store.list_due(connection, lane, now, wanted)
        return list(dict.fromkeys(numbers))

    def settle(self, connection: Connection, delivery: Delivery, ending: Ending) -> None:
        """Enter that the recipient answered, or refused the message for good.

        Raises:
            ExchangeError: `internal`: the delivery is in other hands by now.
        """
        self._end(connection, delivery, DeliveryState.DONE, ending)

    def bury(self, connection: Connection, delivery: Delivery, ending: Ending) -> None:
        """Enter that a message could not be delivered; raises as `settle` does."""
        self._end(connection, delivery, DeliveryState.DEAD, ending)

    def defer(
        self, connection: Connection, delivery: Delivery, *, at: datetime, expected_by: datetime
    ) -> None:
        """Enter that the recipient has it, and when it promised its answer; raises as `settle` does."""
        self._leave(
            connection,
            delivery,
            Ending(at=at),
            {
                "state": DeliveryState.DEFERRED.value,
                "expected_by": format_instant(expected_by),
                "due_at": format_instant(min(expected_by, delivery.expires_at)),
                "tries": 0,
                "code": None,
                "detail": None,
            },
        )

    def put_off(
        self, connection: Connection, delivery: Delivery, failure: Ending, *, due_at: datetime
    ) -> None:
        """Enter a failed attempt and when the next one is due; raises as `settle` does."""
        self._leave(
            connection,
            delivery,
            failure,
            {
                "state": _waiting_state(delivery),
                "due_at": format_instant(min(due_at, delivery.expires_at)),
                "code": failure.code,
                "detail": failure.detail,
            },
        )

    def hasten(self, connection: Connection, recipients: Collection[SubsystemId]) -> int:
        """Have what waits for recipients tried at once: they are back. Return how much there was."""
        return store.hasten(connection, recipients, self._clock.now())

    def give_back(self, connection: Connection, delivery: Delivery, failure: Ending) -> None:
        """Enter that an attempt was broken off, for a reason that is not the recipient's; due at once."""
        self._leave(
            connection,
            delivery,
            failure,
            {
                "state": _waiting_state(delivery),
                "due_at": format_instant(failure.at),
                "tries": max(delivery.tries - 1, 0),
            },
        )

    def _end(self, connection: Connection, delivery: Delivery, state: DeliveryState, ending: Ending) -> None:
        self._leave(
            connection,
            delivery,
            ending,
            {
                "state": state.value,
                "ended_at": format_instant(ending.at),
                "code": ending.code,
                "detail": ending.detail or None,
                "answer_sha256": ending.answer_sha256,
                "receipt_sha256": ending.receipt_sha256,
            },
        )

    def _leave(
        self, connection: Connection, delivery: Delivery, ending: Ending, values: Mapping[str, Any]
    ) -> None:
        if delivery.claimed_by is None or delivery.claimed_at is None:
            raise ValueError("only what was claimed can be left")
        if not store.leave(connection, delivery, values):
            raise ExchangeError("exchange.internal", f"delivery {delivery.number} is in other hands")
        store.add_attempt(
            connection,
            Attempt(
                delivery=delivery.number,
                attempt=delivery.attempts,
                started_at=delivery.claimed_at,
                ended_at=ending.at,
                code=ending.code,
                detail=ending.detail,
                worker=delivery.claimed_by,
            ),
        )

    def ended(self, delivery: Delivery) -> None:
        """Say that this process is at a delivery no more, whatever came of it."""
        with self._changing:
            self._under_way.discard(delivery.number)

    def look(self) -> int:
        """Let be delivered again what was already abandoned at the last look; return how many.

        Once is not enough: a process may have lost its claim with a connection and be about to take it again,
        and a row may have been read that was left a moment later. On SQLite, where one process serves at a
        time, what another one claimed is abandoned for certain.
        """
        abandoned = {(each.number, each.attempts): each for each in self._abandoned()}
        certain = self._engine.dialect.name == "sqlite"
        confirmed = [
            each
            for key, each in abandoned.items()
            if key in self._suspects or (certain and each.claimed_by != self.worker)
        ]
        self._suspects = frozenset(abandoned) - {(each.number, each.attempts) for each in confirmed}
        return self._writer.run(lambda connection: self._release(connection, confirmed)) if confirmed else 0

    def _abandoned(self) -> list[Delivery]:
        with self._engine.connect() as connection:
            # Who claims after this was read has begun nothing that the query after it could miss.
            claimed = store.list_claimed(connection)
            living = self._claim.living(connection)
        with self._changing:
            under_way = frozenset(self._under_way)
        return [
            each
            for each in claimed
            if each.claimed_by not in living
            or (each.claimed_by == self.worker and each.number not in under_way)
        ]

    def _release(self, connection: Connection, deliveries: Sequence[Delivery]) -> int:
        released = 0
        failure = Ending(at=self._clock.now(), code="exchange.internal", detail="the worker ended")
        for each in deliveries:
            try:
                self.give_back(connection, each, failure)
            except ExchangeError:
                # It was left while we looked.
                continue
            released += 1
        _logger.warning("outbox.released", count=released)
        return released

    def of_message(self, message_id: MessageId, connection: Connection | None = None) -> tuple[Delivery, ...]:
        """Return the deliveries of a message: one for each recipient."""
        if connection is not None:
            return store.of_message(connection, message_id)
        with self._engine.connect() as own:
            return store.of_message(own, message_id)

    def attempts_of(self, number: DeliveryNumber) -> tuple[Attempt, ...]:
        """Return every attempt of a delivery, the first one first."""
        with self._engine.connect() as connection:
            return store.attempts_of(connection, number)

    def depth(self) -> Mapping[ServiceId, Depth]:
        """Count what is in the outbox, by service; services with nothing are missing."""
        with self._engine.connect() as connection:
            return store.depth(connection)

    def find(self, number: DeliveryNumber) -> Delivery | None:
        """Return one delivery."""
        with self._engine.connect() as connection:
            return store.find(connection, number)

    def search(self, wanted: DeadLetterSearch) -> DeadLetterPage:
        """Return a page of dead letters."""
        with self._engine.connect() as connection:
            return store.search(connection, wanted)

    def count(self, wanted: DeadLetterSearch) -> int:
        """Count all dead letters a search finds."""
        with self._engine.connect() as connection:
            return store.count(connection, wanted)

    def codes(self, state: DeliveryState) -> tuple[str, ...]:
        """Return the codes there are among the dead, or the closed letters; by name."""
        with self._engine.connect() as connection:
            return store.codes(connection, state)

    def replay(self, connection: Connection, delivery: Delivery, *, by: str, position: LogPosition) -> bool:
        """Let a dead letter wait again, due at once; False when it is none any more."""
        return store.replay(connection, delivery, now=self._clock.now(), by=by, position=position)

    def close(self, connection: Connection, number: DeliveryNumber, *, by: str, reason: str) -> bool:
        """Leave a dead letter as it is, for good and with a reason; False when it is none."""
        return store.close(connection, number, by, reason)

    def supersede(self, connection: Connection, message_id: MessageId) -> None:
        """Close the dead letters of a message that its sender has sent once more."""
        store.close_of(connection, message_id, "sender", "sent again")


def _waiting_state(delivery: Delivery) -> str:
    # The recipient has it, whatever becomes of asking again.
    return (DeliveryState.WAITING if delivery.expected_by is None else DeliveryState.DEFERRED).value
