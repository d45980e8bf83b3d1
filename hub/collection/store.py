# SPDX-License-Identifier: Apache-2.0
"""What is laid out for gateways and who comes for it; only this module touches these tables.

A row of `collections` lives as long as one attempt to deliver: what outlasts that is in the outbox.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.collection.model import CollectionNumber, CollectionState, Laid
from hub.database import metadata
from hub.identifiers import MessageId, SubsystemId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from hub.collection.model import Poll
    from hub.envelope import Envelope

_MISSES_SETTLE = timedelta(seconds=5)
"""So long after a message was given up, its delivery certainly waits for the next attempt."""

HANDED_AGAIN_AFTER = timedelta(seconds=3)
"""What a gateway was handed so long ago, and does not say that it has, was lost on its way."""

collections = Table(
    "collections",
    metadata,
    # At random: it must never come again, since a gateway may still hold the attempt that had it.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("laid_at", String(24), nullable=False),
    Column("recipient", String(60), nullable=False),
    Column("message_id", String(36), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("state", String(10), nullable=False),
    Column("handed_at", String(24)),
    Column("answer_sha256", String(64)),
    # A hub that was killed leaves its rows behind.
    Column("until", String(24), nullable=False),
    Index("collections_by_recipient", "recipient", "laid_at"),
    Index("collections_by_age", "until"),
)

collectors = Table(
    "collectors",
    metadata,
    Column("subsystem", String(60), primary_key=True),
    Column("present_until", String(24), nullable=False),
    # When a message was given up last that it had not come for.
    Column("missed_at", String(24)),
)

collection_polls = Table(
    "collection_polls",
    metadata,
    Column("message_id", String(36), primary_key=True),
    Column("until", String(24), nullable=False),
    Index("collection_polls_by_age", "until"),
)

_USE = text(
    "INSERT INTO collection_polls (message_id, until) VALUES (:id, :until) "
    "ON CONFLICT (message_id) DO NOTHING"
)
_MISS = text(
    "INSERT INTO collectors (subsystem, present_until, missed_at) VALUES (:subsystem, :at, :at) "
    "ON CONFLICT (subsystem) DO UPDATE SET missed_at = excluded.missed_at"
)
_COME = text(
    "INSERT INTO collectors (subsystem, present_until) VALUES (:subsystem, :until) "
    "ON CONFLICT (subsystem) DO UPDATE SET present_until = excluded.present_until"
)


def lay_out(  # noqa: PLR0913 - one row's fields, each by its name
    connection: Connection,
    recipient: SubsystemId,
    request: Envelope,
    receipt: bytes,
    *,
    now: datetime,
    until: datetime,
) -> CollectionNumber:
    """Lay a message out until then, and return the attempt's number."""
    # As large as JSON numbers are exact everywhere (RFC 7493 section 2.2).
    number = CollectionNumber(secrets.randbelow(2**53 - 1) + 1)
    connection.execute(
        insert(collections).values(
            number=number,
            laid_at=format_instant(now),
            recipient=recipient,
            message_id=request.header.id,
            request_sha256=request.container_sha256,
            receipt=receipt,
            state=CollectionState.LAID_OUT.value,
            until=format_instant(until),
        )
    )
    return number


def miss(connection: Connection, recipient: SubsystemId, now: datetime) -> None:
    """Enter that a message was given up that nobody had come for."""
    connection.execute(_MISS, {"subsystem": recipient, "at": format_instant(now)})


def clear_away(connection: Connection, number: CollectionNumber, now: datetime) -> None:
    """Remove an attempt that has ended, and what processes left that were killed."""
    connection.execute(
        delete(collections).where(
            or_(collections.c.number == number, collections.c.until < format_instant(now))
        )
    )


