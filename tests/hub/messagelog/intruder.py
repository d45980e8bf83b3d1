# SPDX-License-Identifier: Apache-2.0
"""Somebody with all rights on the database file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hub.tlog import Checkpoint, Frontier, NoteSigner, leaf_hash, root_of
from tests.hub.messagelog.conftest import ORIGIN, RunningLog

if TYPE_CHECKING:
    from hub.tlog import Entry


def filled(running: RunningLog, sealed: tuple[int, ...], size: int) -> RunningLog:
    """Append until there are `size` entries, with a checkpoint at each of `sealed`."""
    for until in sealed:
        running.append_many(until - running.log.size())
        running.log.checkpoint()
    running.append_many(size - running.log.size())
    return running


class Intruder:
    """Has all rights on the database file."""

    def __init__(self, database: RunningLog | str) -> None:
        if isinstance(database, str):
            self._file = database
        else:
            self._file = str(database.engine.url.database)
            database.engine.dispose()
        with self._open() as opened:
            for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                opened.execute(f'DROP TRIGGER "{name}"')

    def _open(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._file, isolation_level=None))

    def run(self, *statements: str, **values: Any) -> None:
        with self._open() as opened:
            for statement in statements:
                opened.execute(statement, values)

    def rows(self) -> list[tuple[int, bytes, bytes, str]]:
        with self._open() as opened:
            return opened.execute("SELECT * FROM log_entries ORDER BY leaf_index").fetchall()

    def write_rows(self, rows: list[tuple[int, bytes, bytes, str]]) -> None:
        with self._open() as opened:
            opened.execute("BEGIN")
            opened.execute("DELETE FROM log_entries")
            opened.executemany("INSERT INTO log_entries VALUES (?, ?, ?, ?)", rows)
            opened.execute("COMMIT")

    def change(self, index: int, *, with_hash: bool = False) -> None:
        """Have an entry say that its message was answered."""
        self.replace(index, b'"accepted"', b'"answered"', with_hash=with_hash)

    def replace(self, index: int, old: bytes, new: bytes, *, with_hash: bool = True) -> None:
        """Change the bytes of an entry."""
        (entry,) = (entry for number, entry, _, _ in self.rows() if number == index)
        entry = entry.replace(old, new)
        values = {"entry": entry, "hash": leaf_hash(entry), "index": index}
        self.run("UPDATE log_entries SET entry = :entry WHERE leaf_index = :index", **values)
        if with_hash:
            self.run("UPDATE log_entries SET leaf_hash = :hash WHERE leaf_index = :index", **values)

    def swap(self, one: int, other: int, *, with_hash: bool = True) -> None:
        """Let two entries change places."""
        rows = self.rows()
        first, second = rows[one], rows[other]
        for to, source in ((one, second), (other, first)):
            rows[to] = (rows[to][0], source[1], source[2] if with_hash else rows[to][2], source[3])
        self.write_rows(rows)

    def take_out(self, index: int) -> None:
        """Remove a row and move the rest up."""
        rows = self.rows()
        del rows[index]
        self.write_rows([(number, *row[1:]) for number, row in enumerate(rows)])

    def insert(self, index: int, entry: Entry) -> None:
        """Insert a row and move the rest down."""
        rows = self.rows()
        leaf = entry.to_bytes()
        rows.insert(index, (0, leaf, leaf_hash(leaf), str(entry.message_id)))
        self.write_rows([(number, *row[1:]) for number, row in enumerate(rows)])

    def compute_tree_anew(self) -> None:
        """Make every stored hash fit the entries as they are now."""
        frontier, nodes = Frontier(), []
        for _, entry, _, _ in self.rows():
            frontier, completed = frontier.append(leaf_hash(entry))
            nodes += [(subtree.position, value) for subtree, value in completed]
        with self._open() as opened:
            opened.execute("BEGIN")
            for index, entry, _, _ in self.rows():
                values = (leaf_hash(entry), index)
                opened.execute("UPDATE log_entries SET leaf_hash = ? WHERE leaf_index = ?", values)
            opened.execute("DELETE FROM log_nodes")
            opened.executemany("INSERT INTO log_nodes VALUES (?, ?)", nodes)
            opened.execute("COMMIT")

    def sign_anew(self, signer: NoteSigner) -> None:
        """Sign every checkpoint over the entries as they are now, with a key that was stolen or made up."""
        leaves = [leaf_hash(entry) for _, entry, _, _ in self.rows()]
        with self._open() as opened:
            sizes = [size for (size,) in opened.execute("SELECT size FROM log_checkpoints").fetchall()]
        for size in sizes:
            note = signer.sign(Checkpoint(ORIGIN, size, root_of(leaves[:size])).to_text())
            self.run("UPDATE log_checkpoints SET note = :note WHERE size = :size", note=note, size=size)
