# SPDX-License-Identifier: Apache-2.0
"""What a gateway has been sent and what it answered: a message has its effect once, however often it comes.

The hub delivers again whatever it got no answer to: the answer may have been lost on its way, or the gateway
may have died. So the answer is written down before it is sent, and a message that comes again gets that
answer, without the legacy system being asked.

    state      means                                              the same message comes again
    open       it came, and nothing that lasts came of it         the legacy system is asked (again)
    begun      the legacy system was asked, and is one that       refused: nobody knows what it has done
               cannot bear to be asked twice
    deferred   the legacy system has it and will answer later     it is asked again when that was expected
    answered   the signed answer is here                          the answer is given again

A fault is no answer: it is not kept, and the same message may be tried again.

Each of the hub's receipts opens the gateway once, and only while it is fresh: whoever gets hold of a message
and its receipt must not be able to ask past the hub. Used receipts are written down too, since a gateway that
was started again must not have forgotten them.

One SQLite file. What must survive a power cut, and not only the end of the process, is written durably; the
rest costs no wait for the disk. The file holds what departments answered, so only its owner may read it, and
what is old is overwritten.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.clock import format_instant, parse_instant
from hub.errors import AdapterError, ExchangeError
from hub.identifiers import MessageId, SubsystemId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

RECEIPT_LIFETIME = timedelta(minutes=5)
"""How far the receipt's time may be from the gateway's, either way; after it nothing needs remembering."""

KEPT_LONGER = timedelta(days=1)
"""How long a message is remembered after it has expired: a delivery may be under way, a clock late."""

_IN_HAND_SECONDS = 10.0
_BUSY_SECONDS = 10.0
_MOST_FORGOTTEN_AT_A_TIME = 100
_TABLES = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, until TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receipts_by_age ON receipts (until);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT NOT NULL, recipient TEXT NOT NULL, container_sha256 TEXT NOT NULL, state TEXT NOT NULL,
    expires_at TEXT NOT NULL, expected_by TEXT, look_at TEXT, request BLOB, answer BLOB,
    PRIMARY KEY (id, recipient)
);
CREATE INDEX IF NOT EXISTS messages_by_age ON messages (expires_at);
CREATE INDEX IF NOT EXISTS messages_to_look_at ON messages (look_at) WHERE look_at IS NOT NULL;
"""


class InboxState(StrEnum):
    """What has become of a message here."""

    OPEN = "open"
    BEGUN = "begun"
    DEFERRED = "deferred"
    ANSWERED = "answered"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A message as the hub delivered it.

    Attributes:
        recipient: the subsystem it is for; for an event the subscriber.
        container_sha256: of the message, hexadecimal.
        expires_at: UTC; what the message says.
        receipt_id: of the hub's receipt that came with it.
        receipt_at: UTC; what the receipt says.
    """

    message_id: MessageId
    recipient: SubsystemId
    container_sha256: str
    expires_at: datetime
    receipt_id: MessageId
    receipt_at: datetime


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is written about a message.

    Attributes:
        answer: the signed answer, or the signed receipt that promises one; None where there is neither.
        expected_by: UTC; when an answer was promised for.
    """

    state: InboxState = InboxState.OPEN
    answer: bytes | None = None
    expected_by: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Owed:
    """A deferred message, or an answer the hub has not been told of.

    Attributes:
        request: the message, a container.
        answer: the answer; None while the legacy system still works on it.
    """

    message_id: MessageId
    recipient: SubsystemId
    request: bytes
    expires_at: datetime
    answer: bytes | None


