# SPDX-License-Identifier: Apache-2.0
"""What a gateway has promised to send, in a file of its own: written durably before anybody relies on it.

One SQLite file that only its owner may read: it holds what departments tell each other. What was settled and
taken note of loses its content; its key stays, so that the same thing is not sent a second time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from adapters.hubclient import Question
from hub.clock import format_instant, parse_instant
from hub.envelope import Purpose
from hub.errors import AdapterError
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

KEYS_KEPT = timedelta(days=400)
"""How long the key of what was settled is remembered."""

_BUSY_SECONDS = 10.0
_MOST_FORGOTTEN_AT_A_TIME = 100
_TABLES = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS queued (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL,
    state TEXT NOT NULL, question TEXT, container BLOB, answer TEXT, code TEXT, detail TEXT,
    put_at TEXT NOT NULL, expires_at TEXT NOT NULL, due_at TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    is_acknowledged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS queued_to_send ON queued (number) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS queued_to_look_at ON queued (due_at) WHERE state = 'sent';
CREATE INDEX IF NOT EXISTS queued_settled ON queued (origin, number)
    WHERE state IN ('processed', 'refused') AND NOT is_acknowledged;
"""
_COLUMNS = (
    "number, key, origin, sender, id, state, question, container, answer, code, detail,"
    " expires_at, due_at, tries"
)


