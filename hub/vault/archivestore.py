# SPDX-License-Identifier: Apache-2.0
"""Which archives there are, and moving contents into them; with `store` the only module on these tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, Integer, String, Table, Text, bindparam, func, insert, select, update

from hub.clock import format_instant
from hub.database import metadata
from hub.vault.keyids import KeyId
from hub.vault.store import containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.vault.archivefiles import Archived, ReadArchive

_archives = Table(
    "vault_archives",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key_id", String(40), nullable=False),
    Column("part", Integer, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    # URL of the place, and the path in it.
    Column("place", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("containers", Integer, nullable=False),
    Column("archived_at", String(24), nullable=False),
    Column("is_finished", Boolean, nullable=False),
)

_CONTENTS = (
    select(containers.c.sha256, containers.c.bytes, containers.c.content)
    .where(
        containers.c.key_id == bindparam("wanted"),
        containers.c.sha256 > bindparam("after"),
        containers.c.content.is_not(None),
    )
    .order_by(containers.c.sha256)
    .limit(50)
)
_MOVE = (
    update(containers)
    .where(
        containers.c.sha256 == bindparam("moved"),
        containers.c.key_id == bindparam("under"),
        containers.c.content.is_not(None),
    )
    .values(content=None, archive=bindparam("to"), position=bindparam("at"))
)


@dataclass(frozen=True)
class ArchiveRow:
    """An archive as the database knows it.

    Attributes:
        number: what containers refer to.
        is_finished: whether all its containers have left the database.
    """

    number: int
    key_id: KeyId
    part: int
    sha256: str
    place: str
    path: str
    size: int
    containers: int
    archived_at: str
    is_finished: bool


def enter_archive(
    connection: Connection, place: str, path: str, archive: ReadArchive, at: datetime
) -> ArchiveRow:
    """Enter an archive that was proven."""
    number = (connection.scalar(select(func.max(_archives.c.number))) or 0) + 1
    row = ArchiveRow(
        number,
        archive.key_id,
        archive.part,
        archive.sha256,
        place,
        path,
        len(archive.raw),
        len(archive.contents),
        format_instant(at),
        is_finished=False,
    )
    connection.execute(
        insert(_archives),
        {
            "number": number,
            "key_id": str(row.key_id),
            "part": row.part,
            "sha256": row.sha256,
            "place": place,
            "path": path,
            "bytes": row.size,
            "containers": row.containers,
            "archived_at": row.archived_at,
            "is_finished": False,
        },
    )
    return row


def finish_archive(connection: Connection, number: int) -> None:
    """Enter that all its containers have left the database."""
    connection.execute(update(_archives).where(_archives.c.number == number).values(is_finished=True))


def move_contents(connection: Connection, row: ArchiveRow, some: Sequence[Archived]) -> int:
    """Let containers refer to their archive instead of holding their content; return how many there were.

    One that came under a longer retention meanwhile stays.
    """
    moved = 0
    for each in some:
        values = {"moved": each.sha256, "under": str(row.key_id), "to": row.number, "at": each.position}
        moved += connection.execute(_MOVE, values).rowcount
    return moved


def read_archives(connection: Connection, key_id: KeyId | None = None) -> tuple[ArchiveRow, ...]:
    """Return the archives, of one key if one is given."""
    query = select(_archives).order_by(_archives.c.key_id, _archives.c.part, _archives.c.number)
    if key_id is not None:
        query = query.where(_archives.c.key_id == str(key_id))
    return tuple(_row(each) for each in connection.execute(query))


def read_archive(connection: Connection, number: int) -> ArchiveRow:
    """Return the archive a container refers to."""
    return _row(connection.execute(select(_archives).where(_archives.c.number == number)).one())


def read_contents(connection: Connection, key_id: KeyId) -> Iterator[tuple[str, int, bytes]]:
    """Return the contents under a key that lie in the database: digest, size, encrypted form; by digest."""
    after = ""
    while True:
        rows = connection.execute(_CONTENTS, {"wanted": str(key_id), "after": after}).all()
        for row in rows:
            yield row.sha256, row.bytes, row.content
        if not rows:
            return
        after = rows[-1].sha256


def has_contents(connection: Connection, key_id: KeyId) -> bool:
    """Tell whether contents under a key lie in the database."""
    query = select(containers.c.sha256).where(
        containers.c.key_id == str(key_id), containers.c.content.is_not(None)
    )
    return connection.execute(query.limit(1)).first() is not None


def read_places(connection: Connection, number: int) -> frozenset[tuple[str, int]]:
    """Return which containers refer to an archive, and where in it."""
    key_id = read_archive(connection, number).key_id
    query = select(containers.c.sha256, containers.c.position).where(
        containers.c.key_id == str(key_id), containers.c.archive == number
    )
    return frozenset((sha256, position) for sha256, position in connection.execute(query))


def _row(row: Row[tuple[object, ...]]) -> ArchiveRow:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's documented accessor
    return ArchiveRow(
        fields["number"],
        KeyId.parse(fields["key_id"]),
        fields["part"],
        fields["sha256"],
        fields["place"],
        fields["path"],
        fields["bytes"],
        fields["containers"],
        fields["archived_at"],
        fields["is_finished"],
    )
