# SPDX-License-Identifier: Apache-2.0
"""Encrypted containers, names of keys, erasures; only this module and `archivestore` touch their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.database import keep_append_only, metadata
from hub.vault.keyids import KeyId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection

containers = Table(
    "containers",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key_id", String(40), nullable=False),
    # 0 where it is a file: its size may not fit (hub.vault.largestore).
    Column("bytes", Integer, nullable=False),
    # hub.vault.sealing; NULL where it lies in an archive or a file, or its key was destroyed.
    Column("content", LargeBinary),
    # Which archive of hub.vault.archivestore it lies in instead, and from which octet on.
    Column("archive", Integer),
    Column("position", BigInteger),
    Index("containers_by_key", "key_id", "sha256"),
)

_keys = Table(
    "vault_keys",
    metadata,
    Column("key_id", String(40), primary_key=True),
    Column("created_at", String(24), nullable=False),
)

_erasures = Table(
    "vault_erasures",
    metadata,
    Column("key_id", String(40), primary_key=True),
    Column("erased_at", String(24), nullable=False),
    Column("reason", Text, nullable=False),
    # The record, RFC 8785; the log has its digest.
    Column("record", LargeBinary, nullable=False),
)

_holds = Table(
    "vault_holds",
    metadata,
    Column("hold_id", String(36), primary_key=True),
    # The hold this row ends; NULL where it begins one.
    Column("releases", String(36)),
    Column("done_by", String(200), nullable=False),
    Column("done_at", String(24), nullable=False),
    # What is held and why, encrypted.
    Column("key_id", String(40), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

for _table in (_erasures, _holds):
    keep_append_only(_table)

# Built once: building them anew took longer than running them.
_INSERT = text(
    "INSERT INTO containers (sha256, key_id, bytes, content) VALUES (:sha256, :key_id, :bytes, :content) "
    "ON CONFLICT (sha256) DO NOTHING"
).bindparams(bindparam("content", type_=LargeBinary))
_INSERT_KEY = text(
    "INSERT INTO vault_keys (key_id, created_at) VALUES (:key_id, :created_at) "
    "ON CONFLICT (key_id) DO NOTHING"
)
_READ = (
    select(containers, _erasures.c.erased_at, _erasures.c.reason)
    .join_from(containers, _erasures, containers.c.key_id == _erasures.c.key_id, isouter=True)
    .where(containers.c.sha256 == bindparam("wanted"))
)
_DIGESTS = (
    select(containers.c.sha256)
    .where(containers.c.key_id == bindparam("wanted"), containers.c.sha256 > bindparam("after"))
    .order_by(containers.c.sha256)
    .limit(bindparam("most", type_=Integer))
)
_SOME: BindParameter[str] = bindparam("digests", expanding=True)
_DROP = update(containers).where(containers.c.sha256.in_(_SOME)).values(content=None)
_DIGESTS_AT_A_TIME = 5000
_MOST_PARAMETERS = 500
_READ_ERASURE = select(_erasures).where(_erasures.c.key_id == bindparam("wanted"))


@dataclass(frozen=True)
class StoredContainer:
    """A row: where a container is, and whether its key is gone.

    Attributes:
        sha256: of the container, lower-case hex.
        key_id: what it is encrypted under.
        size: of the container itself, octets.
        content: encrypted; None when it is not in the database.
        archive: the number of the archive it lies in instead.
        position: from which octet of the archive on.
        erased_at: when its key was destroyed, as in `hub.clock`.
        reason: why.
    """

    sha256: str
    key_id: KeyId
    size: int
    content: bytes | None
    archive: int | None
    position: int | None
    erased_at: str | None
    reason: str | None


def insert_container(
    connection: Connection, sha256: str, key_id: KeyId, size: int, content: bytes | None
) -> bool:
    """Keep an encrypted container, or one whose content is a file; return whether it was not there yet."""
    row = {"sha256": sha256, "key_id": str(key_id), "bytes": size, "content": content}
    return connection.execute(_INSERT, row).rowcount == 1


def replace_container(connection: Connection, sha256: str, key_id: KeyId, content: bytes | None) -> None:
    """Put a container under another key."""
    connection.execute(
        containers.update()
        .where(containers.c.sha256 == sha256)
        .values(key_id=str(key_id), content=content, archive=None, position=None)
    )


def read_container(connection: Connection, sha256: str) -> StoredContainer | None:
    """Return a container's row."""
    row = connection.execute(_READ, {"wanted": sha256}).one_or_none()
    if row is None:
        return None
    return StoredContainer(
        row.sha256,
        KeyId.parse(row.key_id),
        row.bytes,
        row.content,
        row.archive,
        row.position,
        row.erased_at,
        row.reason,
    )


def enter_key(connection: Connection, key_id: KeyId, at: datetime) -> None:
    """Enter that a key exists; entering it twice changes nothing."""
    connection.execute(_INSERT_KEY, {"key_id": str(key_id), "created_at": format_instant(at)})


