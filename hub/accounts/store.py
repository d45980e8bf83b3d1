# SPDX-License-Identifier: Apache-2.0
"""The tokens' table: of a token itself only its digest is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Row, String, Table, insert, select, update

from hub.accounts.model import Principal, Role, Token, TokenId
from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.identifiers import SubsystemId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

account_tokens = Table(
    "account_tokens",
    metadata,
    # SHA-256 of 256 random bits: looking it up tells an attacker's stopwatch nothing about the token.
    Column("digest", String(64), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("subject", String(100), nullable=False),
    Column("roles", String(200), nullable=False),
    Column("subsystem", String(60)),
    Column("issued_at", String(24), nullable=False),
    Column("expires_at", String(24), nullable=False),
    Column("revoked_at", String(24)),
)


def insert_token(connection: Connection, digest: str, token: Token) -> None:
    """Keep a new token."""
    connection.execute(
        insert(account_tokens),
        {
            "digest": digest,
            "id": token.id,
            "subject": token.principal.subject,
            "roles": " ".join(sorted(token.principal.roles)),
            "subsystem": token.principal.subsystem,
            "issued_at": format_instant(token.issued_at),
            "expires_at": format_instant(token.expires_at),
        },
    )


def read_token(connection: Connection, digest: str) -> Token | None:
    """Return the token with this digest."""
    row = connection.execute(select(account_tokens).where(account_tokens.c.digest == digest)).one_or_none()
    return None if row is None else _token(row)


def find_token(connection: Connection, token_id: TokenId) -> Token | None:
    """Return the token that is spoken of by this id."""
    row = connection.execute(select(account_tokens).where(account_tokens.c.id == token_id)).one_or_none()
    return None if row is None else _token(row)


def read_tokens(connection: Connection) -> tuple[Token, ...]:
    """Return every token ever issued, oldest first."""
    query = select(account_tokens).order_by(account_tokens.c.issued_at, account_tokens.c.id)
    return tuple(_token(row) for row in connection.execute(query))


def revoke_token(connection: Connection, token_id: TokenId, at: datetime) -> bool:
    """Revoke a token, once; return False when there is no such token."""
    found = select(account_tokens.c.id).where(account_tokens.c.id == token_id)
    if connection.execute(found).one_or_none() is None:
        return False
    is_open = (account_tokens.c.id == token_id) & account_tokens.c.revoked_at.is_(None)
    connection.execute(update(account_tokens).where(is_open).values(revoked_at=format_instant(at)))
    return True


def _token(row: Row[str, str, str, str, str | None, str, str, str | None]) -> Token:
    subsystem = None if row.subsystem is None else SubsystemId(row.subsystem)
    return Token(
        id=TokenId(row.id),
        principal=Principal(row.subject, frozenset(Role(role) for role in row.roles.split()), subsystem),
        issued_at=parse_instant(row.issued_at),
        expires_at=parse_instant(row.expires_at),
        revoked_at=None if row.revoked_at is None else parse_instant(row.revoked_at),
    )
