# SPDX-License-Identifier: Apache-2.0
"""The alarms' table: at most one open row for each code and subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Column, Index, Integer, Row, Table, Text, insert, select, update

from hub.alarms.model import Alarm, alarm_kinds
from hub.clock import format_instant, parse_instant
from hub.database import metadata

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Select

alarms = Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raised_at", Text, nullable=False),
    Column("last_raised_at", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("cleared_at", Text),
    Column("acknowledged_by", Text),
    Column("acknowledged_at", Text),
)
_is_open = alarms.c.cleared_at.is_(None)
Index(
    "alarms_open",
    alarms.c.code,
    alarms.c.subject,
    unique=True,
    sqlite_where=_is_open,
    postgresql_where=_is_open,
)


class RaisedAlarm(NamedTuple):
    """What is said of an alarm; `times` is how often since it was last written."""

    code: str
    subject: str
    detail: str
    at: datetime
    times: int


def raise_alarm(connection: Connection, said: RaisedAlarm) -> bool:
    """Open an alarm, or count the open one on; return whether it is new."""
    is_it = _is_open & (alarms.c.code == said.code) & (alarms.c.subject == said.subject)
    at = format_instant(said.at)
    again = {"detail": said.detail, "last_raised_at": at, "count": alarms.c.count + said.times}
    if connection.execute(update(alarms).where(is_it).values(again)).rowcount:
        return False
    row = {
        "code": said.code,
        "subject": said.subject,
        "detail": said.detail,
        "raised_at": at,
        "last_raised_at": at,
        "count": said.times,
    }
    connection.execute(insert(alarms), row)
    return True


def clear_alarm(connection: Connection, code: str, subject: str, at: datetime) -> bool:
    """Close the open alarm; return whether there was one."""
    is_it = _is_open & (alarms.c.code == code) & (alarms.c.subject == subject)
    return bool(
        connection.execute(update(alarms).where(is_it).values(cleared_at=format_instant(at))).rowcount
    )


def acknowledge_alarm(connection: Connection, alarm_id: int, by: str, at: datetime) -> None:
    """Note who took note; the first one stays."""
    is_it = (alarms.c.id == alarm_id) & alarms.c.acknowledged_by.is_(None)
    values = {"acknowledged_by": by, "acknowledged_at": format_instant(at)}
    connection.execute(update(alarms).where(is_it).values(values))


def read_alarm(connection: Connection, alarm_id: int) -> Alarm | None:
    """Return one alarm."""
    found = _alarms(connection, select(alarms).where(alarms.c.id == alarm_id))
    return found[0] if found else None


def read_alarms(connection: Connection, most: int, *, with_cleared: bool) -> tuple[Alarm, ...]:
    """Return the newest alarms, newest first."""
    query = select(alarms).order_by(alarms.c.id.desc()).limit(most)
    return _alarms(connection, query if with_cleared else query.where(_is_open))


def _alarms(
    connection: Connection,
    query: Select[int, str, str, str, str, str, int, str | None, str | None, str | None],
) -> tuple[Alarm, ...]:
    return tuple(_alarm(row) for row in connection.execute(query))


def _alarm(
    row: Row[int, str, str, str, str, str, int, str | None, str | None, str | None],
) -> Alarm:
    return Alarm(
        id=row.id,
        kind=alarm_kinds()[row.code],
        subject=row.subject,
        detail=row.detail,
        raised_at=parse_instant(row.raised_at),
        last_raised_at=parse_instant(row.last_raised_at),
        count=row[6],
        cleared_at=_instant(row.cleared_at),
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=_instant(row.acknowledged_at),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