def read_keys(connection: Connection) -> frozenset[KeyId]:
    """Return every key that was ever used."""
    return frozenset(KeyId.parse(name) for name in connection.scalars(select(_keys.c.key_id)))


def read_erased(connection: Connection) -> frozenset[KeyId]:
    """Return the keys whose destruction is on record."""
    return frozenset(KeyId.parse(name) for name in connection.scalars(select(_erasures.c.key_id)))


@dataclass(frozen=True)
class Erasure:
    """That a key was destroyed.

    Attributes:
        erased_at: when, as in `hub.clock`.
        reason: why.
        record: RFC 8785; the log has its digest.
    """

    key_id: KeyId
    erased_at: str
    reason: str
    record: bytes


def read_erasure(connection: Connection, key_id: KeyId) -> Erasure | None:
    """Return the record of a key's destruction, or None."""
    row = connection.execute(_READ_ERASURE, {"wanted": str(key_id)}).one_or_none()
    return None if row is None else Erasure(key_id, row.erased_at, row.reason, row.record)


def read_erasures(connection: Connection) -> tuple[Erasure, ...]:
    """Return the records of all keys that were destroyed, the oldest first."""
    rows = connection.execute(select(_erasures).order_by(_erasures.c.erased_at, _erasures.c.key_id))
    return tuple(Erasure(KeyId.parse(row.key_id), row.erased_at, row.reason, row.record) for row in rows)


def enter_erasure(connection: Connection, key_id: KeyId, at: datetime, reason: str, record: bytes) -> Erasure:
    """Enter that a key is destroyed."""
    connection.execute(
        insert(_erasures),
        {"key_id": str(key_id), "erased_at": format_instant(at), "reason": reason, "record": record},
    )
    return Erasure(key_id, format_instant(at), reason, record)


def read_digests(connection: Connection, key_id: KeyId) -> Iterator[str]:
    """Return the digests of what is encrypted under a key, in their order."""
    after = ""
    while True:
        some = connection.scalars(
            _DIGESTS, {"wanted": str(key_id), "after": after, "most": _DIGESTS_AT_A_TIME}
        ).all()
        yield from some
        if len(some) < _DIGESTS_AT_A_TIME:
            return
        after = some[-1]


def next_digests(connection: Connection, key_id: KeyId, *, after: str, most: int) -> list[str]:
    """Return the digests under a key that follow another one, in their order."""
    return list(connection.scalars(_DIGESTS, {"wanted": str(key_id), "after": after, "most": most}))


def count_containers(connection: Connection, key_id: KeyId) -> tuple[int, int]:
    """Return how many containers are encrypted under a key, and how many octets they have."""
    query = select(func.count(), func.coalesce(func.sum(containers.c.bytes), 0))
    count, size = connection.execute(query.where(containers.c.key_id == str(key_id))).one()
    return count, int(size)


def drop_contents(connection: Connection, key_id: KeyId, *, after: str, most: int) -> tuple[str, int] | None:
    """Drop the next contents under a key, and say up to which digest and how many; None at the end."""
    some = next_digests(connection, key_id, after=after, most=most)
    if not some:
        return None
    connection.execute(_DROP, {"digests": some})
    return some[-1], len(some)


def read_keys_of(connection: Connection, digests: Iterable[str]) -> frozenset[KeyId]:
    """Return the keys under which some containers are encrypted."""
    wanted = sorted(set(digests))
    found: set[KeyId] = set()
    for start in range(0, len(wanted), _MOST_PARAMETERS):
        some = wanted[start : start + _MOST_PARAMETERS]
        names = connection.scalars(
            select(containers.c.key_id).where(containers.c.sha256.in_(some)).distinct()
        )
        found |= {KeyId.parse(name) for name in names}
    return frozenset(found)


@dataclass(frozen=True)
class StoredHold:
    """That a hold was placed, or released."""

    hold_id: str
    releases: str | None
    by: str
    at: datetime
    key_id: KeyId
    content: bytes


def enter_hold(connection: Connection, hold: StoredHold) -> None:
    """Enter that a hold was placed or released."""
    connection.execute(
        insert(_holds),
        {
            "hold_id": hold.hold_id,
            "releases": hold.releases,
            "done_by": hold.by,
            "done_at": format_instant(hold.at),
            "key_id": str(hold.key_id),
            "content": hold.content,
        },
    )


def read_holds(connection: Connection) -> tuple[StoredHold, ...]:
    """Return all that was placed and released, the oldest first."""
    rows = connection.execute(select(_holds).order_by(_holds.c.done_at, _holds.c.hold_id))
    return tuple(
        StoredHold(
            row.hold_id,
            row.releases,
            row.done_by,
            parse_instant(row.done_at),
            KeyId.parse(row.key_id),
            row.content,
        )
        for row in rows
    )
