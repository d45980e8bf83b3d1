# SPDX-License-Identifier: Apache-2.0
"""Alarms kept in the database: raised, counted, cleared, acknowledged."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.alarms import store
from hub.alarms.model import alarm_kinds
from hub.errors import AlarmError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.alarms.model import Alarm
    from hub.clock import Clock
    from hub.database import Writer

MOST_ALARMS_AT_A_TIME = 1_000
LONGEST_TEXT = 2_000
_WRITTEN_AGAIN_AFTER = timedelta(minutes=1)
_MOST_REMEMBERED = 4_096
_logger = structlog.get_logger(__name__)


@dataclass
class _Said:
    """What was last written of an alarm, and how often the same was said since."""

    is_open: bool
    written_at: datetime
    times: int = 0


class Alarms:
    """Keeps alarms; an alarm is known by its code and subject.

    `raise_alarm` and `clear` hand their writing to the writer's thread and return at once, so they may be
    called from any thread, from a coroutine, and from inside a unit of the writer. In the last case mind that
    the alarm is written by a unit of its own: it stands even when the unit that raised it is rolled back.
    Neither ever raises for want of a database; the log then says so.

    The same said again within a minute is counted in memory and written later, so an alarm may be raised with
    every message. What another process changes in an alarm is noticed after that minute.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's writer.
        clock: says when.
    """

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._said: OrderedDict[tuple[str, str], _Said] = OrderedDict()
        self._lock = threading.Lock()

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        """Say that something needs an operator; counts the alarm on while it is open.

        Args:
            code: a row of `alarms.toml`; another one is a fault of the program (KeyError).
            subject: what it is about.
            detail: the facts, in English; no personal data, no secrets. Cut at 2,000 characters.
        """
        kind = alarm_kinds()[code]
        now = self._clock.now()
        times = self._times_to_write(code, subject, now, is_open=True)
        if not times:
            return
        said = store.RaisedAlarm(code, subject[:LONGEST_TEXT], detail[:LONGEST_TEXT], now, times)

        def announce(is_new: bool) -> None:  # noqa: FBT001 - what the unit of work returned
            if is_new:
                _logger.warning(
                    "alarm.raised",
                    code=code,
                    severity=kind.severity.value,
                    subject=said.subject,
                    detail=said.detail,
                )

        self._write(lambda connection: store.raise_alarm(connection, said), announce, (code, subject))

    def clear(self, code: str, subject: str) -> None:
        """Say that it is over; nothing when there is no such alarm."""
        if code not in alarm_kinds():
            raise KeyError(code)
        now = self._clock.now()
        if not self._times_to_write(code, subject, now, is_open=False):
            return
        kept = subject[:LONGEST_TEXT]

        def announce(is_over: bool) -> None:  # noqa: FBT001 - what the unit of work returned
            if is_over:
                _logger.info("alarm.cleared", code=code, subject=kept)

        self._write(
            lambda connection: store.clear_alarm(connection, code, kept, now), announce, (code, subject)
        )

    def acknowledge(self, alarm_id: int, by: str) -> Alarm:
        """Note that somebody takes care of an alarm; who was first stays.

        Raises:
            AlarmError: `alarm.unknown`.
        """
        now = self._clock.now()

        def note(connection: Connection) -> Alarm | None:
            store.acknowledge_alarm(connection, alarm_id, by, now)
            return store.read_alarm(connection, alarm_id)

        alarm = self._writer.run(note)
        if alarm is None:
            raise AlarmError("alarm.unknown", f"no alarm {alarm_id}")
        return alarm

    def alarms(self, *, with_cleared: bool = False, most: int = MOST_ALARMS_AT_A_TIME) -> tuple[Alarm, ...]:
        """Return the newest alarms that are durable, newest first; the open ones unless told otherwise."""
        with self._engine.connect() as connection:
            return store.read_alarms(connection, most, with_cleared=with_cleared)

    def _times_to_write(self, code: str, subject: str, now: datetime, *, is_open: bool) -> int:
        """Return how often it is to be counted now; 0 when nothing needs to be written."""
        with self._lock:
            said = self._said.get((code, subject))
            is_said = said is not None and said.is_open == is_open
            if said is not None and is_said and now < said.written_at + _WRITTEN_AGAIN_AFTER:
                said.times += 1
                return 0
            times = 1 + (said.times if said is not None and is_said else 0)
            self._said[code, subject] = _Said(is_open, now)
            self._said.move_to_end((code, subject))
            while len(self._said) > _MOST_REMEMBERED:
                self._said.popitem(last=False)
            return times

    def _write(
        self, work: Callable[[Connection], bool], announce: Callable[[bool], None], key: tuple[str, str]
    ) -> None:
        def on_done(future: Future[bool]) -> None:
            error = future.exception()
            if error is None:
                announce(future.result())
            else:
                self._forget(key, error)

        try:
            future = self._writer.submit(work)
        except RuntimeError as error:
            # The hub is closing and keeps nothing any more.
            self._forget(key, error)
        else:
            future.add_done_callback(on_done)

    def _forget(self, key: tuple[str, str], error: BaseException) -> None:
        """Let the next call write again what could not be written now."""
        with self._lock:
            self._said.pop(key, None)
        code, subject = key
        _logger.error("alarm.not_written", code=code, subject=subject, error=type(error).__name__)