class Inbox:
    """The messages of one gateway. Safe to use from several threads.

    Args:
        file: where it is kept; in memory without one, for a gateway that may forget.
        in_hand_seconds: how long a thread waits for another one that works on the same message.
    """

    def __init__(self, file: Path | None = None, *, in_hand_seconds: float = _IN_HAND_SECONDS) -> None:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Made with its rights, so that there is no moment in which others could open it.
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(
            ":memory:" if file is None else file,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.executescript(_TABLES)
        self._in_hand_seconds = in_hand_seconds
        self._using = threading.Lock()
        self._in_hand: set[tuple[MessageId, SubsystemId]] = set()
        self._put_down = threading.Condition()

    def close(self) -> None:
        """Close the file."""
        with self._using:
            self._connection.close()

    @contextmanager
    def in_hand(self, message_id: MessageId, recipient: SubsystemId) -> Iterator[None]:
        """Let one thread at a time work on a message.

        The hub may have lost patience and deliver again while the legacy system still works on the first
        delivery.

        Raises:
            ExchangeError: `exchange.in_progress`: the thread that works on it took too long.
        """
        key = (message_id, recipient)
        with self._put_down:
            if not self._put_down.wait_for(lambda: key not in self._in_hand, self._in_hand_seconds):
                raise ExchangeError("exchange.in_progress", message_id)
            self._in_hand.add(key)
        try:
            yield
        finally:
            with self._put_down:
                self._in_hand.discard(key)
                self._put_down.notify_all()

    def take(self, arrival: Arrival, now: datetime) -> Known:
        """Use up the hub's receipt, write down that the message came, and say what is known of it.

        Raises:
            ExchangeError: `exchange.not_accepted_by_hub`: the receipt is not fresh, or was used before;
                `exchange.id_reused`: another message had this id; `exchange.expired`: it comes for the first
                time, and too late.
        """
        if abs(now - arrival.receipt_at) > RECEIPT_LIFETIME:
            raise ExchangeError("exchange.not_accepted_by_hub", "the receipt is not fresh")
        key = (arrival.message_id, arrival.recipient)
        with self._writing(is_durable=False) as connection:
            self._forget(connection, now)
            until = format_instant(arrival.receipt_at + 2 * RECEIPT_LIFETIME)
            used = connection.execute(
                "INSERT INTO receipts VALUES (?, ?) ON CONFLICT DO NOTHING", (arrival.receipt_id, until)
            )
            if used.rowcount != 1:
                raise ExchangeError("exchange.not_accepted_by_hub", "the receipt was used before")
            row = connection.execute(
                "SELECT container_sha256, state, answer, expected_by FROM messages"
                " WHERE id = ? AND recipient = ?",
                key,
            ).fetchone()
            if row is not None and row[0] != arrival.container_sha256:
                raise ExchangeError("exchange.id_reused", arrival.message_id)
            if arrival.expires_at <= now and (row is None or row[1] != InboxState.ANSWERED):
                raise ExchangeError("exchange.expired", f"expires_at {format_instant(arrival.expires_at)}")
            if row is None:
                connection.execute(
                    "INSERT INTO messages (id, recipient, container_sha256, state, expires_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (*key, arrival.container_sha256, InboxState.OPEN, format_instant(arrival.expires_at)),
                )
                return Known()
            return _known(*row[1:])

    def begin(self, message_id: MessageId, recipient: SubsystemId) -> None:
        """Write down, durably, that a legacy system is asked that cannot bear to be asked twice.

        Raises:
            AdapterError: `adapter.outcome_unknown`: it was asked before, and nobody knows what came of it.
        """
        with self._writing(is_durable=True) as connection:
            changed = connection.execute(
                "UPDATE messages SET state = ? WHERE id = ? AND recipient = ? AND state = ?",
                (InboxState.BEGUN, message_id, recipient, InboxState.OPEN),
            )
            if changed.rowcount != 1:
                raise AdapterError("adapter.outcome_unknown", message_id)

    def give_up(self, message_id: MessageId, recipient: SubsystemId) -> bool:
        """Let a message be tried again whose try had no effect; False when it is not one that was begun."""
        with self._writing(is_durable=True) as connection:
            changed = connection.execute(
                "UPDATE messages SET state = ? WHERE id = ? AND recipient = ? AND state = ?",
                (InboxState.OPEN, message_id, recipient, InboxState.BEGUN),
            )
            return changed.rowcount == 1

    def answer(
        self, message_id: MessageId, recipient: SubsystemId, answer: bytes, *, is_durable: bool, is_owed: bool
    ) -> None:
        """Write down the signed answer, before anybody is told of it.

        Args:
            message_id: what is answered.
            recipient: who answers.
            answer: the container.
            is_durable: whether it must survive a power cut: who gets it relies on its not being done twice.
            is_owed: whether the hub does not wait for it and has to be told.
        """
        with self._writing(is_durable=is_durable) as connection:
            connection.execute(
                "UPDATE messages SET state = ?, answer = ?, expected_by = NULL, look_at = ?,"
                " request = CASE WHEN ? THEN request END WHERE id = ? AND recipient = ?",
                (InboxState.ANSWERED, answer, "" if is_owed else None, is_owed, message_id, recipient),
            )

    def defer(  # noqa: PLR0913 - one row's fields, each by its name
        self,
        message_id: MessageId,
        recipient: SubsystemId,
        *,
        request: bytes,
        promise: bytes,
        expected_by: datetime,
        look_at: datetime,
    ) -> None:
        """Write down, durably, that an answer is promised, and when to look whether it is there."""
        with self._writing(is_durable=True) as connection:
            connection.execute(
                "UPDATE messages SET state = ?, request = ?, answer = ?, expected_by = ?, look_at = ?"
                " WHERE id = ? AND recipient = ?",
                (
                    InboxState.DEFERRED,
                    request,
                    promise,
                    format_instant(expected_by),
                    format_instant(look_at),
                    message_id,
                    recipient,
                ),
            )

    def look_again(self, message_id: MessageId, recipient: SubsystemId, at: datetime) -> None:
        """Put off the next look at a deferred message, or the next try to tell the hub of its answer."""
        with self._writing(is_durable=False) as connection:
            connection.execute(
                "UPDATE messages SET look_at = ? WHERE id = ? AND recipient = ? AND look_at IS NOT NULL",
                (format_instant(at), message_id, recipient),
            )

    def settle(self, message_id: MessageId, recipient: SubsystemId) -> None:
        """Write down that the hub has the answer, or wants it no more."""
        with self._writing(is_durable=False) as connection:
            connection.execute(
                "UPDATE messages SET look_at = NULL, request = NULL WHERE id = ? AND recipient = ?",
                (message_id, recipient),
            )

    def owed(self, now: datetime, most: int = 20) -> list[Owed]:
        """Return deferred messages to look at now, and answers the hub has to be told of."""
        with self._using:
            rows = self._connection.execute(
                "SELECT id, recipient, request, expires_at, CASE state WHEN 'answered' THEN answer END"
                " FROM messages WHERE look_at <= ? AND expires_at > ? ORDER BY look_at LIMIT ?",
                (format_instant(now), format_instant(now), most),
            ).fetchall()
        return [
            Owed(
                message_id=MessageId(row[0]),
                recipient=SubsystemId(row[1]),
                request=row[2],
                expires_at=parse_instant(row[3]),
                answer=row[4],
            )
            for row in rows
        ]

    def known(self, message_id: MessageId, recipient: SubsystemId) -> Known | None:
        """Return what is written about a message."""
        with self._using:
            row = self._connection.execute(
                "SELECT state, answer, expected_by FROM messages WHERE id = ? AND recipient = ?",
                (message_id, recipient),
            ).fetchone()
        return None if row is None else _known(*row)

    def _forget(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Forget a few of what is old; each message that comes makes room for itself."""
        connection.execute(
            "DELETE FROM receipts WHERE id IN (SELECT id FROM receipts WHERE until < ? LIMIT ?)",
            (format_instant(now), _MOST_FORGOTTEN_AT_A_TIME),
        )
        gone = connection.execute(
            "DELETE FROM messages WHERE rowid IN (SELECT rowid FROM messages WHERE expires_at < ? LIMIT ?)",
            (format_instant(now - KEPT_LONGER), _MOST_FORGOTTEN_AT_A_TIME),
        )
        if gone.rowcount:
            connection.execute(f"PRAGMA incremental_vacuum({_MOST_FORGOTTEN_AT_A_TIME})")

    @contextmanager
    def _writing(self, *, is_durable: bool) -> Iterator[sqlite3.Connection]:
        with self._using:
            connection = self._connection
            # NORMAL survives the end of the process in the middle of anything; FULL a power cut too.
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _known(state: str, answer: bytes | None, expected_by: str | None) -> Known:
    return Known(
        state=InboxState(state),
        answer=answer,
        expected_by=None if expected_by is None else parse_instant(expected_by),
    )
