# SPDX-License-Identifier: Apache-2.0
"""Having checkpoints and kept containers time-stamped in the background, whatever becomes of the authorities.

Nothing waits for a time stamp: messages are logged and exchanged while no authority answers. One token covers
a batch: a checkpoint, and the containers kept since the batch before, at most so many. Checkpoints wait, at
most so many; the largest is stamped first, because it covers all entries below it. Containers all wait.

    state                                   what is done                        alarm
    an authority answers                    each new checkpoint is stamped,     none
                                              with the containers that wait
    more containers wait than fit           further tokens, without checkpoint  none
    none answers                            asked again, ever more slowly       trust.tsa_unreachable
    something waits longer than allowed,    likewise                            trust.stamps_waiting
      or as many checkpoints wait as may
    an authority answers again              all that wait are stamped           both cleared

A batch is written in one transaction after its token was given: a crash before that loses the token and
nothing else. Of two processes that stamp the same batch one is quicker; the other's token is thrown away.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.clock import format_instant
from hub.errors import TrustError
from hub.messagelog import evidencestore, stamps
from hub.messagelog.evidencestore import Batch, StoredStamp
from hub.messagelog.rounds import LOOK_SECONDS, Rounds
from hub.messagelog.store import read_largest, read_note, read_size
from hub.preservation import DEFAULT_DIGEST, Answers, HashTree

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

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

MOST_OBJECTS = 1000
"""How many containers one token covers at most."""

_NO_END = 2**62
_logger = structlog.get_logger(__name__)


class Authorities(Protocol):
    """What gives time stamps; `hub.trust.TimeStampClient` does."""

    def stamp(self, digest: bytes, digest_algorithm: str = "sha256") -> TimeStamp:
        """Have a digest stamped, or raise TrustError `trust.timestamp_unavailable`."""
        ...

    def close(self) -> None:
        """Let go of what is under way."""
        ...


class CheckpointStamper:
    """Stamps batches one after another; `run` in a thread of its own.

    Args:
        engine: the log's.
        writer: the engine's.
        authorities: give the time stamps.
        alarms: are told when none does.
        clock: says since when something waits.
        most_waiting: how many checkpoints wait at most.
        longest_wait: how long one may wait before there is an alarm.
        most_objects: how many containers one token covers at most.
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
        most_objects: int = MOST_OBJECTS,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._authorities = authorities
        self._alarms = alarms
        self._clock = clock
        self._most_waiting = most_waiting
        self._longest_wait = longest_wait
        self._most_objects = most_objects
        self._rounds = Rounds()
        self._largest_seen = -2

    def run(self) -> None:
        """Stamp what is signed, until `stop`."""
        self._rounds.run(self.work, "log.not_stamped")

    def stop(self) -> None:
        """Let `run` end; what still waits is stamped after the next start."""
        self._rounds.stop()
        self._authorities.close()

    def work(self) -> float:
        """Stamp all that waits, the largest checkpoint first.

        Returns:
            After how many seconds to call again: soon, or after a failure ever later, never twice the same.
        """
        self._line_up()
        with self._engine.connect() as connection:
            waiting: list[WaitingCheckpoint | None] = list(stamps.read_waiting(connection))
        try:
            while waiting or self._is_backlog():
                if self._rounds.is_stopped:
                    return 0.0
                self._stamp(waiting.pop(0) if waiting else None)
                self._rounds.succeed()
                self._alarms.clear("trust.tsa_unreachable", SUBJECT)
        except TrustError as exc:
            return self._put_off(exc)
        self._alarms.clear("trust.stamps_waiting", SUBJECT)
        return LOOK_SECONDS

    def _line_up(self) -> None:
        """Let new checkpoints wait; a look first saves the writer most of the work."""
        with self._engine.connect() as connection:
            largest = read_largest(connection)
        if largest == self._largest_seen:
            return
        now = self._clock.now()
        dropped = self._writer.run(lambda connection: stamps.line_up(connection, now, self._most_waiting))
        self._largest_seen = largest
        if dropped:
            _logger.info("log.stamps_coalesced", dropped=dropped)

    def _is_backlog(self) -> bool:
        """Tell whether containers wait that no checkpoint to come would take along.

        Those kept after the last checkpoint are waited for: their log entries bring the next one.
        """
        with self._engine.connect() as connection:
            count = evidencestore.last_object(connection) - evidencestore.last_in_batch(connection)
            if count <= 0:
                return False
            return count >= self._most_objects or read_largest(connection) == read_size(connection)

    def _stamp(self, waiting: WaitingCheckpoint | None) -> None:
        """Have one batch stamped, and write it down unless another process was quicker."""
        size = waiting.size if waiting else None
        with self._engine.connect() as connection:
            note = None if size is None else read_note(connection, size)
            if size is not None and note is None:
                raise RuntimeError(f"the checkpoint of {size} entries is gone")
            before = evidencestore.last_in_batch(connection)
            objects = evidencestore.read_objects(connection, before + 1, _NO_END, self._most_objects)
        note_sha256 = None if note is None else hashlib.sha256(note.encode("utf-8")).hexdigest()
        groups: list[tuple[bytes, ...]] = [] if note_sha256 is None else [(bytes.fromhex(note_sha256),)]
        groups += [kept.hashes for _, kept in objects]
        if not groups:
            return
        given = self._authorities.stamp(HashTree(DEFAULT_DIGEST, groups).root)
        last = objects[-1][0] if objects else before
        batch = Batch(0, before + 1, last, size, note_sha256)
        if not self._writer.run(lambda connection: _keep(connection, batch, given)):
            _logger.info("stamping.batch_stamped_elsewhere", size=size, objects=len(objects))

    def _put_off(self, refusal: TrustError) -> float:
        self._alarms.raise_alarm("trust.tsa_unreachable", SUBJECT, f"{refusal.code}: {refusal.detail}")
        with self._engine.connect() as connection:
            waiting = stamps.read_waiting(connection)
            count, since = evidencestore.waiting(connection)
        oldest = min((each.since for each in waiting), default=self._clock.now())
        oldest = min(oldest, since or oldest)
        is_long = self._clock.now() - oldest >= self._longest_wait
        if is_long or len(waiting) >= self._most_waiting:
            detail = (
                f"{len(waiting)} checkpoints wait, at most {self._most_waiting} do, and {count} containers;"
                f" since {format_instant(oldest)}"
            )
            self._alarms.raise_alarm("trust.stamps_waiting", SUBJECT, detail)
        return self._rounds.put_off()


def _keep(connection: Connection, batch: Batch, given: TimeStamp) -> bool:
    """Write a stamped batch down; return False when another process was quicker with any of it."""
    size = batch.size
    is_stamped = size is not None and evidencestore.batch_of_checkpoint(connection, size) is not None
    is_taken = evidencestore.last_in_batch(connection) != batch.first_object - 1
    if size is not None and (is_stamped or not is_taken):
        stamps.let_go(connection, size)
    if is_stamped or is_taken:
        # Of a checkpoint that is not in the other's batch, the next look takes care.
        return False
    number = evidencestore.add_stamp(connection, stored(given), Answers.of(given.path.revocation))
    evidencestore.add_batch(connection, replace(batch, stamp=number))
    return True


def stored(given: TimeStamp) -> StoredStamp:
    """Return a token as it is kept; its number is given when it is."""
    return StoredStamp(
        number=0,
        token=given.token,
        digest=given.digest_algorithm,
        stamped_at=given.at,
        authority=given.path.leaf.subject.rfc4514_string(),
        ends_at=min(each.not_valid_after_utc for each in given.path.path),
    )
