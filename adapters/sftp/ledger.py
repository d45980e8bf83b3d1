# SPDX-License-Identifier: Apache-2.0
"""What an intake knows of the files it has taken: one SQLite file, written before anything is moved.

fetched   the file is here and is what stands beside it says; its rows go into the queue
put       all of it is in the queue; the file is still in the inbox
taken     it has been moved out of the inbox; what becomes of its rows is waited for
settled   everything is known and was told; only the digest is kept, for duplicates
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.clock import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from adapters.ports import JsonObject

DIGESTS_KEPT = timedelta(days=400)
"""How long the same content is known again."""

_PAGE = 500
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL, size INTEGER NOT NULL, modified_at INTEGER, sha256 TEXT NOT NULL,
    companions TEXT NOT NULL, rows INTEGER NOT NULL, state TEXT NOT NULL, taken_at TEXT NOT NULL,
    archived_as TEXT, announcement BLOB, is_sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS files_by_digest ON files (sha256);
CREATE INDEX IF NOT EXISTS files_open ON files (number) WHERE state <> 'settled';
CREATE TABLE IF NOT EXISTS rows (
    file INTEGER NOT NULL REFERENCES files, number INTEGER NOT NULL, line INTEGER NOT NULL,
    key TEXT, state TEXT NOT NULL, code TEXT, detail TEXT, text TEXT, answer TEXT,
    PRIMARY KEY (file, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_by_state ON rows (file, state, number);
"""


class FileState(StrEnum):
    """How far a file has come."""

    FETCHED = "fetched"
    PUT = "put"
    TAKEN = "taken"
    SETTLED = "settled"


