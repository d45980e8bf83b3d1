# SPDX-License-Identifier: Apache-2.0
"""The log's tables: rows are added at the end, and the database itself refuses anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BindParameter,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
)

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, insert_rows, keep_append_only, metadata
from hub.errors import LogError
from hub.tlog import Entry, Frontier, LoggedEntry, LogPosition, Span, Subtree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.identifiers import MessageId

log_entries = Table(
    "log_entries",
    metadata,
    Column("leaf_index", NUMBER, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("message_id", Text),
    sqlite_strict=True,
)
Index("log_entries_by_message", log_entries.c.message_id)

log_nodes = Table(
    "log_nodes",
    metadata,
    # Subtree.position; leaves are in log_entries.
    Column("position", NUMBER, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    sqlite_strict=True,
)

log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("size", NUMBER, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at", Text),
    sqlite_strict=True,
)

for _table in (log_entries, log_nodes, log_checkpoints):
    keep_append_only(_table)

_MOST_PARAMETERS = 500


# Built once: building a statement takes longer than running it.
_SIZE = select(func.max(log_entries.c.leaf_index))
_END = (
    select(log_entries.c.leaf_index, log_entries.c.leaf_hash)
    .order_by(log_entries.c.leaf_index.desc())
    .limit(1)
)
_KEYS: BindParameter[int] = bindparam("keys", expanding=True)
_LEAF_HASHES = select(log_entries.c.leaf_index, log_entries.c.leaf_hash).where(
    log_entries.c.leaf_index.in_(_KEYS)
)
_NODE_HASHES = select(log_nodes.c.position, log_nodes.c.hash).where(log_nodes.c.position.in_(_KEYS))
_NEGATIVE = select(log_entries.c.leaf_index).where(log_entries.c.leaf_index < 0)
_NODES = (
    select(log_nodes.c.position, log_nodes.c.hash)
    .where(log_nodes.c.position >= bindparam("start"), log_nodes.c.position < bindparam("end"))
    .order_by(log_nodes.c.position)
)
_LARGEST_NOTE = select(func.max(log_checkpoints.c.size))
_NOTE = select(log_checkpoints.c.note).where(log_checkpoints.c.size == bindparam("of_size"))


class NewLeaf(NamedTuple):
    """An entry on its way into the table, in the order of its columns."""

    leaf_index: int
    leaf: bytes
    leaf_hash: bytes
    message_id: MessageId | None


def read_size(connection: Connection) -> int:
    """Return the number of entries: one more than the last index."""
    last = connection.execute(_SIZE).scalar_one()
    return 0 if last is None else last + 1


def read_end(connection: Connection) -> tuple[int, bytes]:
    """Return the number of entries and the leaf hash of the last one, empty when there is none."""
    last = connection.execute(_END).one_or_none()
    return (0, b"") if last is None else (last.leaf_index + 1, last.leaf_hash)


def read_frontier(connection: Connection, size: int) -> Frontier:
    """Return the frontier of the tree of the first `size` entries."""
    subtrees = Span(0, size).subtrees()
    hashes = read_hashes(connection, subtrees)
    return Frontier(size, tuple(hashes[subtree] for subtree in subtrees))


def read_hashes(connection: Connection, subtrees: Iterable[Subtree]) -> dict[Subtree, bytes]:
    """Return the hashes of complete subtrees.

    Raises:
        LogError: `log.corrupt`: one is missing.
    """
    wanted = set(subtrees)
    leaves = {subtree.number: subtree for subtree in wanted if subtree.level == 0}
    nodes = {subtree.position: subtree for subtree in wanted if subtree.level > 0}
    found = {}
    for query, keys in ((_LEAF_HASHES, leaves), (_NODE_HASHES, nodes)):
        for some in _portions(list(keys)):
            rows = connection.execute(query, {"keys": some})
            found.update({keys[number]: value for number, value in rows})
    if len(found) != len(wanted):
        raise LogError("log.corrupt", f"{len(wanted) - len(found)} hashes of the tree are missing")
    return found


def insert_leaves(
    connection: Connection, leaves: Sequence[NewLeaf], nodes: Sequence[tuple[Subtree, bytes]]
) -> None:
    """Add entries at the end, and the subtrees they completed."""
    insert_rows(connection, log_entries, leaves)
    if nodes:
        rows = [(subtree.position, value) for subtree, value in nodes]
        insert_rows(connection, log_nodes, rows)


def read_entry(connection: Connection, index: int) -> LoggedEntry | None:
    """Return one entry."""
    row = connection.execute(select(log_entries).where(log_entries.c.leaf_index == index)).one_or_none()
    return None if row is None else _logged(row)


def read_entries_of(connection: Connection, message_id: MessageId) -> tuple[LoggedEntry, ...]:
    """Return all entries about a message, oldest first."""
    query = select(log_entries).where(log_entries.c.message_id == message_id)
    return tuple(_logged(row) for row in connection.execute(query.order_by(log_entries.c.leaf_index)))


def read_leaves(connection: Connection, span: Span) -> Iterator[NewLeaf]:
    """Return the stored rows of a span in order, as they are: nothing is checked."""
    within = log_entries.c.leaf_index.between(span.start, span.end - 1)
    query = select(log_entries).where(within).order_by(log_entries.c.leaf_index)
    for row in connection.execute(query):
        yield NewLeaf(*row)


def read_negative(connection: Connection) -> list[int]:
    """Return the numbers of rows before the first entry; there should be none."""
    return list(connection.execute(_NEGATIVE).scalars())


def read_next_index(connection: Connection, start: int) -> int:
    """Return the number of the first row from `start` on; there must be one."""
    query = select(func.min(log_entries.c.leaf_index)).where(log_entries.c.leaf_index >= start)
    index: int = connection.execute(query).scalar_one()
    return index


def read_indexes(connection: Connection, start: int) -> list[int]:
    """Return the numbers of the rows from `start` on, at most a thousand."""
    query = select(log_entries.c.leaf_index).where(log_entries.c.leaf_index >= start)
    return list(connection.execute(query.order_by(log_entries.c.leaf_index).limit(1_000)).scalars())


def read_nodes(connection: Connection, start: int, end: int) -> list[tuple[int, bytes]]:
    """Return the stored hashes of subtrees from position `start` up to but without `end`."""
    return [(position, value) for position, value in connection.execute(_NODES, {"start": start, "end": end})]


def read_node(connection: Connection, subtree: Subtree) -> bytes | None:
    """Return the stored hash of one subtree, of a leaf's as well."""
    query, key = (_LEAF_HASHES, subtree.number) if subtree.level == 0 else (_NODE_HASHES, subtree.position)
    row = connection.execute(query, {"keys": [key]}).one_or_none()
    return None if row is None else row[1]


