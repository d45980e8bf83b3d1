# SPDX-License-Identifier: Apache-2.0
"""Looking after what passes, every few seconds, in a thread of its own: counts are written, alarms raised.

Every process of a hub does it. What they write adds up, and an alarm is one however many raise it.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.clock import format_instant
from hub.operations import store
from hub.operations.readiness import WORKER
from hub.operations.weather import BREAKERS_KEPT, worst_of
from hub.outbox import BreakerState
from hub.telemetry import free_mebibytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from hub.alarms import Alarms
    from hub.clock import Clock
    from hub.database import Writer
    from hub.identifiers import ServiceId
    from hub.operations.flows import Flows
    from hub.operations.gateways import Gateways
    from hub.operations.traffic import Counted, Traffic
    from hub.outbox import Depth, Lane, Outbox, Pauses

DEAD_LETTERS = "delivery.dead_letters"
OVERDUE = "delivery.overdue"
BREAKER_OPEN = "delivery.breaker_open"
DISK = "hub.disk_nearly_full"

_FLUSH_SECONDS = 5.0
_LOOK_SECONDS = 15.0
_TIDY_SECONDS = 3_600.0
_WATCHED = "watch"
_NOT_WATCHED_FOR = timedelta(minutes=2)
_MINUTES_KEPT = timedelta(days=35)
_LAST_ROUND_SECONDS = 5.0
_logger = structlog.get_logger(__name__)


class Deliverer(Protocol):
    """What delivers from the outbox in this process, or does not."""

    @property
    def number(self) -> int:
        """Names this process to the others."""
        ...

    @property
    def is_at_work(self) -> bool:
        """Whether it takes deliveries up just now."""
        ...

    def breakers(self) -> Mapping[Lane, BreakerState]:
        """Return how its breakers stand."""
        ...


class Watch:
    """Writes down what was counted, and tells operators what they have to know.

    Args:
        data_folder: whose disk is watched.
        disk_alarm_mebibytes: with less than this left on it, there is an alarm.
        outbox_alarm: how long a delivery may wait before there is one.
        gateways: whose silence is noticed.
    """

    def __init__(  # noqa: PLR0913 - its dependencies
        self,
        *,
        engine: Engine,
        writer: Writer,
        clock: Clock,
        alarms: Alarms,
        traffic: Traffic,
        flows: Flows,
        outbox: Outbox,
        pauses: Pauses,
        deliverer: Deliverer,
        data_folder: Path,
        disk_alarm_mebibytes: int,
        outbox_alarm: timedelta,
        gateways: Gateways | None = None,
    ) -> None:
        self._gateways = gateways
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._alarms = alarms
        self._traffic = traffic
        self._flows = flows
        self._outbox = outbox
        self._pauses = pauses
        self._deliverer = deliverer
        self._data_folder = data_folder
        self._disk_alarm_mebibytes = disk_alarm_mebibytes
        self._outbox_alarm = outbox_alarm
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="operations-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what was counted last, and end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_LAST_ROUND_SECONDS)

    def flush(self) -> None:
        """Write what was counted, and how this process's breakers stand."""
        counted = self._traffic.take()
        try:
            self._writer.run(lambda connection: self._write(connection, counted))
        except BaseException:
            self._traffic.give_back(counted)
            raise

    def look(self) -> None:
        """Find out what operators have to be told."""
        now = self._clock.now()
        with self._engine.connect() as connection:
            seen_at = store.read_mark(connection, _WATCHED)
            breakers = store.read_breakers(connection, now - BREAKERS_KEPT)
        # While no process looked, none heard anything either.
        is_new = seen_at is None or now - seen_at > _NOT_WATCHED_FOR
        self._flows.look(is_new=is_new)
        if self._gateways is not None:
            self._gateways.look(is_new=is_new)
        self._writer.run(lambda connection: store.mark(connection, _WATCHED, now))
        depths = self._outbox.depth()
        dead, overdue = _dead(depths), self._overdue(depths, now)
        opened, full = _open(breakers), self._full()
        for subject, detail in dead.items():
            self._alarms.raise_alarm(DEAD_LETTERS, subject, detail)
        for subject, detail in overdue.items():
            self._alarms.raise_alarm(OVERDUE, subject, detail)
        for subject, detail in opened.items():
            self._alarms.raise_alarm(BREAKER_OPEN, subject, detail)
        for subject, detail in full.items():
            self._alarms.raise_alarm(DISK, subject, detail)
        self._clear_all_but({DEAD_LETTERS: dead, OVERDUE: overdue, BREAKER_OPEN: opened, DISK: full})

    def tidy(self) -> None:
        """Drop counts that nobody looks at any more."""
        before = self._clock.now() - _MINUTES_KEPT
        self._writer.run(lambda connection: store.forget_minutes(connection, before))
        if self._gateways is not None:
            self._gateways.tidy()

    def _run(self) -> None:
        looked_at = tidied_at = float("-inf")
        while not self._stopped.is_set():
            self._attempt("flush")
            if time.monotonic() >= looked_at + _LOOK_SECONDS:
                looked_at = time.monotonic()
                self._attempt("look")
            if time.monotonic() >= tidied_at + _TIDY_SECONDS:
                tidied_at = time.monotonic()
                self._attempt("tidy")
            self._stopped.wait(_FLUSH_SECONDS)
        self._attempt("flush")

    def _attempt(self, name: str) -> None:
        try:
            {"flush": self.flush, "look": self.look, "tidy": self.tidy}[name]()
        except Exception:
            # The database may be busy or gone for a while; what was counted is kept for the next time.
            _logger.exception("operations.not_looked_after", work=name)

    def _write(self, connection: Connection, counted: Counted) -> None:
        counted.write(connection)
        if self._deliverer.is_at_work:
            now = self._clock.now()
            states: dict[str, str] = {
                lane: state.value
                for lane, state in self._deliverer.breakers().items()
                if state is not BreakerState.CLOSED
            }
            store.mark_breakers(connection, self._deliverer.number, states, now)
            store.forget_breakers(connection, now - 10 * BREAKERS_KEPT)
            store.mark(connection, WORKER, now)

    def _clear_all_but(self, lasting: Mapping[str, Mapping[str, str]]) -> None:
        """End the alarms of these codes whose subjects are not among those that last."""
        for alarm in self._alarms.alarms():
            code = alarm.kind.code
            if code in lasting and alarm.subject not in lasting[code]:
                self._alarms.clear(code, alarm.subject)

    def _overdue(self, depths: Mapping[ServiceId, Depth], now: datetime) -> dict[str, str]:
        found = {}
        for service, depth in depths.items():
            since = depth.oldest_waiting_since
            if since is not None and now - since > self._outbox_alarm and not self._pauses.is_paused(service):
                found[str(service)] = f"{depth.waiting} wait, the oldest since {format_instant(since)}"
        return found

    def _full(self) -> dict[str, str]:
        free = free_mebibytes(self._data_folder)
        return {"data_folder": f"{free} MiB are left"} if free < self._disk_alarm_mebibytes else {}


def _dead(depths: Mapping[ServiceId, Depth]) -> dict[str, str]:
    return {str(service): f"{depth.dead} dead letters" for service, depth in depths.items() if depth.dead}


def _open(breakers: Mapping[str, set[str]]) -> dict[str, str]:
    return {
        lane: "deliveries wait until one of them is answered"
        for lane, states in breakers.items()
        if worst_of(states) is not BreakerState.CLOSED
    }
