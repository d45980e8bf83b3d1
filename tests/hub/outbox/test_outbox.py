# SPDX-License-Identifier: Apache-2.0
"""Every delivery is claimed by one worker at a time, ends once, and is never lost with a worker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import DBAPIError

from hub.clock import FixedClock, SystemClock
from hub.contracts import Pattern
from hub.database import ServingClaim, Writer, open_database
from hub.errors import ExchangeError
from hub.identifiers import MessageId, ServiceId, SubsystemId, new_message_id
from hub.outbox import DeliveryState, Ending, NewDelivery, Outbox
from hub.outbox.store import delivery_attempts
from tests.postgresql import on_postgresql, on_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from hub.outbox import Delivery

SERVICE = ServiceId("11510108MB1A00002M/employment/echo")
EMPLOYMENT = SubsystemId("11510108MB1A00002M/employment")
FUND = SubsystemId("13510108MB1A00003J/fund")
START = datetime.fromisoformat("2026-11-23T08:00:00+00:00")


class Process:
    """A hub process, as far as the outbox can tell."""

    def __init__(self, url: str, clock: FixedClock) -> None:
        self.clock = clock
        self.engine: Engine = open_database(url)
        self.writer = Writer(self.engine)
        self.claim = ServingClaim(self.engine)
        self.outbox = Outbox(self.engine, self.writer, clock, self.claim)

    def put(self, *new: NewDelivery) -> None:
        def work(connection: Any) -> None:
            for each in new:
                self.outbox.put(connection, each)

        self.writer.run(work)

    def settle(self, delivery: Delivery, code: str | None = None) -> None:
        ending = Ending(at=self.clock.now(), code=code, receipt_sha256="0" * 64)
        self.writer.run(lambda connection: self.outbox.settle(connection, delivery, ending))
        self.outbox.ended(delivery)

    def bury(self, delivery: Delivery) -> None:
        ending = Ending(at=self.clock.now(), code="exchange.undeliverable")
        self.writer.run(lambda connection: self.outbox.bury(connection, delivery, ending))
        self.outbox.ended(delivery)

    def put_off(self, delivery: Delivery, seconds: float) -> None:
        now = self.clock.now()
        failure = Ending(at=now, code="exchange.undeliverable", detail="the test says so")
        due_at = now + timedelta(seconds=seconds)
        self.writer.run(lambda connection: self.outbox.put_off(connection, delivery, failure, due_at=due_at))
        self.outbox.ended(delivery)

    def close(self) -> None:
        self.writer.close()
        self.claim.release()
        self.engine.dispose()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def process(database_url: str, clock: FixedClock) -> Iterator[Process]:
    process = Process(database_url, clock)
    process.claim.take()
    yield process
    process.close()


@pytest.fixture
def other(process: Process, database_url: str, clock: FixedClock) -> Iterator[Process]:
    other = Process(database_url, clock)
    other.claim.take()
    yield other
    other.close()
    del process


def new(**changes: Any) -> NewDelivery:
    message_id = new_message_id(SystemClock().now())
    fields: dict[str, Any] = {
        "message_id": message_id,
        "conversation": message_id,
        "sender": FUND,
        "recipient": EMPLOYMENT,
        "service": SERVICE,
        "kind": Pattern.REQUEST,
        "is_ordered": False,
        "expires_at": START + timedelta(hours=1),
        "log_index": 0,
        "log_leaf": "0" * 64,
        "request_sha256": "0" * 64,
    }
    return NewDelivery(**(fields | changes))


def test_what_was_put_in_is_claimed_once(process: Process) -> None:
    delivery = new()
    process.put(delivery)
    [claimed] = process.outbox.claim(10)
    assert (claimed.message_id, claimed.state, claimed.claimed_by, claimed.attempts, claimed.tries) == (
        delivery.message_id,
        DeliveryState.CLAIMED,
        process.outbox.worker,
        1,
        1,
    )
    assert process.outbox.of_message(delivery.message_id) == (claimed,)
    assert process.outbox.claim(10) == []


@on_postgresql
def test_workers_that_claim_at_the_same_time_never_claim_the_same(process: Process, other: Process) -> None:
    process.put(*(new() for _ in range(300)))
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda each: [one.number for _ in range(40) for one in each.outbox.claim(7)],
                (process, other),
            )
        )
    numbers = [number for each in found for number in each]
    assert len(numbers) == len(set(numbers)) == 300


def test_an_ending_is_entered_with_its_attempt(process: Process) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.settle(claimed)
    [ended] = process.outbox.of_message(claimed.message_id)
    assert (ended.state, ended.ended_at, ended.claimed_by) == (DeliveryState.DONE, START, None)
    [attempt] = process.outbox.attempts_of(claimed.number)
    assert (attempt.attempt, attempt.code, attempt.worker) == (1, None, process.outbox.worker)


def test_an_attempt_that_was_written_down_is_never_changed(process: Process) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.settle(claimed)
    with pytest.raises(DBAPIError, match="append-only"):
        process.writer.run(lambda connection: connection.execute(update(delivery_attempts).values(detail="")))


def test_it_ends_once(process: Process) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.settle(claimed)
    with pytest.raises(ExchangeError, match="other hands"):
        process.bury(claimed)
    assert len(process.outbox.attempts_of(claimed.number)) == 1


def test_what_was_put_off_is_due_later_and_never_after_its_expiry(
    process: Process, clock: FixedClock
) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.put_off(claimed, 60)
    assert process.outbox.claim(1) == []
    clock.move_to(START + timedelta(seconds=60))
    [again] = process.outbox.claim(1)
    assert (again.attempts, again.tries, again.code) == (2, 2, "exchange.undeliverable")
    process.put_off(again, 90_000)
    [waiting] = process.outbox.of_message(again.message_id)
    assert waiting.due_at == waiting.expires_at


def test_what_has_expired_is_claimed_whatever_stands_in_its_way(process: Process, clock: FixedClock) -> None:
    process.put(new(expires_at=START + timedelta(seconds=1)))
    assert process.outbox.claim(1, lambda *_: 0) == []
    clock.move_to(START + timedelta(seconds=1))
    assert len(process.outbox.claim(1, lambda *_: 0)) == 1


def test_a_lane_without_room_does_not_hold_up_the_others(process: Process) -> None:
    busy = ServiceId(f"{EMPLOYMENT}/busy")
    process.put(*(new(service=busy) for _ in range(20)), new())
    [claimed] = process.outbox.claim(5, lambda _lane, service, _claims: 0 if service == busy else 5)
    assert claimed.service == SERVICE


def test_what_is_ordered_goes_one_after_the_other_and_everything_else_beside_it(process: Process) -> None:
    first = new(is_ordered=True)
    behind = [new(is_ordered=True, conversation=first.conversation) for _ in range(2)]
    free = new(conversation=first.conversation)
    process.put(first, *behind, free)
    order: list[list[MessageId]] = []
    while claimed := process.outbox.claim(10):
        order.append([each.message_id for each in claimed])
        for each in claimed:
            process.settle(each)
    assert order == [[first.message_id, free.message_id], *([each.message_id] for each in behind)]


def test_a_dead_one_holds_up_those_behind_it_until_it_has_expired(
    process: Process, clock: FixedClock
) -> None:
    first = new(is_ordered=True, expires_at=START + timedelta(minutes=1))
    process.put(first, new(is_ordered=True, conversation=first.conversation))
    [claimed] = process.outbox.claim(10)
    process.bury(claimed)
    assert process.outbox.claim(10) == []
    clock.move_to(first.expires_at)
    assert len(process.outbox.claim(10)) == 1


def test_a_second_try_of_its_sender_takes_the_place_of_the_dead_one(process: Process) -> None:
    delivery = new()
    process.put(delivery)
    [claimed] = process.outbox.claim(1)
    process.bury(claimed)
    process.put(delivery)
    [waiting] = process.outbox.of_message(delivery.message_id)
    assert (waiting.state, waiting.number, waiting.attempts, waiting.tries, waiting.code) == (
        DeliveryState.WAITING,
        claimed.number,
        1,
        0,
        None,
    )
    [again] = process.outbox.claim(1)
    process.settle(again)
    assert [each.attempt for each in process.outbox.attempts_of(claimed.number)] == [1, 2]


def test_what_somebody_is_at_is_not_released(process: Process) -> None:
    process.put(new())
    process.outbox.claim(1)
    assert [process.outbox.look() for _ in range(3)] == [0, 0, 0]


@on_postgresql
def test_what_a_living_process_is_at_is_not_released_by_another(process: Process, other: Process) -> None:
    process.put(new())
    process.outbox.claim(1)
    assert [other.outbox.look() for _ in range(3)] == [0, 0, 0]


@on_postgresql
def test_what_an_ended_process_was_at_is_released_at_the_second_look(
    process: Process, other: Process
) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.claim.release()
    assert [other.outbox.look() for _ in range(3)] == [0, 1, 0]
    [again] = other.outbox.claim(1)
    assert (again.number, again.attempts, again.tries) == (claimed.number, 2, 1)
    [attempt] = other.outbox.attempts_of(claimed.number)
    assert (attempt.code, attempt.worker) == ("exchange.internal", process.outbox.worker)
    with pytest.raises(ExchangeError, match="other hands"):
        process.settle(claimed)
    other.settle(again)
    assert other.outbox.of_message(claimed.message_id)[0].state is DeliveryState.DONE


@on_sqlite
def test_what_an_earlier_process_was_at_is_released_when_the_next_one_starts(
    process: Process, database_url: str, clock: FixedClock
) -> None:
    process.put(new())
    process.outbox.claim(1)
    process.claim.release()
    following = Process(database_url, clock)
    following.claim.take()
    assert following.outbox.look() == 1
    assert len(following.outbox.claim(1)) == 1
    following.close()


def test_what_this_process_lost_sight_of_is_released_at_the_second_look(process: Process) -> None:
    process.put(new())
    [claimed] = process.outbox.claim(1)
    process.outbox.ended(claimed)
    assert [process.outbox.look() for _ in range(3)] == [0, 1, 0]


def test_what_is_in_the_outbox_is_counted_by_service(process: Process, clock: FixedClock) -> None:
    process.put(*(new() for _ in range(3)))
    [one, two] = process.outbox.claim(2)
    process.bury(one)
    depth = process.outbox.depth()[SERVICE]
    assert (depth.waiting, depth.claimed, depth.deferred, depth.dead) == (1, 1, 0, 1)
    assert depth.oldest_waiting_since == START
    now = clock.now()
    process.writer.run(
        lambda connection: process.outbox.defer(
            connection, two, at=now, expected_by=now + timedelta(minutes=1)
        )
    )
    assert process.outbox.depth()[SERVICE].deferred == 1


def test_who_listens_is_told(process: Process) -> None:
    told: list[str] = []
    process.outbox.listen(lambda: told.append("put"))
    process.outbox.announce()
    assert told == ["put"]


@on_sqlite
def test_what_is_before_a_message_in_its_conversation_is_found_by_an_index(process: Process) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(process.engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    process.put(new())
    process.outbox.claim(1)
    [(query, values)] = [each for each in asked if "earlier" in each[0]]
    with process.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    plan = [row[3] for row in rows]
    assert any("deliveries_in_order" in step for step in plan), plan
    assert any("deliveries_waiting" in step for step in plan), plan