class RowState(StrEnum):
    """How far a row has come."""

    PUT = "put"
    PROCESSED = "processed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A file an intake has.

    Attributes:
        modified_at: as the server said when it was fetched.
        announcement: of a file that is sent as a large payload, once it is signed.
    """

    number: int
    name: str
    size: int
    modified_at: int | None
    sha256: str
    companions: tuple[str, ...]
    rows: int
    state: FileState
    taken_at: str
    archived_as: str | None
    announcement: bytes | None
    is_sent: bool


@dataclass(frozen=True)
class KnownRow:
    """A row of a file, and what has become of it.

    Attributes:
        text: as it stands in the file; only of refused rows.
    """

    number: int
    line: int
    key: str | None
    state: RowState
    code: str | None = None
    detail: str | None = None
    text: str | None = None
    answer: JsonObject | None = None


class Ledger:
    """The files of one intake; safe to use from several threads.

    Args:
        file: of the ledger.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What departments tell each other is for the gateway's account only.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_TABLES)
        self._using = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(  # noqa: PLR0913 - one row's fields, each by its name
        self,
        *,
        name: str,
        size: int,
        modified_at: int | None,
        sha256: str,
        companions: tuple[str, ...],
        rows: int,
        now: datetime,
    ) -> None:
        """Write down that a file is here."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM files WHERE state = 'settled' AND taken_at < ?",
                (format_instant(now - DIGESTS_KEPT),),
            )
            connection.execute(
                "INSERT INTO files (name, size, modified_at, sha256, companions, rows, state, taken_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _stored(name),
                    size,
                    modified_at,
                    sha256,
                    json.dumps(companions),
                    rows,
                    FileState.FETCHED,
                    format_instant(now),
                ),
            )

    def is_known(self, sha256: str) -> bool:
        """Tell whether this content was taken before."""
        with self._using:
            query = "SELECT 1 FROM files WHERE sha256 = ? LIMIT 1"
            return self._connection.execute(query, (sha256,)).fetchone() is not None

    def files(self, *states: FileState) -> list[KnownFile]:
        """Return the files in these states, the first taken first."""
        with self._using:
            found = self._connection.execute(
                "SELECT number, name, size, modified_at, sha256, companions, rows, state, taken_at,"
                " archived_as, announcement, is_sent FROM files"
                " WHERE state IN (SELECT value FROM json_each(?)) ORDER BY number",
                (json.dumps(states),),
            ).fetchall()
        return [
            KnownFile(
                number=row[0],
                name=_given(row[1]),
                size=row[2],
                modified_at=row[3],
                sha256=row[4],
                companions=tuple(json.loads(row[5])),
                rows=row[6],
                state=FileState(row[7]),
                taken_at=row[8],
                archived_as=row[9],
                announcement=row[10],
                is_sent=bool(row[11]),
            )
            for row in found
        ]

    def enter(self, file: KnownFile, rows: Iterable[KnownRow]) -> None:
        """Write down rows, again or for the first time; what is settled of them stays."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO rows (file, number, line, key, state, code, detail, text) VALUES"
                " (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    (file.number, row.number, row.line, row.key, row.state, row.code, row.detail, row.text)
                    for row in rows
                ),
            )

    def last_entered(self, file: KnownFile) -> int:
        """Return the number of the last row that was written down; 0 for none."""
        with self._using:
            query = "SELECT max(number) FROM rows WHERE file = ?"
            (number,) = self._connection.execute(query, (file.number,)).fetchone()
        return number or 0

    def settle(self, file: KnownFile, rows: Iterable[KnownRow]) -> None:
        """Write down what has become of rows."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE rows SET state = ?, code = ?, detail = ?, answer = ? WHERE file = ? AND number = ?",
                (
                    (
                        row.state,
                        row.code,
                        row.detail,
                        None if row.answer is None else json.dumps(row.answer),
                        file.number,
                        row.number,
                    )
                    for row in rows
                ),
            )

    def rows(self, file: KnownFile, state: RowState) -> Iterator[KnownRow]:
        """Yield a file's rows in a state, in order; they may be settled meanwhile."""
        after = 0
        while True:
            with self._using:
                page = self._connection.execute(
                    "SELECT number, line, key, state, code, detail, text, answer FROM rows"
                    " WHERE file = ? AND state = ? AND number > ? ORDER BY number LIMIT ?",
                    (file.number, state, after, _PAGE),
                ).fetchall()
            for row in page:
                answer = None if row[7] is None else json.loads(row[7])
                yield KnownRow(row[0], row[1], row[2], RowState(row[3]), row[4], row[5], row[6], answer)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def count(self, file: KnownFile, state: RowState) -> int:
        """Return how many rows of a file are in a state."""
        with self._using:
            query = "SELECT count(*) FROM rows WHERE file = ? AND state = ?"
            (number,) = self._connection.execute(query, (file.number, state)).fetchone()
        return int(number)

    def give_up(self, file: KnownFile) -> None:
        """Forget a file that is not here any more; it is fetched anew."""
        with self._writing() as connection:
            connection.execute("DELETE FROM rows WHERE file = ?", (file.number,))
            connection.execute("DELETE FROM files WHERE number = ?", (file.number,))

    def was_put(self, file: KnownFile) -> None:
        """Write down that all of a file is in the queue."""
        self._set(file, "state = ?", FileState.PUT)

    def was_moved(self, file: KnownFile, archived_as: str | None) -> None:
        """Write down that a file is out of the inbox; None when somebody else took it away."""
        self._set(file, "archived_as = ?, state = ?", archived_as, FileState.TAKEN)

    def was_signed(self, file: KnownFile, announcement: bytes) -> None:
        """Keep a file's signed message: it is this one from now on."""
        self._set(file, "announcement = ?", announcement)

    def was_sent(self, file: KnownFile) -> None:
        """Write down that the hub has a file's message."""
        self._set(file, "is_sent = 1")

    def was_told(self, file: KnownFile) -> None:
        """Forget a file's rows and contents; everything about it was told."""
        with self._writing() as connection:
            connection.execute("DELETE FROM rows WHERE file = ?", (file.number,))
            connection.execute(
                "UPDATE files SET state = ?, announcement = NULL WHERE number = ?",
                (FileState.SETTLED, file.number),
            )

    def _set(self, file: KnownFile, what: str, *values: object) -> None:
        with self._writing() as connection:
            connection.execute(
                f"UPDATE files SET {what} WHERE number = ?",  # noqa: S608 - `what` is one of this class's own texts
                (*values, file.number),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _stored(name: str) -> bytes | str:
    # A name that is no UTF-8 cannot be kept as text.
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape")
    return name


def _given(name: bytes | str) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
