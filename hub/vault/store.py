# SPDX-License-Identifier: Apache-2.0
"""Containers in the database; the only module that touches this table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, LargeBinary, String, Table, bindparam, select, text

from hub.database import metadata
from hub.errors import ExchangeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_containers = Table(
    "containers",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Built once: building it anew took longer than running it.
_INSERT = text(
    "INSERT INTO containers (sha256, content) VALUES (:sha256, :content) ON CONFLICT (sha256) DO NOTHING"
).bindparams(bindparam("content", type_=LargeBinary))


def insert_container(connection: Connection, sha256: str, content: bytes) -> None:
    """Keep a container; keeping it twice changes nothing."""
    connection.execute(_INSERT, {"sha256": sha256, "content": content})


def read_container(connection: Connection, sha256: str) -> bytes:
    """Return a kept container.

    Raises:
        ExchangeError: `exchange.message_unknown`.
    """
    content: bytes | None = connection.scalar(
        select(_containers.c.content).where(_containers.c.sha256 == sha256)
    )
    if content is None:
        raise ExchangeError("exchange.message_unknown", sha256)
    return content
