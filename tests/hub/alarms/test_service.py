# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.alarms import Alarm, Alarms, AlarmSink, LoggedAlarms
from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.errors import AlarmError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CODE, OTHER = "trust.tsa_unreachable", "trust.stamps_waiting"


@dataclass(frozen=True)
class Running:
    engine: Engine
    writer: Writer
    clock: FixedClock
    alarms: Alarms

    def settled(self, *, with_cleared: bool = False) -> tuple[Alarm, ...]:
        """What is kept once everything queued before is written."""
        self.writer.run(lambda _connection: None)
        return self.alarms.alarms(with_cleared=with_cleared)

    def pass_time(self, **duration: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**duration))


@pytest.fixture
def running(database_url: str) -> Iterator[Running]:
    engine = open_database(database_url)
    writer = Writer(engine)
    clock = FixedClock(NOW)
    yield Running(engine, writer, clock, Alarms(engine, writer, clock))
    writer.close()
    engine.dispose()


def test_an_alarm_is_raised_once_while_it_lasts_and_counted(running: Running) -> None:
    with capture_logs() as logs:
        for minute in range(3):
            running.alarms.raise_alarm(CODE, "the log", f"try {minute}")
            running.pass_time(minutes=1)
        [alarm] = running.settled()
    assert (alarm.kind.code, alarm.subject, alarm.detail) == (CODE, "the log", "try 2")
    assert (alarm.raised_at, alarm.last_raised_at) == (NOW, NOW + timedelta(minutes=2))
    assert (alarm.count, alarm.is_open, alarm.cleared_at) == (3, True, None)
    assert [(log["event"], log["code"], log["subject"]) for log in logs] == [
        ("alarm.raised", CODE, "the log")
    ]


def test_what_is_said_a_thousand_times_within_a_minute_is_written_twice_and_counted_in_full(
    running: Running,
) -> None:
    for _ in range(1000):
        running.alarms.raise_alarm(CODE, "the log", "down")
    assert [alarm.count for alarm in running.settled()] == [1]
    running.pass_time(minutes=1)
    running.alarms.raise_alarm(CODE, "the log", "down")
    assert [alarm.count for alarm in running.settled()] == [1001]


def test_an_alarm_that_is_over_is_cleared_and_may_come_again(running: Running) -> None:
    with capture_logs() as logs:
        running.alarms.raise_alarm(CODE, "the log", "down")
        running.pass_time(seconds=5)
        running.alarms.clear(CODE, "the log")
        assert running.settled() == ()
        running.pass_time(seconds=5)
        running.alarms.raise_alarm(CODE, "the log", "down again")
        again, first = running.settled(with_cleared=True)
    assert (first.cleared_at, first.is_open) == (NOW + timedelta(seconds=5), False)
    assert (again.detail, again.is_open, again.count) == ("down again", True, 1)
    assert [log["event"] for log in logs] == ["alarm.raised", "alarm.cleared", "alarm.raised"]


def test_clearing_what_was_never_raised_says_and_keeps_nothing(running: Running) -> None:
    with capture_logs() as logs:
        running.alarms.clear(CODE, "the log")
        assert running.settled(with_cleared=True) == ()
    assert logs == []


def test_alarms_of_other_codes_and_subjects_are_left_alone(running: Running) -> None:
    for code in (CODE, OTHER):
        for subject in ("the log", "documents"):
            running.alarms.raise_alarm(code, subject, "down")
    running.alarms.clear(CODE, "the log")
    left = {(alarm.kind.code, alarm.subject) for alarm in running.settled()}
    assert left == {(CODE, "documents"), (OTHER, "the log"), (OTHER, "documents")}


def test_an_alarm_that_another_process_raised_is_cleared_here(running: Running) -> None:
    other = Alarms(running.engine, running.writer, running.clock)
    other.raise_alarm(CODE, "the log", "down")
    running.alarms.clear(CODE, "the log")
    assert running.settled() == ()
    # The other one's memory says it is open; after a minute it writes again, and counts what it had not.
    other.raise_alarm(CODE, "the log", "down")
    running.pass_time(minutes=1)
    other.raise_alarm(CODE, "the log", "down")
    assert [alarm.count for alarm in running.settled()] == [2]


