# SPDX-License-Identifier: Apache-2.0
"""Time stamps of the log's checkpoints: which one has which, and which ones wait.

A time stamp covers a hash tree; one of its data objects is the checkpoint as it is published, signatures
included, the others are containers kept since the one before (`evidencestore`). Because the log only grows,
it proves of every entry below that size that it existed by then; a consistency proof leads from any smaller
checkpoint to it. That is why waiting may be bounded: what is dropped is covered by what stays.

Source: RFC 3161; RFC 4998 section 4.2; RFC 9162 section 2.1.4 (consistency).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, metadata
from hub.errors import LogError
from hub.messagelog.evidencestore import evidence_batches, evidence_stamps
from hub.messagelog.store import log_checkpoints, read_note

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

# Checkpoints that wait; rows come and go.
log_stamps_waiting = Table(
    "log_stamps_waiting",
    metadata,
    Column("size", NUMBER, primary_key=True, autoincrement=False),
    Column("since", Text, nullable=False),
    sqlite_strict=True,
)


_SIZE = evidence_batches.c.size
_STAMPS = select(
    _SIZE, evidence_stamps.c.token, evidence_stamps.c.stamped_at, evidence_stamps.c.authority
).join(evidence_stamps, evidence_stamps.c.number == evidence_batches.c.stamp)


@dataclass(frozen=True)
class CheckpointStamp:
    """A checkpoint's time stamp.

    Attributes:
        size: of the log at the checkpoint.
        token: RFC 3161 token in DER, over the root of the hash tree the checkpoint is in.
        stamped_at: UTC; the authority's time.
        authority: subject of its certificate (RFC 4514).
    """

    size: int
    token: bytes
    stamped_at: datetime
    authority: str


@dataclass(frozen=True)
class WaitingCheckpoint:
    """A checkpoint that has no time stamp yet.

    Attributes:
        size: of the log at the checkpoint.
        since: UTC; from when on it waits, or an older one that it stands for.
    """

    size: int
    since: datetime


class CheckpointStamps:
    """What is known of the time stamps of a log's checkpoints; reads only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stamp(self, size: int) -> CheckpointStamp:
        """Return the time stamp of the checkpoint of a size.

        Raises:
            LogError: `log.stamp_unknown`.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_STAMPS.where(evidence_batches.c.size == size)).one_or_none()
        if row is None:
            raise LogError("log.stamp_unknown", f"no time stamp of a checkpoint of {size} entries")
        return _stamp(row)

    def stamps(self, first: int, most: int) -> tuple[CheckpointStamp, ...]:
        """Return the stamps of checkpoints of at least `first` entries, smallest first.

        The first of them is the earliest that covers entry number `first - 1`.
        """
        query = _STAMPS.where(evidence_batches.c.size >= first).order_by(_SIZE).limit(most)
        with self._engine.connect() as connection:
            return tuple(_stamp(row) for row in connection.execute(query))

    def last_stamps(self, most: int) -> tuple[CheckpointStamp, ...]:
        """Return the stamps of the largest checkpoints, largest first."""
        query = _STAMPS.where(_SIZE.is_not(None)).order_by(_SIZE.desc()).limit(most)
        with self._engine.connect() as connection:
            return tuple(_stamp(row) for row in connection.execute(query))

    def waiting(self) -> tuple[WaitingCheckpoint, ...]:
        """Return the checkpoints that wait, largest first."""
        with self._engine.connect() as connection:
            return read_waiting(connection)

    def checkpoint(self, size: int) -> str:
        """Return the signed checkpoint of exactly this size.

        Raises:
            LogError: `log.entry_unknown`: none was signed at that size.
        """
        with self._engine.connect() as connection:
            note = read_note(connection, size)
        if note is None:
            raise LogError("log.entry_unknown", f"no checkpoint of {size} entries was signed")
        return note


def read_waiting(connection: Connection) -> tuple[WaitingCheckpoint, ...]:
    """Return the checkpoints that wait, largest first."""
    query = select(log_stamps_waiting).order_by(log_stamps_waiting.c.size.desc())
    return tuple(WaitingCheckpoint(row.size, parse_instant(row.since)) for row in connection.execute(query))


def line_up(connection: Connection, now: datetime, most: int) -> int:
    """Let the checkpoints signed since the last call wait, and keep no more than `most` waiting.

    When there are more, the smallest are dropped: the next larger one stands for them and inherits since when
    they waited. Returns how many were dropped.
    """
    known = [
        connection.execute(select(func.max(table.c.size))).scalar_one()
        for table in (evidence_batches, log_stamps_waiting)
    ]
    largest = max((size for size in known if size is not None), default=-1)
    query = select(log_checkpoints.c.size).where(log_checkpoints.c.size > largest)
    rows = [
        {"size": size, "since": format_instant(now)}
        for size in connection.execute(query.order_by(log_checkpoints.c.size.desc()).limit(most)).scalars()
    ]
    if rows:
        connection.execute(insert(log_stamps_waiting), rows)
    waiting = read_waiting(connection)
    dropped = waiting[most:]
    if dropped:
        smallest = waiting[most - 1]
        since = min(smallest.since, *(each.since for each in dropped))
        connection.execute(delete(log_stamps_waiting).where(log_stamps_waiting.c.size <= smallest.size))
        connection.execute(
            insert(log_stamps_waiting), {"size": smallest.size, "since": format_instant(since)}
        )
    return len(dropped)


def let_go(connection: Connection, size: int) -> None:
    """Let a checkpoint wait no more."""
    connection.execute(delete(log_stamps_waiting).where(log_stamps_waiting.c.size == size))


def _stamp(row: Row[int, bytes, str, str]) -> CheckpointStamp:
    return CheckpointStamp(row.size, row.token, parse_instant(row.stamped_at), row.authority)
