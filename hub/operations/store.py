# SPDX-License-Identifier: Apache-2.0
"""What is kept of traffic: counts by the minute, and when which partner and flow was last heard of.

None of it grows with the number of messages: a minute has one row for each partner and limit that occurred in
it, a partner one, a flow one. Partners go by their lanes (`hub.outbox.Lane`): a service, or a subscriber of
one. Only this module touches these tables.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.identifiers import ServiceId, SubsystemId
from hub.operations.model import FlowMark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

traffic_minutes = Table(
    "traffic_minutes",
    metadata,
    # 2026-03-01T08:00Z; first in the key, so that the last hour is one piece of it.
    Column("minute", String(17), primary_key=True),
    Column("lane", String(162), primary_key=True),
    Column("limit_ms", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

partner_marks = Table(
    "partner_marks",
    metadata,
    Column("lane", String(162), primary_key=True),
    Column("last_contact_at", String(24)),
    Column("last_failure_at", String(24)),
    Column("last_failure_code", String(80)),
)

# A breaker that is closed has no row: nearly all are.
breaker_marks = Table(
    "breaker_marks",
    metadata,
    Column("lane", String(162), primary_key=True),
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(10), nullable=False),
    Column("at", String(24), nullable=False),
)

flow_marks = Table(
    "flow_marks",
    metadata,
    Column("consumer", String(60), primary_key=True),
    Column("service", String(101), primary_key=True),
    Column("last_at", String(24)),
    Column("watched_since", String(24)),
    Column("silent_since", String(24)),
)

operation_marks = Table(
    "operation_marks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("at", String(24), nullable=False),
)

_COUNT = text(
    "INSERT INTO traffic_minutes (minute, lane, limit_ms, count) "
    "VALUES (:minute, :lane, :limit_ms, :count) ON CONFLICT (minute, lane, limit_ms) "
    "DO UPDATE SET count = traffic_minutes.count + excluded.count"
)
# Instants are written so that the later one is the larger text.
_CONTACT = text(
    "INSERT INTO partner_marks (lane, last_contact_at) VALUES (:lane, :at) "
    "ON CONFLICT (lane) DO UPDATE SET last_contact_at = excluded.last_contact_at "
    "WHERE partner_marks.last_contact_at IS NULL OR partner_marks.last_contact_at < excluded.last_contact_at"
)
_FAILURE = text(
    "INSERT INTO partner_marks (lane, last_failure_at, last_failure_code) VALUES (:lane, :at, :code) "
    "ON CONFLICT (lane) DO UPDATE SET last_failure_at = excluded.last_failure_at, "
    "last_failure_code = excluded.last_failure_code "
    "WHERE partner_marks.last_failure_at IS NULL OR partner_marks.last_failure_at < excluded.last_failure_at"
)
_HEARD = text(
    "INSERT INTO flow_marks (consumer, service, last_at) VALUES (:consumer, :service, :at) "
    "ON CONFLICT (consumer, service) DO UPDATE SET last_at = excluded.last_at "
    "WHERE flow_marks.last_at IS NULL OR flow_marks.last_at < excluded.last_at"
)
_WATCHED = text(
    "INSERT INTO flow_marks (consumer, service, watched_since) VALUES (:consumer, :service, :at) "
    "ON CONFLICT (consumer, service) DO UPDATE SET watched_since = excluded.watched_since"
)
_MARK = text(
    "INSERT INTO operation_marks (name, at) VALUES (:name, :at) "
    "ON CONFLICT (name) DO UPDATE SET at = excluded.at"
)
WEATHER = (
    select(
        traffic_minutes.c.lane,
        traffic_minutes.c.limit_ms,
        func.sum(traffic_minutes.c.count).label("total"),
    )
    .where(traffic_minutes.c.minute >= bindparam("since"))
    .group_by(traffic_minutes.c.lane, traffic_minutes.c.limit_ms)
)


@dataclass(frozen=True)
class PartnerMark:
    """When a partner was last heard of."""

    last_contact: datetime | None
    last_failure: datetime | None
    last_failure_code: str | None


class Minute(NamedTuple):
    """Which count is meant."""

    minute: str
    lane: str
    limit_ms: int


class FlowName(NamedTuple):
    """Which flow is meant."""

    consumer: SubsystemId
    service: ServiceId


def minute_of(at: datetime) -> str:
    """Return the minute an instant lies in, as it is kept."""
    return f"{format_instant(at)[:16]}Z"


def add_counts(connection: Connection, counts: Mapping[Minute, int]) -> None:
    """Add to the counts of minutes."""
    # In one order whoever adds, and nobody waits for each other in a circle.
    rows = [key._asdict() | {"count": counts[key]} for key in sorted(counts)]
    if rows:
        connection.execute(_COUNT, rows)


def mark_contacts(connection: Connection, contacts: Mapping[str, datetime]) -> None:
    """Note when partners answered last; never goes back."""
    if contacts:
        rows = [{"lane": each, "at": format_instant(contacts[each])} for each in sorted(contacts)]
        connection.execute(_CONTACT, rows)


def mark_failures(connection: Connection, failures: Mapping[str, tuple[datetime, str]]) -> None:
    """Note when partners did not, and why; never goes back."""
    rows = [
        {"lane": each, "at": format_instant(failures[each][0]), "code": failures[each][1][:80]}
        for each in sorted(failures)
    ]
    if rows:
        connection.execute(_FAILURE, rows)


def mark_breakers(connection: Connection, worker: int, states: Mapping[str, str], at: datetime) -> None:
    """Note how a worker's breakers stand, in the place of what it said before.

    Args:
        connection: inside a unit of the writer.
        worker: its serving number.
        states: by lane, of those that are not closed.
        at: UTC; when it says so.
    """
    connection.execute(delete(breaker_marks).where(breaker_marks.c.worker == worker))
    rows = [
        {"lane": lane, "worker": worker, "state": states[lane], "at": format_instant(at)}
        for lane in sorted(states)
    ]
    if rows:
        connection.execute(insert(breaker_marks), rows)


def read_breakers(connection: Connection, since: datetime) -> dict[str, set[str]]:
    """Return how breakers stand that are not closed, by lane, of the workers that said so since."""
    states: dict[str, set[str]] = defaultdict(set)
    recent = breaker_marks.c.at >= format_instant(since)
    for lane, state in connection.execute(select(breaker_marks.c.lane, breaker_marks.c.state).where(recent)):
        states[lane].add(state)
    return states


def forget_breakers(connection: Connection, before: datetime) -> None:
    """Drop what workers said that have ended since."""
    connection.execute(delete(breaker_marks).where(breaker_marks.c.at < format_instant(before)))


def mark_heard(connection: Connection, heard: Mapping[FlowName, datetime]) -> None:
    """Note when messages of flows were answered last; never goes back."""
    if heard:
        rows = [each._asdict() | {"at": format_instant(heard[each])} for each in sorted(heard)]
        connection.execute(_HEARD, rows)


def mark_watched(connection: Connection, flows: Iterable[FlowName], since: datetime) -> None:
    """Note from when on messages are expected of flows."""
    rows = [each._asdict() | {"at": format_instant(since)} for each in sorted(flows)]
    if rows:
        connection.execute(_WATCHED, rows)


def mark_silence(connection: Connection, flow: FlowName, since: datetime | None) -> bool:
    """Note that a flow is silent, or that it is no more (None); tell whether that is new."""
    is_it = (flow_marks.c.consumer == flow.consumer) & (flow_marks.c.service == flow.service)
    silent = flow_marks.c.silent_since
    changes = silent.is_(None) if since is not None else silent.is_not(None)
    values = {"silent_since": None if since is None else format_instant(since)}
    return connection.execute(update(flow_marks).where(is_it, changes).values(values)).rowcount == 1


def forget_watch(connection: Connection, flow: FlowName) -> None:
    """Expect nothing of a flow any more."""
    is_it = (flow_marks.c.consumer == flow.consumer) & (flow_marks.c.service == flow.service)
    connection.execute(update(flow_marks).where(is_it).values(watched_since=None, silent_since=None))


def read_counts(connection: Connection, since: datetime) -> dict[str, dict[int, int]]:
    """Return the counts of the minutes from the one of `since` on, by lane and limit."""
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    for lane, limit, total in connection.execute(WEATHER, {"since": minute_of(since)}):
        counts[lane][limit] = int(total)
    return counts


def read_partners(connection: Connection) -> dict[str, PartnerMark]:
    """Return when each partner was last heard of."""
    return {
        row.lane: PartnerMark(
            _instant(row.last_contact_at), _instant(row.last_failure_at), row.last_failure_code
        )
        for row in connection.execute(select(partner_marks))
    }


def read_flows(connection: Connection) -> dict[FlowName, FlowMark]:
    """Return what is kept of every flow."""
    return {
        FlowName(SubsystemId(row.consumer), ServiceId(row.service)): FlowMark(
            last_at=_instant(row.last_at),
            watched_since=_instant(row.watched_since),
            silent_since=_instant(row.silent_since),
        )
        for row in connection.execute(select(flow_marks))
    }


def mark(connection: Connection, name: str, at: datetime) -> None:
    """Note that something was done."""
    connection.execute(_MARK, {"name": name, "at": format_instant(at)})


def read_mark(connection: Connection, name: str) -> datetime | None:
    """Return when something was last done."""
    query = select(operation_marks.c.at).where(operation_marks.c.name == name)
    return _instant(connection.execute(query).scalar_one_or_none())


def forget_minutes(connection: Connection, before: datetime) -> int:
    """Drop the counts of minutes long gone; return how many rows that were."""
    gone = traffic_minutes.c.minute < minute_of(before)
    return connection.execute(delete(traffic_minutes).where(gone)).rowcount


def _instant(written: str | None) -> datetime | None:
    return None if written is None else parse_instant(written)
