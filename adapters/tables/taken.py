# SPDX-License-Identifier: Apache-2.0
"""What a gateway remembers of a table it takes rows from: which it has in hand, and how far it has read.

No content of a row is kept here, only its key, a digest, and the key and id of its message.
"""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BUSY_SECONDS = 10.0
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS taken (
    message_key TEXT PRIMARY KEY, row_key TEXT NOT NULL, digest TEXT NOT NULL, message_id TEXT
);
CREATE TABLE IF NOT EXISTS refused (digest TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class TakenRow:
    """A row in hand.

    Attributes:
        row_key: its key columns, as JSON.
        digest: SHA-256 of its content.
        message_key: what its message is called in the gateway's queue.
        message_id: None until it was put there.
    """

    row_key: str
    digest: str
    message_key: str
    message_id: str | None = None


class TakenRows:
    """The rows an intake has in hand; used by its thread only.

    Args:
        folder: where `table.sqlite` is kept.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "table.sqlite"
        file.touch(mode=0o600)
        self._connection = sqlite3.connect(file, _BUSY_SECONDS, check_same_thread=False)
        self._connection.executescript(_TABLES)
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO note VALUES ('own name', ?)", (str(uuid.uuid4()),)
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def own_name(self) -> str:
        """What this gateway calls itself in the department's table; the same for ever."""
        name: str = self._note("own name") or ""
        return name

    @property
    def watermark(self) -> str | None:
        """How far the table was read, as JSON; None before the first row."""
        return self._note("watermark")

    def reach(self, watermark: str) -> None:
        """Remember how far the table was read."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO note VALUES ('watermark', ?)", (watermark,))

    def take(self, rows: Iterable[TakenRow]) -> None:
        """Take rows in hand, durably and all at once; a row taken before is taken anew."""
        values = [(row.message_key, row.row_key, row.digest) for row in rows]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO taken VALUES (?, ?, ?, NULL)", values)

    def sent(self, row: TakenRow, message_id: str) -> None:
        """Remember the message a row has become."""
        with self._connection:
            self._connection.execute(
                "UPDATE taken SET message_id = ? WHERE message_key = ?", (message_id, row.message_key)
            )

    def drop(self, rows: Iterable[TakenRow]) -> None:
        """Have rows in hand no longer."""
        keys = [(row.message_key,) for row in rows]
        with self._connection:
            self._connection.executemany("DELETE FROM taken WHERE message_key = ?", keys)

    def in_hand(self) -> list[TakenRow]:
        """Return all rows in hand."""
        found = self._connection.execute("SELECT row_key, digest, message_key, message_id FROM taken")
        return [TakenRow(*each) for each in found.fetchall()]

    def refuse(self, digest: str) -> None:
        """Remember that a row as it is now cannot be sent."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO refused VALUES (?)", (digest,))

    def is_refused(self, digest: str) -> bool:
        """Tell whether a row as it is now was found unfit before."""
        found = self._connection.execute("SELECT 1 FROM refused WHERE digest = ?", (digest,))
        return found.fetchone() is not None

    def _note(self, name: str) -> str | None:
        found = self._connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])