def next_for(
    connection: Connection,
    subsystems: Collection[SubsystemId],
    held: Collection[CollectionNumber],
    now: datetime,
) -> Laid | None:
    """Return what a gateway is given next; None when nothing lies ready for it."""
    moment, lost = format_instant(now), format_instant(now - HANDED_AGAIN_AFTER)
    wanted = (
        _laid()
        .where(
            collections.c.recipient.in_(subsystems),
            collections.c.number.not_in(held),
            collections.c.until > moment,
            or_(
                collections.c.state == CollectionState.LAID_OUT.value,
                (collections.c.state == CollectionState.HANDED_OUT.value) & (collections.c.handed_at <= lost),
            ),
        )
        .order_by(collections.c.laid_at, collections.c.number)
        .limit(1)
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _read(row)


def hand_out(connection: Connection, number: CollectionNumber, now: datetime) -> None:
    """Enter that a gateway is given it."""
    connection.execute(
        update(collections)
        .where(collections.c.number == number)
        .values(state=CollectionState.HANDED_OUT.value, handed_at=format_instant(now))
    )


def answer(connection: Connection, number: CollectionNumber, answer_sha256: str) -> bool:
    """Enter a gateway's answer; False when nobody waits for one, or one is there."""
    changed = connection.execute(
        update(collections)
        .where(collections.c.number == number, collections.c.state != CollectionState.ANSWERED.value)
        .values(state=CollectionState.ANSWERED.value, answer_sha256=answer_sha256)
    )
    return changed.rowcount == 1


def find(connection: Connection, number: CollectionNumber) -> Laid | None:
    """Return an attempt."""
    row = connection.execute(_laid().where(collections.c.number == number)).one_or_none()
    return None if row is None else _read(row)


def come(
    connection: Connection, poll: Poll, present_until: datetime, now: datetime
) -> tuple[bool, tuple[SubsystemId, ...]]:
    """Use a poll up, and enter that its gateway is there.

    Returns:
        Whether the poll was not used before, and for which subsystems something was given up meanwhile.
    """
    moment = format_instant(now)
    connection.execute(delete(collection_polls).where(collection_polls.c.until < moment))
    used = connection.execute(_USE, {"id": poll.message_id, "until": format_instant(poll.expires_at)})
    if used.rowcount != 1:
        return False, ()
    connection.execute(
        _COME,
        [{"subsystem": each, "until": format_instant(present_until)} for each in poll.subsystems],
    )
    ours = collectors.c.subsystem.in_(poll.subsystems)
    missed = connection.execute(
        select(collectors.c.subsystem).where(ours, collectors.c.missed_at.is_not(None))
    ).scalars()
    found = tuple(SubsystemId(each) for each in missed)
    if found:
        settled = collectors.c.missed_at < format_instant(now - _MISSES_SETTLE)
        connection.execute(update(collectors).where(ours, settled).values(missed_at=None))
    return True, found


def present(
    connection: Connection, subsystems: Iterable[SubsystemId], now: datetime
) -> dict[SubsystemId, datetime]:
    """Return for which of these subsystems a gateway comes, and until when it counts as there."""
    rows = connection.execute(
        select(collectors.c.subsystem, collectors.c.present_until).where(
            collectors.c.subsystem.in_(tuple(subsystems)), collectors.c.present_until > format_instant(now)
        )
    )
    return {SubsystemId(row.subsystem): parse_instant(row.present_until) for row in rows}


def _laid() -> Select[Any]:
    return select(
        collections.c.number,
        collections.c.recipient,
        collections.c.message_id,
        collections.c.request_sha256,
        collections.c.receipt,
        collections.c.state,
        collections.c.answer_sha256,
    )


def _read(row: Row[Any]) -> Laid:
    return Laid(
        number=CollectionNumber(row.number),
        recipient=SubsystemId(row.recipient),
        message_id=MessageId(row.message_id),
        request_sha256=row.request_sha256,
        receipt=row.receipt,
        state=CollectionState(row.state),
        answer_sha256=row.answer_sha256,
    )