def test_the_database_itself_refuses_a_second_open_alarm(running: Running) -> None:
    threads = [
        threading.Thread(
            target=Alarms(running.engine, running.writer, running.clock).raise_alarm,
            args=(CODE, "the log", "down"),
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [alarm.count for alarm in running.settled()] == [8]


def test_a_coroutine_raises_an_alarm_while_the_writer_is_busy(running: Running) -> None:
    release = threading.Event()

    async def raise_beside_a_slow_unit() -> None:
        slow = running.writer.submit(lambda _connection: release.wait(10))
        running.alarms.raise_alarm(CODE, "the log", "down")
        assert not slow.done()
        release.set()
        assert await asyncio.wrap_future(slow)

    asyncio.run(raise_beside_a_slow_unit())
    assert [alarm.subject for alarm in running.settled()] == ["the log"]


def test_an_alarm_raised_inside_a_unit_stands_although_the_unit_fails(running: Running) -> None:
    def fail(connection: Connection) -> None:
        del connection
        running.alarms.raise_alarm(CODE, "the log", "down")
        raise ValueError("the unit fails")

    with pytest.raises(ValueError, match="the unit fails"):
        running.writer.run(fail)
    assert [alarm.subject for alarm in running.settled()] == ["the log"]


def test_what_cannot_be_written_is_logged_and_written_with_the_next_call(running: Running) -> None:
    with running.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE alarms RENAME TO elsewhere")
    with capture_logs() as logs:
        running.alarms.raise_alarm(CODE, "the log", "down")
        running.writer.run(lambda _connection: None)
    assert [(log["event"], log["code"]) for log in logs] == [("alarm.not_written", CODE)]
    with running.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO alarms")
    running.alarms.raise_alarm(CODE, "the log", "down")
    assert [alarm.count for alarm in running.settled()] == [1]


def test_an_alarm_after_the_writer_is_closed_is_logged(running: Running) -> None:
    running.writer.close()
    with capture_logs() as logs:
        running.alarms.raise_alarm(CODE, "the log", "down")
        running.alarms.clear(CODE, "the log")
    assert [log["event"] for log in logs] == ["alarm.not_written", "alarm.not_written"]


def test_a_code_that_is_none_is_a_fault_of_the_program(running: Running) -> None:
    with pytest.raises(KeyError):
        running.alarms.raise_alarm("trust.none", "the log", "down")
    with pytest.raises(KeyError):
        running.alarms.clear("trust.none", "the log")


def test_who_takes_note_first_stays_and_the_alarm_stays_open(running: Running) -> None:
    running.alarms.raise_alarm(CODE, "the log", "down")
    [alarm] = running.settled()
    assert alarm.acknowledged_by is None
    first = running.alarms.acknowledge(alarm.id, "Li Wei")
    running.pass_time(minutes=5)
    second = running.alarms.acknowledge(alarm.id, "Zhao Li")
    assert (first.acknowledged_by, first.acknowledged_at) == ("Li Wei", NOW)
    assert second == first
    assert first.is_open


def test_an_alarm_that_is_none_cannot_be_acknowledged(running: Running) -> None:
    with pytest.raises(AlarmError) as refused:
        running.alarms.acknowledge(1, "Li Wei")
    assert refused.value.code == "alarm.unknown"


def test_texts_are_cut_and_the_newest_come_first(running: Running) -> None:
    for number in range(5):
        running.alarms.raise_alarm(CODE, f"{number}", "x" * 5_000)
    running.settled()
    found = running.alarms.alarms(most=2)
    assert [(alarm.subject, len(alarm.detail)) for alarm in found] == [("4", 2_000), ("3", 2_000)]


@pytest.mark.parametrize("is_kept", [True, False])
def test_every_sink_says_the_beginning_and_the_end_once(running: Running, is_kept: bool) -> None:  # noqa: FBT001 - a parameter of the case
    sink: AlarmSink = running.alarms if is_kept else LoggedAlarms()
    with capture_logs() as logs:
        for _ in range(2):
            sink.raise_alarm(CODE, "the log", "down")
        for _ in range(2):
            sink.clear(CODE, "the log")
        running.settled()
    assert [log["event"] for log in logs] == ["alarm.raised", "alarm.cleared"]
