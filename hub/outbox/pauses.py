# SPDX-License-Identifier: Apache-2.0
"""Maintenance of a service: what is queued for it waits, and who asks and waits is told until when.

Pauses are few and asked for with every message, so they are kept in memory and read again every second or so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Index, String, Table, Text, insert, or_, select, text, update

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, metadata
from hub.errors import ExchangeError
from hub.identifiers import ServiceId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine, Row

    from hub.clock import Clock
    from hub.database import Writer

LONGEST_REASON = 500

service_pauses = Table(
    "service_pauses",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("service", String(101), nullable=False),
    Column("by", String(100), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", String(24), nullable=False),
    Column("until", String(24), nullable=False),
    Column("ended_at", String(24)),
    Column("ended_by", String(100)),
)
# One at a time for a service; earlier ones stay on record.
_LASTS = text("ended_at IS NULL")
Index(
    "service_pauses_lasting",
    service_pauses.c.service,
    unique=True,
    sqlite_where=_LASTS,
    postgresql_where=_LASTS,
)
_CURRENT = select(service_pauses).where(_LASTS)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """One service's maintenance.

    Attributes:
        by: who asked for it.
        until: UTC; it ends then by itself.
        ended_at: UTC; when somebody ended it, or None.
        ended_by: who did.
    """

    service: ServiceId
    by: str
    reason: str
    since: datetime
    until: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None


class Pauses:
    """The pauses of all services."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._known: dict[ServiceId, Pause] = {}

    def refresh(self) -> None:
        """Take over what other processes entered."""
        with self._engine.connect() as connection:
            rows = connection.execute(_CURRENT).all()
        self._known = {ServiceId(row.service): _pause(row) for row in rows}

    def current(self) -> tuple[Pause, ...]:
        """Return the pauses that last, by service."""
        now = self._clock.now()
        return tuple(each for _, each in sorted(self._known.items()) if now < each.until)

    def past(self, most: int = 20) -> tuple[Pause, ...]:
        """Return the latest pauses that are over, the latest first."""
        now = format_instant(self._clock.now())
        is_over = or_(service_pauses.c.ended_at.is_not(None), service_pauses.c.until <= now)
        query = select(service_pauses).where(is_over).order_by(service_pauses.c.number.desc()).limit(most)
        with self._engine.connect() as connection:
            return tuple(map(_pause, connection.execute(query)))

    def find(self, service: ServiceId) -> Pause | None:
        """Return the pause of a service while it lasts."""
        pause = self._known.get(service)
        return pause if pause is not None and self._clock.now() < pause.until else None

    def is_paused(self, service: ServiceId) -> bool:
        """Tell whether a service is being maintained."""
        return self.find(service) is not None

    def require_open(self, service: ServiceId) -> None:
        """Refuse what would wait for the answer of a service that is being maintained.

        Raises:
            ExchangeError: `exchange.service_paused`, with the instant until which.
        """
        pause = self.find(service)
        if pause is not None:
            raise ExchangeError("exchange.service_paused", f"until {format_instant(pause.until)}")

    def pause(self, service: ServiceId, *, by: str, reason: str, until: datetime) -> Pause:
        """Let a service's messages wait; a pause that lasts already is replaced.

        Raises:
            ExchangeError: `exchange.request_invalid`: the end has passed, or no reason is given.
        """
        now = self._clock.now()
        if until <= now:
            raise ExchangeError("exchange.request_invalid", "until: has passed")
        if not 0 < len(reason.strip()) <= LONGEST_REASON:
            raise ExchangeError("exchange.request_invalid", f"reason: not 1 to {LONGEST_REASON} characters")
        pause = Pause(service=service, by=by, reason=reason.strip(), since=now, until=until)

        def work(connection: Connection) -> None:
            _end(connection, service, by, now)
            connection.execute(
                insert(service_pauses).values(
                    service=service,
                    by=by,
                    reason=pause.reason,
                    since=format_instant(now),
                    until=format_instant(until),
                )
            )

        self._writer.run(work)
        self.refresh()
        return pause

    def resume(self, service: ServiceId, *, by: str) -> None:
        """End a pause; nothing when there is none."""
        now = self._clock.now()
        self._writer.run(lambda connection: _end(connection, service, by, now))
        self.refresh()


def _end(connection: Connection, service: ServiceId, by: str, now: datetime) -> None:
    connection.execute(
        update(service_pauses)
        .where(service_pauses.c.service == service, _LASTS)
        .values(ended_at=format_instant(now), ended_by=by)
    )


def _pause(row: Row[tuple[Any, ...]]) -> Pause:
    return Pause(
        service=ServiceId(row.service),
        by=row.by,
        reason=row.reason,
        since=parse_instant(row.since),
        until=parse_instant(row.until),
        ended_at=parse_instant(row.ended_at) if row.ended_at else None,
        ended_by=row.ended_by,
    )
