# SPDX-License-Identifier: Apache-2.0
"""Having the log's checkpoints time-stamped, in the background, whatever becomes of the authorities.

Nothing waits for a time stamp: messages are logged and exchanged while no authority answers. Checkpoints then
wait, at most so many; the largest is stamped first, because it covers all entries below it.

    state                                   what is done                        alarm
    an authority answers                    each new checkpoint is stamped      none
    none answers                            asked again, ever more slowly       trust.tsa_unreachable
    something waits longer than allowed,    likewise                            trust.stamps_waiting
      or as many wait as may
    an authority answers again              all that wait are stamped           both cleared
"""

from __future__ import annotations

import hashlib
import random
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.clock import format_instant
from hub.errors import TrustError
from hub.messagelog import stamps, store
from hub.messagelog.stamps import CheckpointStamp

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.database import Writer
    from hub.messagelog.stamps import WaitingCheckpoint
    from hub.trust import TimeStamp

MOST_WAITING = 100
"""How many checkpoints wait at most, unless the settings say otherwise."""

LONGEST_WAIT = timedelta(hours=1)
"""How long one may wait before there is an alarm, unless the settings say otherwise."""

SUBJECT = "the log's checkpoints"
"""What the alarms are about."""

_LOOK_SECONDS = 0.25
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0
_logger = structlog.get_logger(__name__)


class Authorities(Protocol):
    """What gives time stamps; `hub.trust.TimeStampClient` does."""

    def stamp(self, digest: bytes) -> TimeStamp:
        """Have a SHA-256 digest stamped, or raise TrustError `trust.timestamp_unavailable`."""
        ...

    def close(self) -> None:
        """Let go of what is under way."""
        ...


class CheckpointStamper:
    """Stamps checkpoints one after another; `run` in a thread of its own.

    Args:
        engine: the log's.
        writer: the engine's.
        authorities: give the time stamps.
        alarms: are told when none does.
        clock: says since when something waits.
        most_waiting: how many checkpoints wait at most.
        longest_wait: how long one may wait before there is an alarm.
    """

    def __init__(  # noqa: PLR0913 (its dependencies, and two named limits)
        self,
        *,
        engine: Engine,
        writer: Writer,
        authorities: Authorities,
        alarms: AlarmSink,
        clock: Clock,
        most_waiting: int = MOST_WAITING,
        longest_wait: timedelta = LONGEST_WAIT,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._authorities = authorities
        self._alarms = alarms
        self._clock = clock
        self._most_waiting = most_waiting
        self._longest_wait = longest_wait
        self._failures = 0
        self._largest_seen = -2
        self._stopped = threading.Event()

    def run(self) -> None:
        """Stamp what is signed, until `stop`."""
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                pause = self.work()
            except Exception:
                if self._stopped.is_set():
                    return
                # The database may be busy or gone for a while; what waits, waits.
                _logger.exception("log.not_stamped")
                pause = _LONGEST_PAUSE_SECONDS

    def stop(self) -> None:
        """Let `run` end; what still waits is stamped after the next start."""
        self._stopped.set()
        self._authorities.close()

    def work(self) -> float:
        """Stamp all that waits, the largest checkpoint first.

        Returns:
            After how many seconds to call again: soon, or after a failure ever later, never twice the same.
        """
        self._line_up()
        with self._engine.connect() as connection:
            waiting = stamps.read_waiting(connection)
        for each in waiting:
            if self._stopped.is_set():
                return 0.0
            try:
                self._stamp(each)
            except TrustError as exc:
                return self._put_off(exc)
            self._failures = 0
            self._alarms.clear("trust.tsa_unreachable", SUBJECT)
        self._alarms.clear("trust.stamps_waiting", SUBJECT)
        return _LOOK_SECONDS

    def _line_up(self) -> None:
        """Let new checkpoints wait; a look first saves the writer most of the work."""
        with self._engine.connect() as connection:
            largest = store.read_largest(connection)
        if largest == self._largest_seen:
            return
        now = self._clock.now()
        dropped = self._writer.run(lambda connection: stamps.line_up(connection, now, self._most_waiting))
        self._largest_seen = largest
        if dropped:
            _logger.info("log.stamps_coalesced", dropped=dropped)

    def _stamp(self, waiting: WaitingCheckpoint) -> None:
        with self._engine.connect() as connection:
            note = store.read_note(connection, waiting.size)
        if note is None:
            raise RuntimeError(f"the checkpoint of {waiting.size} entries is gone")
        given = self._authorities.stamp(hashlib.sha256(note.encode("utf-8")).digest())
        authority = given.path.leaf.subject.rfc4514_string()
        kept = CheckpointStamp(waiting.size, given.token, given.at, authority)
        self._writer.run(lambda connection: stamps.keep_stamp(connection, kept))

    def _put_off(self, refusal: TrustError) -> float:
        self._alarms.raise_alarm("trust.tsa_unreachable", SUBJECT, f"{refusal.code}: {refusal.detail}")
        with self._engine.connect() as connection:
            waiting = stamps.read_waiting(connection)
        oldest = min((each.since for each in waiting), default=self._clock.now())
        is_long = self._clock.now() - oldest >= self._longest_wait
        if is_long or len(waiting) >= self._most_waiting:
            detail = f"{len(waiting)} wait, since {format_instant(oldest)}; at most {self._most_waiting} do"
            self._alarms.raise_alarm("trust.stamps_waiting", SUBJECT, detail)
        ceiling = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 30)
        # Hubs that lost the same authority at the same moment must not all come back at once.
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 (spreads load, protects nothing)
