# SPDX-License-Identifier: Apache-2.0
"""The registry's tables: what stands in it now, and every change ever made, which nobody can rewrite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rfc8785
from sqlalchemy import Column, Integer, Row, String, Table, Text, delete, func, insert, select, text

from hub.clock import format_instant, parse_instant
from hub.database import keep_append_only, metadata
from hub.registry.model import ENTRY_TYPES, KIND_NAMES, Change, RecordedChange, RegistryEntry, Snapshot
from hub.registry.schemas import read_entry, write_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

registry_entries = Table(
    "registry_entries",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("body", Text, nullable=False),
)

registry_changes = Table(
    "registry_changes",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(24), nullable=False),
    Column("by", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("id", String(120), nullable=False, index=True),
    Column("before", Text),
    Column("after", Text),
)
keep_append_only(registry_changes)

# Any number will do, as long as no other lock of the hub has it.
_POSTGRESQL_LOCK = 7_516_192_769


def lock_registry(connection: Connection) -> None:
    """Let no other transaction change the registry until this one ends.

    SQLite's writer has the lock since it began.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})


def read_version(connection: Connection) -> int:
    """Return the number of the last change, or 0."""
    return connection.execute(select(func.max(registry_changes.c.sequence))).scalar_one() or 0


def read_snapshot(connection: Connection) -> Snapshot:
    """Return the registry as it is."""
    version = read_version(connection)
    rows = connection.execute(select(registry_entries.c.kind, registry_entries.c.body))
    return Snapshot.of((read_entry(ENTRY_TYPES[kind], body) for kind, body in rows), version)


def write_changes(connection: Connection, recorded: Sequence[RecordedChange]) -> None:
    """Make changes and record them."""
    for each in recorded:
        entry, change = each.change.entry, each.change
        kind = KIND_NAMES[type(entry)]
        is_it = (registry_entries.c.kind == kind) & (registry_entries.c.id == entry.id)
        after = _body(change.after)
        connection.execute(delete(registry_entries).where(is_it))
        if after is not None:
            connection.execute(insert(registry_entries), {"kind": kind, "id": entry.id, "body": after})
        connection.execute(
            insert(registry_changes),
            {
                "sequence": each.sequence,
                "at": format_instant(each.at),
                "by": each.by,
                "kind": kind,
                "id": entry.id,
                "before": _body(change.before),
                "after": after,
            },
        )


def read_changes(connection: Connection, after: int, limit: int) -> tuple[RecordedChange, ...]:
    """Return changes with a number above `after`, oldest first."""
    query = select(registry_changes).where(registry_changes.c.sequence > after)
    rows = connection.execute(query.order_by(registry_changes.c.sequence).limit(limit))
    return tuple(_recorded(row) for row in rows)


def read_changes_of(connection: Connection, entry: RegistryEntry) -> tuple[RecordedChange, ...]:
    """Return all changes of one entry, oldest first."""
    is_it = (registry_changes.c.kind == KIND_NAMES[type(entry)]) & (registry_changes.c.id == entry.id)
    query = select(registry_changes).where(is_it).order_by(registry_changes.c.sequence)
    return tuple(_recorded(row) for row in connection.execute(query))


def _body(entry: RegistryEntry | None) -> str | None:
    return None if entry is None else rfc8785.dumps(write_entry(entry)).decode()


def _recorded(row: Row[int, str, str, str, str, str | None, str | None]) -> RecordedChange:
    kind = ENTRY_TYPES[row.kind]
    before, after = (None if body is None else read_entry(kind, body) for body in (row.before, row.after))
    return RecordedChange(row.sequence, parse_instant(row.at), row.by, Change(before, after))
