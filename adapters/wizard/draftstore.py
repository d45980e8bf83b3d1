# SPDX-License-Identifier: Apache-2.0
"""Where drafts are kept: in a file of their own, every step, so that one can be taken back.

Drafts may hold samples of a department's data. They stay at its gateway, readable by its account only, and go
when their draft goes.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from adapters.wizard.drafts import Draft, KeptDraft
from hub.clock import format_instant, parse_instant
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.clock import Clock

_MOST_STEPS = 50
_MOST_DRAFTS = 200
_TABLES = """
CREATE TABLE IF NOT EXISTS steps (
  draft TEXT NOT NULL,
  revision INTEGER NOT NULL,
  content TEXT NOT NULL,
  what TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (draft, revision)
)
"""


class DraftStore:
    """The drafts of one gateway. Safe to use from several threads.

    Args:
        file: the database; made with its folder where it is not there.
        clock: says when a step was taken.
    """

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        with self._open() as connection:
            connection.execute(_TABLES)

    def begin(self, draft: Draft, by: str) -> KeptDraft:
        """Keep a new draft.

        Raises:
            AdapterError: `adapter.draft_limit`: there are too many.
        """
        name = secrets.token_hex(8)
        with self._open() as connection:
            [(count,)] = connection.execute("SELECT count(DISTINCT draft) FROM steps")
            if count >= _MOST_DRAFTS:
                raise AdapterError("adapter.draft_limit", f"{_MOST_DRAFTS} drafts")
            self._insert(connection, name, 1, draft, "", by)
        return self.find(name)

    def find(self, name: str) -> KeptDraft:
        """Return a draft as it is.

        Raises:
            AdapterError: `adapter.draft_unknown`.
        """
        with self._open() as connection:
            row = connection.execute(
                "SELECT revision, content, what, by_whom, at FROM steps WHERE draft = ?"
                " ORDER BY revision DESC LIMIT 1",
                (name,),
            ).fetchone()
        if row is None:
            raise AdapterError("adapter.draft_unknown")
        return _kept(name, *row)

    def all(self) -> tuple[KeptDraft, ...]:
        """Return every draft, the one changed last first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT draft, max(revision), content, what, by_whom, at FROM steps"
                " GROUP BY draft ORDER BY at DESC, draft"
            ).fetchall()
        return tuple(_kept(*row) for row in rows)

    def change(self, known: KeptDraft, draft: Draft, *, what: str, by: str) -> KeptDraft:
        """Keep a draft's next step; one that changes nothing is none.

        Args:
            known: the draft as whoever changes it saw it.
            draft: as it shall be.
            what: the step's name, for whoever takes it back.
            by: who changes it.

        Raises:
            AdapterError: `adapter.draft_changed`: somebody else was faster; `adapter.draft_unknown`.
        """
        if draft == known.draft:
            return self.find(known.id)
        with self._open() as connection:
            self._require_current(connection, known)
            self._insert(connection, known.id, known.revision + 1, draft, what, by)
            connection.execute(
                "DELETE FROM steps WHERE draft = ? AND revision <= ?",
                (known.id, known.revision + 1 - _MOST_STEPS),
            )
        return self.find(known.id)

    def undo(self, known: KeptDraft) -> KeptDraft:
        """Take the last step back; where there is none, nothing happens.

        Raises:
            AdapterError: `adapter.draft_changed`: somebody else was faster; `adapter.draft_unknown`.
        """
        with self._open() as connection:
            self._require_current(connection, known)
            [(count,)] = connection.execute("SELECT count(*) FROM steps WHERE draft = ?", (known.id,))
            if count > 1:
                connection.execute(
                    "DELETE FROM steps WHERE draft = ? AND revision = ?", (known.id, known.revision)
                )
        return self.find(known.id)

    def drop(self, name: str) -> None:
        """Forget a draft and every step of it."""
        with self._open() as connection:
            connection.execute("DELETE FROM steps WHERE draft = ?", (name,))

    def _insert(  # noqa: PLR0913, PLR0917 - a row has so many columns
        self, connection: sqlite3.Connection, name: str, revision: int, draft: Draft, what: str, by: str
    ) -> None:
        connection.execute(
            "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?)",
            (name, revision, draft.as_json(), what, by, format_instant(self._clock.now())),
        )

    @staticmethod
    def _require_current(connection: sqlite3.Connection, known: KeptDraft) -> None:
        [(newest,)] = connection.execute("SELECT max(revision) FROM steps WHERE draft = ?", (known.id,))
        if newest is None:
            raise AdapterError("adapter.draft_unknown")
        if newest != known.revision:
            raise AdapterError("adapter.draft_changed", f"step {newest} in place of {known.revision}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction, written down with a flush when it ends well."""
        with closing(sqlite3.connect(self._file, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            # What a sample held is overwritten when its draft goes.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _kept(name: str, revision: int, content: str, what: str, by: str, at: str) -> KeptDraft:  # noqa: PLR0913, PLR0917
    return KeptDraft(
        id=name,
        draft=Draft.from_json(content),
        revision=revision,
        by=by,
        changed_at=parse_instant(at),
        undoes=what,
    )
