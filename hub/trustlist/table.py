# SPDX-License-Identifier: Apache-2.0
"""Versions of the trust list in the hub's database, which every process of the hub reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Engine, Integer, LargeBinary, String, Table, insert, select

from hub.clock import format_instant
from hub.database import Writer, keep_append_only, metadata
from hub.trust import refusal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.trustlist.container import SignedTrustList

trust_lists = Table(
    "trust_lists",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("at", String(24), nullable=False),
    Column("by", String(100), nullable=False),
    Column("container", LargeBinary, nullable=False),
)
keep_append_only(trust_lists)


class TableStore:
    """Keeps versions in a table whose rows nobody can change; a number is given once."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def read(self, after: int = 0) -> list[bytes]:
        """Return the containers whose numbers are higher than `after`, in their order."""
        table = trust_lists.c
        query = select(table.container).where(table.sequence > after).order_by(table.sequence)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def append(self, version: SignedTrustList, *, by: str, at: datetime) -> None:
        """Keep one version more.

        Raises:
            TrustError: `trust.trust_list_forked`.
        """

        def keep(connection: Connection) -> None:
            table = trust_lists.c
            kept = connection.execute(
                select(table.sha256).where(table.sequence == version.sequence)
            ).scalar_one_or_none()
            if kept == version.sha256:
                return
            if kept is not None:
                sequence = str(version.sequence)
                raise refusal("list_forked", version.signer, version.document.issued_at, sequence=sequence)
            connection.execute(
                insert(trust_lists).values(
                    sequence=version.sequence,
                    sha256=version.sha256,
                    at=format_instant(at),
                    by=by[:100],
                    container=version.raw,
                )
            )

        self._writer.run(keep)
