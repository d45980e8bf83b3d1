# SPDX-License-Identifier: Apache-2.0
"""Readings on record: who looked at what of which message, and when.

What has been exchanged is mostly about people. Whoever searches for a person's number, reads a container or
takes evidence away is written down before anything is handed out, in a table the database refuses to change.
The value that was searched for is not: it would be the very thing that is protected.

Source: Personal Information Protection Law articles 51 and 54; GB/T 35273-2020 clause 11.7 (audits).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Column, Index, String, Table, Text, insert, select

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, keep_append_only, metadata
from hub.identifiers import MessageId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.accounts import Principal
    from hub.database import Writer

_readings = Table(
    "readings",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("at", String(24), nullable=False),
    Column("account", Text, nullable=False),
    Column("subsystem", String(60)),
    Column("what", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("message_id", String(36)),
    Index("readings_by_message", "message_id", "number"),
    Index("readings_by_account", "account", "number"),
)
keep_append_only(_readings)

MOST_READINGS_AT_A_TIME = 500


class What(StrEnum):
    """What somebody looked at."""

    SEARCH = "search"
    """Searched by a business key; once for each message found, or once without one."""
    CONTAINER = "container"
    """Read a request, an answer or a receipt."""
    EVIDENCE = "evidence"
    """Took an evidence bundle away."""
    STORY = "story"
    """Looked at a message's story in the portal."""
    PATH = "path"
    """Looked at a message's states and tries in the portal; not at its content."""


@dataclass(frozen=True)
class Reading:
    """One reading.

    Attributes:
        number: counting up.
        at: UTC, by the hub's clock.
        account: name of the person or system.
        subsystem: the one it acts for, if any.
        what: what was looked at.
        detail: which container; the names, never the values, of the keys searched by.
        message_id: the message it concerns, if one.
    """

    number: int
    at: datetime
    account: str
    subsystem: str | None
    what: What
    detail: str
    message_id: MessageId | None


class Readings:
    """Writes readings down and shows them.

    Args:
        engine: the database.
        writer: the engine's.
    """

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def record(  # noqa: PLR0913 (who, what, which, when)
        self,
        principal: Principal,
        what: What,
        message_ids: Iterable[MessageId],
        *,
        at: datetime,
        detail: str = "",
        connection: Connection | None = None,
    ) -> None:
        """Write down that somebody looks at something; when this returns, it is durable.

        Args:
            principal: who.
            what: at what.
            message_ids: of which messages; none where none was found.
            at: UTC, when.
            detail: never a value that was searched for.
            connection: of a unit of the writer that is open; else one is opened.
        """
        row = {
            "at": format_instant(at),
            "account": principal.subject,
            "subsystem": principal.subsystem,
            "what": what.value,
            "detail": detail,
        }
        rows = [{**row, "message_id": message_id} for message_id in message_ids] or [
            {**row, "message_id": None}
        ]
        if connection is not None:
            connection.execute(insert(_readings), rows)
        else:
            self._writer.run(lambda opened: opened.execute(insert(_readings), rows))

    def list(
        self,
        *,
        message_id: MessageId | None = None,
        account: str | None = None,
        before: int | None = None,
        most: int = 100,
    ) -> tuple[Reading, ...]:
        """Return readings, the latest first.

        Args:
            message_id: only those of this message.
            account: only those by this account.
            before: only those with a smaller number, to go on from.
            most: how many at most.
        """
        query = select(_readings).order_by(_readings.c.number.desc()).limit(most)
        if message_id is not None:
            query = query.where(_readings.c.message_id == message_id)
        if account is not None:
            query = query.where(_readings.c.account == account)
        if before is not None:
            query = query.where(_readings.c.number < before)
        with self._engine.connect() as connection:
            return tuple(
                Reading(
                    number=row.number,
                    at=parse_instant(row.at),
                    account=row.account,
                    subsystem=row.subsystem,
                    what=What(row.what),
                    detail=row.detail,
                    message_id=None if row.message_id is None else MessageId(row.message_id),
                )
                for row in connection.execute(query)
            )
