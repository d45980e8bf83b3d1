# SPDX-License-Identifier: Apache-2.0
"""Which containers are coming in; only this module touches their table. How far they are, their files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.identifiers import MemberId
from hub.transfers.model import Upload

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("member", String(18), nullable=False),
    Column("container_sha256", String(64), nullable=False, unique=True),
    Column("length", BigInteger, nullable=False),
    Column("file", String(80), nullable=False, unique=True),
    # hub.vault, subject "upload:<id>".
    Column("announcement", LargeBinary, nullable=False),
    Column("created_at", String(24), nullable=False),
    Column("expires_at", String(24), nullable=False),
    Index("uploads_by_member", "member"),
)

_READ = select(_uploads).where(_uploads.c.id == bindparam("wanted"))
_FIND = select(_uploads).where(_uploads.c.container_sha256 == bindparam("wanted"))


def enter(connection: Connection, upload: Upload) -> None:
    """Enter that a container was announced."""
    connection.execute(
        insert(_uploads),
        {
            "id": upload.id,
            "member": upload.member,
            "container_sha256": upload.container_sha256,
            "length": upload.length,
            "file": upload.file,
            "announcement": upload.announcement,
            "created_at": format_instant(upload.created_at),
            "expires_at": format_instant(upload.expires_at),
        },
    )


def read(connection: Connection, upload_id: str) -> Upload | None:
    """Return an upload, or None."""
    row = connection.execute(_READ, {"wanted": upload_id}).one_or_none()
    return None if row is None else _read(row)


def find(connection: Connection, container_sha256: str) -> Upload | None:
    """Return the upload of a container, or None."""
    row = connection.execute(_FIND, {"wanted": container_sha256}).one_or_none()
    return None if row is None else _read(row)


def list_all(connection: Connection) -> tuple[Upload, ...]:
    """Return all uploads, the oldest first."""
    return tuple(_read(row) for row in connection.execute(select(_uploads).order_by(_uploads.c.created_at)))


def count(connection: Connection, member: MemberId) -> tuple[int, int]:
    """Return how many containers of a member are coming in, and how many octets they will have."""
    query = select(func.count(), func.coalesce(func.sum(_uploads.c.length), 0))
    number, size = connection.execute(query.where(_uploads.c.member == member)).one()
    return number, int(size)


def remove(connection: Connection, upload_id: str) -> None:
    """Forget an upload."""
    connection.execute(delete(_uploads).where(_uploads.c.id == upload_id))


def _read(row: Row[tuple[object, ...]]) -> Upload:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's documented accessor
    return Upload(
        id=fields["id"],
        member=MemberId(fields["member"]),
        container_sha256=fields["container_sha256"],
        length=fields["length"],
        file=fields["file"],
        announcement=fields["announcement"],
        created_at=parse_instant(fields["created_at"]),
        expires_at=parse_instant(fields["expires_at"]),
    )