class QueuedState(StrEnum):
    """What has become of a message that was put into the queue."""

    WAITING = "waiting"
    """The hub has not said that it has it."""
    SENT = "sent"
    """The hub has it, and its recipient has not answered yet."""
    PROCESSED = "processed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Queued:
    """One message of the queue.

    Attributes:
        key: what its origin calls it.
        origin: who put it in, for example an intake's id.
        code: why it was refused, or why the last try to send it failed.
        detail: the facts of that.
        answer: `response.json` of what was answered; None for a message that has no answer.
    """

    key: str
    origin: str
    message_id: MessageId
    state: QueuedState
    code: str | None = None
    detail: str = ""
    answer: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is kept of a message whose end is not known yet.

    Attributes:
        container: as it was signed; None before the first try.
        expires_at: UTC; until when it is of use.
        due_at: UTC; when it is tried, or looked at, next.
        tries: how often it was tried to send, or looked at.
    """

    number: int
    queued: Queued
    sender: SubsystemId
    question: Question
    container: bytes | None
    expires_at: datetime
    due_at: datetime
    tries: int


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """How much waits.

    Attributes:
        waiting: what the hub does not have yet.
        sent: what it has and nobody has answered.
        oldest_waiting_since: UTC; since when the oldest of the waiting ones does.
    """

    waiting: int = 0
    sent: int = 0
    oldest_waiting_since: datetime | None = None


class QueueStore:
    """The file of a queue. Safe to use from several threads.

    Args:
        file: where it is kept.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Made with its rights, so that there is no moment in which others could open it.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(
            file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.executescript(_TABLES)
        self._using = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._using:
            self._connection.close()

    def put(  # noqa: PLR0913 - one row's fields, each by its name
        self, key: str, question: Question, *, origin: str, sender: SubsystemId, now: datetime, most: int
    ) -> MessageId:
        """Write a message down, durably; what has this key already stays as it is.

        Args:
            key: what its origin calls it; the question has the id for a new one.
            question: what to send.
            origin: who puts it in.
            sender: whose message it is.
            now: UTC.
            most: how many may wait.

        Raises:
            AdapterError: `adapter.queue_full`.
        """
        with self._writing() as connection:
            self._forget(connection, now)
            known = connection.execute("SELECT id FROM queued WHERE key = ?", (key,)).fetchone()
            if known is not None:
                return MessageId(known[0])
            waiting = connection.execute("SELECT count(*) FROM queued WHERE state = 'waiting'").fetchone()[0]
            if waiting >= most:
                raise AdapterError("adapter.queue_full", f"{waiting} messages wait")
            if question.message_id is None:
                raise TypeError("what is put in has an id")
            connection.execute(
                "INSERT INTO queued (key, origin, sender, id, state, question, put_at, expires_at, due_at)"
                " VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?, ?)",
                (
                    key,
                    origin,
                    sender,
                    question.message_id,
                    _write_question(question),
                    format_instant(now),
                    format_instant(now + question.lifetime),
                    format_instant(now),
                ),
            )
            return question.message_id

    def sign(self, number: int, container: bytes) -> None:
        """Write down what is sent, before it is: from now on the message is this container."""
        with self._writing() as connection:
            connection.execute("UPDATE queued SET container = ? WHERE number = ?", (container, number))

    def sent(self, number: int, *, look_at: datetime) -> None:
        """Write down that the hub has it, and when to ask what became of it."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE queued SET state = 'sent', tries = 0, code = NULL, detail = NULL, due_at = ?"
                " WHERE number = ?",
                (format_instant(look_at), number),
            )

    def put_off(self, number: int, *, code: str | None, detail: str, until: datetime) -> None:
        """Write down that a try or a look brought no end, and when the next one is due."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE queued SET tries = tries + 1, code = ?, detail = ?, due_at = ? WHERE number = ?",
                (code, detail, format_instant(until), number),
            )

    def settle(
        self,
        number: int,
        state: QueuedState,
        *,
        code: str | None = None,
        detail: str = "",
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down how it ended; what was sent is not needed any more."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE queued SET state = ?, code = ?, detail = ?, answer = ?, question = NULL,"
                " container = NULL WHERE number = ?",
                (
                    state,
                    code,
                    detail,
                    None if answer is None else json.dumps(dict(answer), ensure_ascii=False),
                    number,
                ),
            )

    def acknowledge(self, key: str) -> None:
        """Forget the content of what was settled; its key stays."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE queued SET is_acknowledged = 1, answer = NULL, detail = '' WHERE key = ?"
                " AND state IN ('processed', 'refused')",
                (key,),
            )

    def waiting(self, *, after: int, most: int) -> list[Row]:
        """Return what is to be sent, in the order in which it was put in."""
        return [
            _read_row(row)
            for row in self._read(
                f"SELECT {_COLUMNS} FROM queued WHERE state = 'waiting' AND number > ?"  # noqa: S608 - a constant
                " ORDER BY number LIMIT ?",
                (after, most),
            )
        ]

    def late(self, now: datetime, *, most: int) -> list[Row]:
        """Return what is too late to be sent and has certainly never reached the hub."""
        return [
            _read_row(row)
            for row in self._read(
                f"SELECT {_COLUMNS} FROM queued WHERE state = 'waiting' AND container IS NULL"  # noqa: S608 - a constant
                " AND expires_at <= ? ORDER BY number LIMIT ?",
                (format_instant(now), most),
            )
        ]

    def to_look_at(self, now: datetime, *, most: int) -> list[Row]:
        """Return what the hub has and may have been answered by now."""
        return [
            _read_row(row)
            for row in self._read(
                f"SELECT {_COLUMNS} FROM queued WHERE state = 'sent' AND due_at <= ?"  # noqa: S608 - a constant
                " ORDER BY due_at LIMIT ?",
                (format_instant(now), most),
            )
        ]

    def find(self, key: str) -> Queued | None:
        """Return what has become of a message; None for a key nobody has used."""
        rows = self._read(f"SELECT {_COLUMNS} FROM queued WHERE key = ?", (key,))  # noqa: S608 - a constant
        return _read_queued(rows[0]) if rows else None

    def settled(self, origin: str, *, after: int, most: int) -> list[tuple[int, Queued]]:
        """Return what has ended and its origin has not taken note of, with its place."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM queued WHERE origin = ? AND state IN ('processed', 'refused')"  # noqa: S608 - a constant
            " AND NOT is_acknowledged AND number > ? ORDER BY number LIMIT ?",
            (origin, after, most),
        )
        return [(row[0], _read_queued(row)) for row in rows]

    def depth(self) -> QueueDepth:
        """Return how much waits."""
        waiting, sent, oldest = self._read(
            "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'sent'),"
            " min(put_at) FILTER (WHERE state = 'waiting') FROM queued WHERE state IN ('waiting', 'sent')",
            (),
        )[0]
        return QueueDepth(
            waiting=waiting,
            sent=sent,
            oldest_waiting_since=None if oldest is None else parse_instant(oldest),
        )

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        with self._using:
            return self._connection.execute(statement, values).fetchall()

    def _forget(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Forget a few of the oldest keys; each message that comes makes room for itself."""
        connection.execute(
            "DELETE FROM queued WHERE number IN"
            " (SELECT number FROM queued WHERE is_acknowledged AND expires_at < ? LIMIT ?)",
            (format_instant(now - KEYS_KEPT), _MOST_FORGOTTEN_AT_A_TIME),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _write_question(question: Question) -> str:
    return json.dumps(
        {
            "service": question.service,
            "contract": question.contract,
            "data": dict(question.data),
            "purpose": asdict(question.purpose),
            "conversation": question.conversation,
            "timeout_seconds": question.timeout_seconds,
        },
        ensure_ascii=False,
    )


def _read_queued(row: Any) -> Queued:
    return Queued(
        key=row[1],
        origin=row[2],
        message_id=MessageId(row[4]),
        state=QueuedState(row[5]),
        code=row[9],
        detail=row[10] or "",
        answer=None if row[8] is None else json.loads(row[8]),
    )


def _read_row(row: Any) -> Row:
    asked = json.loads(row[6])
    conversation = asked["conversation"]
    return Row(
        number=row[0],
        queued=_read_queued(row),
        sender=SubsystemId(row[3]),
        question=Question(
            service=ServiceId(asked["service"]),
            contract=ContractId(asked["contract"]),
            data=asked["data"],
            purpose=Purpose(**asked["purpose"]),
            conversation=None if conversation is None else MessageId(conversation),
            message_id=MessageId(row[4]),
            timeout_seconds=asked["timeout_seconds"],
        ),
        container=row[7],
        expires_at=parse_instant(row[11]),
        due_at=parse_instant(row[12]),
        tries=row[13],
    )
