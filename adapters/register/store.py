# SPDX-License-Identifier: Apache-2.0
"""The file in which versions and the record of who did what are kept: append-only, and chained.

Every event carries the SHA-256 of the one before it, so that a line taken out or changed by somebody with
access to the file shows. Descriptions name a department's systems, so only the file's owner may read it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.register.model import Event, EventKind
from hub.canonical import encode_canonical
from hub.clock import format_instant, parse_instant
from hub.errors import AdapterError
from hub.identifiers import ServiceId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_BUSY_SECONDS = 10.0
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS versions (
    service TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (service, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY, service TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
    sha256 TEXT NOT NULL, person TEXT NOT NULL, at TEXT NOT NULL, note TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_service ON events (service, sequence);
CREATE TRIGGER IF NOT EXISTS versions_stay BEFORE UPDATE ON versions
    BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;
CREATE TRIGGER IF NOT EXISTS versions_remain BEFORE DELETE ON versions
    BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""
_ALL_EVENTS = "SELECT sequence, service, number, kind, person, at, note FROM events ORDER BY sequence"
_CHAINED = (
    "SELECT sequence, service, number, kind, sha256, person, at, note, chain FROM events ORDER BY sequence"
)
_TEXT_DIGEST = "SELECT sha256 FROM versions WHERE service = ? AND number = ?"
_EVENTS_OF = (
    "SELECT sequence, service, number, kind, person, at, note FROM events WHERE service = ? ORDER BY sequence"
)


@dataclass(frozen=True)
class Act:
    """Who did something, when (UTC), and what was said about it."""

    by: str
    at: datetime
    note: str = ""


class VersionStore:
    """Versions and events in one SQLite file. Safe to use from several threads.

    Args:
        file: where it is kept; in memory without one.

    Raises:
        AdapterError: `adapter.register_damaged`: an event was changed or taken out.
    """

    def __init__(self, file: Path | None = None) -> None:
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
        self._using = threading.Lock()
        try:
            self.check()
        except AdapterError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._using:
            self._connection.close()

    def add_version(self, service: ServiceId, text: str, sha256: str, act: Act) -> int:
        """Keep a version, and who saved it, when and why; return its number."""
        with self._writing() as connection:
            found = connection.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM versions WHERE service = ?", (service,)
            )
            number = int(found.fetchone()[0])
            connection.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", (service, number, text, sha256))
            _append(connection, service, number, EventKind.SAVED, act)
            return number

    def add_event(self, service: ServiceId, number: int, kind: EventKind, act: Act) -> None:
        """Write down what somebody did to a version."""
        with self._writing() as connection:
            _append(connection, service, number, kind, act)

    def text_of(self, service: ServiceId, number: int) -> str | None:
        """Return a version's text."""
        rows = self._read("SELECT text FROM versions WHERE service = ? AND number = ?", service, number)
        return str(rows[0][0]) if rows else None

    def versions(self, service: ServiceId) -> list[tuple[int, str, str]]:
        """Return number, text and digest of a service's versions, oldest first."""
        return self._read(
            "SELECT number, text, sha256 FROM versions WHERE service = ? ORDER BY number", service
        )

    def services(self) -> list[ServiceId]:
        """Return the services that have a version."""
        return [ServiceId(row[0]) for row in self._read("SELECT DISTINCT service FROM versions ORDER BY 1")]

    def events(self, service: ServiceId | None = None) -> list[Event]:
        """Return what was done, oldest first."""
        rows = self._read(_ALL_EVENTS) if service is None else self._read(_EVENTS_OF, service)
        return [
            Event(row[0], ServiceId(row[1]), row[2], EventKind(row[3]), row[4], parse_instant(row[5]), row[6])
            for row in rows
        ]

    def check(self) -> None:
        """Recompute the chain of events, and the digests of the texts.

        Raises:
            AdapterError: `adapter.register_damaged`, naming the first event or version that does not fit.
        """
        before, saved = "", {}
        for count, row in enumerate(self._read(_CHAINED), 1):
            before = _chain(before, row[:-1])
            if row[0] != count or row[-1] != before:
                raise AdapterError("adapter.register_damaged", f"event {row[0]}")
            if row[3] == EventKind.SAVED:
                saved[row[1], row[2]] = row[4]
        for service, number, text, sha256 in self._read("SELECT * FROM versions"):
            is_its_own = hashlib.sha256(text.encode("utf-8")).hexdigest() == sha256
            if not is_its_own or saved.pop((service, number), None) != sha256:
                raise AdapterError("adapter.register_damaged", f"{service}: version {number}")
        for service, number in saved:
            raise AdapterError("adapter.register_damaged", f"{service}: version {number}")

    def _read(self, query: str, *arguments: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._using:
            return self._connection.execute(query, arguments).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise


def _append(
    connection: sqlite3.Connection,
    service: ServiceId,
    number: int,
    kind: EventKind,
    act: Act,
) -> None:
    last = connection.execute(
        "SELECT sequence, chain FROM events ORDER BY sequence DESC LIMIT 1"
    ).fetchone() or (0, "")
    (sha256,) = connection.execute(_TEXT_DIGEST, (service, number)).fetchone()
    row = (last[0] + 1, service, number, kind.value, sha256, act.by, format_instant(act.at), act.note)
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, _chain(last[1], row)))


def _chain(before: str, row: tuple[object, ...]) -> str:
    return hashlib.sha256(encode_canonical([before, *row])).hexdigest()