def count_nodes_from(connection: Connection, position: int) -> int:
    """Return how many hashes are stored from a position on, or before the first one."""
    place = log_nodes.c.position
    query = select(func.count()).select_from(log_nodes).where((place >= position) | (place < 0))
    return connection.execute(query).scalar_one()


def read_last_note(connection: Connection) -> str | None:
    """Return the signed checkpoint of the largest size."""
    query = select(log_checkpoints.c.note).order_by(log_checkpoints.c.size.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


def read_notes(connection: Connection) -> list[tuple[int, str]]:
    """Return all signed checkpoints with the size they are stored under, smallest first."""
    query = select(log_checkpoints.c.size, log_checkpoints.c.note).order_by(log_checkpoints.c.size)
    return [(size, note) for size, note in connection.execute(query)]


def read_last_signing(connection: Connection) -> tuple[int, datetime | None] | None:
    """Return the largest size that was signed, and when; None for when where it was not written down."""
    query = select(log_checkpoints.c.size, log_checkpoints.c.signed_at)
    row = connection.execute(query.order_by(log_checkpoints.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else (row.size, parse_instant(row.signed_at) if row.signed_at else None)


def insert_note(connection: Connection, size: int, note: str, signed_at: datetime) -> None:
    """Keep a checkpoint signed at an instant of our clock, UTC."""
    values = {"size": size, "note": note, "signed_at": format_instant(signed_at)}
    connection.execute(insert(log_checkpoints), values)


def read_largest(connection: Connection) -> int:
    """Return the size of the largest signed checkpoint, -1 when there is none."""
    largest = connection.execute(_LARGEST_NOTE).scalar_one()
    return -1 if largest is None else largest


def read_note(connection: Connection, size: int) -> str | None:
    """Return the signed checkpoint of a size."""
    return connection.execute(_NOTE, {"of_size": size}).scalar_one_or_none()


def _portions(keys: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(keys), _MOST_PARAMETERS):
        yield keys[start : start + _MOST_PARAMETERS]


def _logged(row: Row[int, bytes, bytes, str | None]) -> LoggedEntry:
    return LoggedEntry(LogPosition(row.leaf_index, row.leaf_hash), Entry.from_bytes(row.entry))
