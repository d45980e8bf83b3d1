# SPDX-License-Identifier: Apache-2.0
"""Which containers are files; only this module touches their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)

from hub.database import metadata
from hub.vault.keyids import KeyId

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_large = Table(
    "vault_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key_id", String(40), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # What hub.vault.largefiles calls it.
    Column("file", String(80), nullable=False, unique=True),
    # URL of the place it was archived in; NULL while it lies in the data folder.
    Column("place", Text),
    # hub.vault.sealing, subject "announcement:<SHA-256>".
    Column("announcement", LargeBinary, nullable=False),
    Index("vault_files_by_key", "key_id", "sha256"),
)

_READ = select(_large).where(_large.c.sha256 == bindparam("wanted"))


@dataclass(frozen=True)
class LargeContainer:
    """A container that is a file.

    Attributes:
        sha256: of the container, lower-case hex.
        key_id: what the file and the announcement are encrypted under.
        size: of the container, octets.
        file: its name.
        place: URL of the place it was archived in; None while it lies in the data folder.
        announcement: encrypted.
    """

    sha256: str
    key_id: KeyId
    size: int
    file: str
    place: str | None
    announcement: bytes


def enter_large(connection: Connection, large: LargeContainer) -> None:
    """Enter that a container is a file."""
    connection.execute(insert(_large), _fields(large))


def replace_large(connection: Connection, large: LargeContainer) -> None:
    """Enter that a container is another file now."""
    connection.execute(update(_large).where(_large.c.sha256 == large.sha256).values(_fields(large)))


def read_large(connection: Connection, sha256: str) -> LargeContainer | None:
    """Return the file a container is, or None."""
    row = connection.execute(_READ, {"wanted": sha256}).one_or_none()
    return None if row is None else _read(row)


def files_under(connection: Connection, key_id: KeyId) -> tuple[LargeContainer, ...]:
    """Return the containers under a key that are files, by digest."""
    query = select(_large).where(_large.c.key_id == str(key_id)).order_by(_large.c.sha256)
    return tuple(_read(row) for row in connection.execute(query))


def archived_files(connection: Connection) -> tuple[LargeContainer, ...]:
    """Return the containers that are files in a place, those of the oldest key first."""
    query = select(_large).where(_large.c.place.is_not(None)).order_by(_large.c.key_id, _large.c.sha256)
    return tuple(_read(row) for row in connection.execute(query))


def count_bytes(connection: Connection, key_id: KeyId) -> int:
    """Return how many octets the containers under a key have that are files."""
    query = select(func.coalesce(func.sum(_large.c.bytes), 0)).where(_large.c.key_id == str(key_id))
    return int(connection.execute(query).scalar_one())


def has_files(connection: Connection, key_id: KeyId) -> bool:
    """Tell whether files under a key lie in the data folder."""
    query = select(_large.c.sha256).where(_large.c.key_id == str(key_id), _large.c.place.is_(None))
    return connection.execute(query.limit(1)).first() is not None


def move_large(connection: Connection, large: LargeContainer, place: str) -> None:
    """Enter that a file lies in a place now, if it is still the one that was copied."""
    connection.execute(
        update(_large).where(_large.c.sha256 == large.sha256, _large.c.file == large.file).values(place=place)
    )


def is_file_kept(connection: Connection, file: str) -> bool:
    """Tell whether a container lies in a file of the data folder."""
    query = select(_large.c.sha256).where(_large.c.file == file, _large.c.place.is_(None))
    return connection.execute(query).first() is not None


def archived_path(large: LargeContainer) -> str:
    """Return the path of a file in the place it is archived in."""
    return f"{large.key_id}/large/{large.file.partition('/')[2]}.sealed"


def _fields(large: LargeContainer) -> dict[str, object]:
    return {
        "sha256": large.sha256,
        "key_id": str(large.key_id),
        "bytes": large.size,
        "file": large.file,
        "place": large.place,
        "announcement": large.announcement,
    }


def _read(row: Row[tuple[object, ...]]) -> LargeContainer:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's documented accessor
    return LargeContainer(
        fields["sha256"],
        KeyId.parse(fields["key_id"]),
        fields["bytes"],
        fields["file"],
        fields["place"],
        fields["announcement"],
    )
