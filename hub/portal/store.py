# SPDX-License-Identifier: Apache-2.0
"""Sessions; the only module that touches their table. Of a session's secret only the digest is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Index, Row, String, Table, delete, insert, or_, select, update

from hub.accounts import TokenId
from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.portal.model import SessionRecord

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_sessions = Table(
    "portal_sessions",
    metadata,
    # SHA-256 of 256 random bits: looking it up tells an attacker's stopwatch nothing about the secret.
    Column("digest", String(64), primary_key=True),
    Column("token_id", String(32), nullable=False),
    Column("opened_at", String(24), nullable=False),
    Column("seen_at", String(24), nullable=False),
    Column("ends_at", String(24), nullable=False),
    Index("portal_sessions_by_token", "token_id", "opened_at"),
)


def insert_session(connection: Connection, session: SessionRecord) -> None:
    """Keep a new session."""
    connection.execute(
        insert(_sessions),
        {
            "digest": session.digest,
            "token_id": session.token_id,
            "opened_at": format_instant(session.opened_at),
            "seen_at": format_instant(session.seen_at),
            "ends_at": format_instant(session.ends_at),
        },
    )


def find_session(connection: Connection, digest: str) -> SessionRecord | None:
    """Return the session whose secret has this digest."""
    row = connection.execute(select(_sessions).where(_sessions.c.digest == digest)).one_or_none()
    return None if row is None else _session(row)


def note_use(connection: Connection, digest: str, at: datetime) -> None:
    """Note that a session was used."""
    connection.execute(
        update(_sessions).where(_sessions.c.digest == digest).values(seen_at=format_instant(at))
    )


def delete_session(connection: Connection, digest: str) -> None:
    """End a session; ending it again changes nothing."""
    connection.execute(delete(_sessions).where(_sessions.c.digest == digest))


def delete_oldest(connection: Connection, token_id: TokenId, keep: int) -> None:
    """End the oldest sessions of a token, so that no more than `keep` remain."""
    query = (
        select(_sessions.c.digest)
        .where(_sessions.c.token_id == token_id)
        .order_by(_sessions.c.opened_at.desc(), _sessions.c.digest)
    )
    for digest in connection.execute(query).scalars().all()[keep:]:
        delete_session(connection, digest)


def delete_over(connection: Connection, now: datetime, idle_since: datetime) -> None:
    """Forget the sessions that are over, or were not used since `idle_since`."""
    connection.execute(
        delete(_sessions).where(
            or_(
                _sessions.c.ends_at <= format_instant(now),
                _sessions.c.seen_at <= format_instant(idle_since),
            )
        )
    )


def _session(row: Row[str, str, str, str, str]) -> SessionRecord:
    return SessionRecord(
        digest=row.digest,
        token_id=TokenId(row.token_id),
        opened_at=parse_instant(row.opened_at),
        seen_at=parse_instant(row.seen_at),
        ends_at=parse_instant(row.ends_at),
    )
