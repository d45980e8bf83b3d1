# SPDX-License-Identifier: Apache-2.0
"""Somebody with all rights on the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, make_url, text

from hub.tlog import Checkpoint, Frontier, NoteSigner, leaf_hash, root_of
from tests.hub.messagelog.conftest import ORIGIN, RunningLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from hub.tlog import Entry

# What tests say in SQLite's words.
IN_POSTGRESQL = {
    "zeroblob(32)": "decode(repeat('00', 32), 'hex')",
    "x'7b7d'": "'{}'::bytea",
    "cast('nothing' AS BLOB)": "'nothing'::bytea",
    "cast(replace(entry, 'accepted', 'answered') AS BLOB)": (
        "convert_to(replace(convert_from(entry, 'UTF8'), 'accepted', 'answered'), 'UTF8')"
    ),
}


def filled(running: RunningLog, sealed: tuple[int, ...], size: int) -> RunningLog:
    """Append until there are `size` entries, with a checkpoint at each of `sealed`."""
    for until in sealed:
        running.append_many(until - running.log.size())
        running.log.checkpoint()
    running.append_many(size - running.log.size())
    return running


def disarm(connection: Connection) -> None:
    """Take the guards of append-only tables away, as whoever owns the database can."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        return
    # Read to the end first: while a cursor stands open, nobody can write after somebody else has.
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for name in connection.execute(triggers).scalars().all():
        connection.execute(text(f'DROP TRIGGER "{name}"'))


class Intruder:
    """Has all rights on the database, a file or a server's."""

    def __init__(self, database: RunningLog | str) -> None:
        if isinstance(database, str):
            self._url = make_url(f"sqlite:///{database}")
        else:
            self._url = database.engine.url
            database.engine.dispose()

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        # A hub that serves may be writing at the same moment.
        patience = {"timeout": 30} if self._url.get_backend_name() == "sqlite" else {}
        engine = create_engine(self._url, poolclass=NullPool, connect_args=patience)
        with engine.begin() as connection:
            disarm(connection)
            yield connection
        engine.dispose()

    def run(self, *statements: str, **values: Any) -> None:
        with self._open() as opened:
            for statement in statements:
                said = statement
                if self._url.get_backend_name() == "postgresql":
                    for words, translated in IN_POSTGRESQL.items():
                        said = said.replace(words, translated)
                opened.execute(text(said), values)

    def rows(self) -> list[tuple[int, bytes, bytes, str]]:
        with self._open() as opened:
            found = opened.execute(text("SELECT * FROM log_entries ORDER BY leaf_index"))
            return [tuple(row) for row in found]

    def write_rows(self, rows: list[tuple[int, bytes, bytes, str]]) -> None:
        with self._open() as opened:
            opened.execute(text("DELETE FROM log_entries"))
            for row in rows:
                values = dict(zip("iehm", row, strict=True))
                opened.execute(text("INSERT INTO log_entries VALUES (:i, :e, :h, :m)"), values)

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
        rows = self.rows()
        with self._open() as opened:
            for index, entry, _, _ in rows:
                hashed = {"hash": leaf_hash(entry), "index": index}
                opened.execute(
                    text("UPDATE log_entries SET leaf_hash = :hash WHERE leaf_index = :index"), hashed
                )
            opened.execute(text("DELETE FROM log_nodes"))
            for position, value in nodes:
                opened.execute(text("INSERT INTO log_nodes VALUES (:p, :v)"), {"p": position, "v": value})

    def sign_anew(self, signer: NoteSigner) -> None:
        """Sign every checkpoint over the entries as they are now, with a key that was stolen or made up."""
        leaves = [leaf_hash(entry) for _, entry, _, _ in self.rows()]
        with self._open() as opened:
            sizes = list(opened.execute(text("SELECT size FROM log_checkpoints")).scalars())
        for size in sizes:
            note = signer.sign(Checkpoint(ORIGIN, size, root_of(leaves[:size])).to_text())
            self.run("UPDATE log_checkpoints SET note = :note WHERE size = :size", note=note, size=size)
