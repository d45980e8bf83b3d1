# SPDX-License-Identifier: Apache-2.0
"""Deliveries and their attempts; only this module touches their tables."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    text,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.contracts import Pattern
from hub.database import NUMBER, keep_append_only, metadata
from hub.identifiers import ServiceId
from hub.outbox.model import (
    OPEN_STATES,
    Attempt,
    DeadLetterPage,
    DeadLetterSearch,
    Delivery,
    DeliveryNumber,
    DeliveryState,
    Depth,
    Lane,
    NewDelivery,
    lane_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row

    from hub.database import ServingNumber
    from hub.identifiers import MessageId, SubsystemId
    from hub.tlog import LogPosition

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("message_id", String(36), nullable=False),
    Column("conversation", String(36), nullable=False),
    Column("sender", String(60), nullable=False),
    Column("recipient", String(60), nullable=False),
    Column("service", String(101), nullable=False),
    Column("lane", String(162), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("is_ordered", Boolean, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("replays", Integer, nullable=False),
    Column("due_at", String(24), nullable=False),
    Column("expires_at", String(24), nullable=False),
    Column("expected_by", String(24)),
    # Who is at it (hub.database.ServingClaim), and since when.
    Column("claimed_by", BigInteger),
    Column("claimed_at", String(24)),
    Column("log_index", BigInteger, nullable=False),
    Column("log_leaf", String(64), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("created_at", String(24), nullable=False),
    Column("ended_at", String(24)),
    Column("code", String(80)),
    Column("detail", Text),
    Column("answer_sha256", String(64)),
    Column("receipt_sha256", String(64)),
    Column("replayed_by", String(100)),
    Column("closed_by", String(100)),
    Column("closed_reason", Text),
    Index("deliveries_by_message", "message_id", "recipient", unique=True),
)
# In these words, not with parameters: SQLite must see that an index holds what is asked for.
_WAITS = text("state IN ('waiting', 'deferred')")
_IS_CLAIMED = text("state = 'claimed'")
_IS_DEAD = text("state IN ('dead', 'closed')")
Index(
    "deliveries_waiting",
    deliveries.c.lane,
    deliveries.c.due_at,
    deliveries.c.number,
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
Index("deliveries_expiring", deliveries.c.expires_at, sqlite_where=_WAITS, postgresql_where=_WAITS)
Index("deliveries_claimed", deliveries.c.lane, sqlite_where=_IS_CLAIMED, postgresql_where=_IS_CLAIMED)
Index(
    "deliveries_dead",
    deliveries.c.state,
    deliveries.c.number,
    sqlite_where=_IS_DEAD,
    postgresql_where=_IS_DEAD,
)
_IS_IN_ORDER = text("is_ordered")
Index(
    "deliveries_in_order",
    deliveries.c.conversation,
    deliveries.c.recipient,
    deliveries.c.number,
    sqlite_where=_IS_IN_ORDER,
    postgresql_where=_IS_IN_ORDER,
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery", NUMBER, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("started_at", String(24), nullable=False),
    Column("ended_at", String(24), nullable=False),
    Column("code", String(80)),
    Column("detail", Text, nullable=False),
    Column("worker", BigInteger, nullable=False),
)
keep_append_only(delivery_attempts)

_LONGEST_DETAIL = 500

# The statements of every round are built once; building them anew takes longer than running them.
_INSERT = insert(deliveries)
_INSERT_ATTEMPT = insert(delivery_attempts)
_LANES = text(
    # Hops from lane to lane through the index, however much waits in each.
    "WITH RECURSIVE hop(lane) AS ("
    " SELECT min(lane) FROM deliveries WHERE state IN ('waiting', 'deferred')"
    " UNION ALL"
    " SELECT (SELECT min(d.lane) FROM deliveries d"
    " WHERE d.state IN ('waiting', 'deferred') AND d.lane > hop.lane) FROM hop WHERE hop.lane IS NOT NULL)"
    " SELECT hop.lane, (SELECT d.service FROM deliveries d WHERE d.state IN ('waiting', 'deferred')"
    " AND d.lane = hop.lane ORDER BY d.due_at LIMIT 1) AS service FROM hop"
    " WHERE hop.lane IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.state IN ('waiting', 'deferred') AND d.lane = hop.lane AND d.due_at <= :now)"
)
_earlier = deliveries.alias("earlier")
_IS_BEHIND = and_(
    deliveries.c.is_ordered,
    exists().where(
        # Likewise in the index's own words: "= 1", as SQLAlchemy says, is something else to SQLite.
        text("earlier.is_ordered"),
        _earlier.c.conversation == deliveries.c.conversation,
        _earlier.c.recipient == deliveries.c.recipient,
        _earlier.c.number < deliveries.c.number,
        or_(
            _earlier.c.state.in_([DeliveryState.WAITING.value, DeliveryState.CLAIMED.value]),
            # It may still be replayed, and then comes first.
            and_(_earlier.c.state == DeliveryState.DEAD.value, _earlier.c.expires_at > bindparam("now")),
        ),
    ),
)
_DUE = (
    select(deliveries.c.number)
    .where(
        _WAITS,
        deliveries.c.lane == bindparam("wanted"),
        deliveries.c.due_at <= bindparam("now"),
        not_(_IS_BEHIND),
    )
    .order_by(deliveries.c.due_at, deliveries.c.number)
    .limit(bindparam("most"))
)
_EXPIRED = (
    select(deliveries.c.number)
    .where(_WAITS, deliveries.c.expires_at <= bindparam("now"))
    .order_by(deliveries.c.expires_at)
    .limit(bindparam("most"))
)
_NUMBERS: BindParameter[int] = bindparam("numbers", expanding=True)
_LOCK = (
    select(deliveries)
    .where(deliveries.c.number.in_(_NUMBERS), _WAITS)
    .order_by(deliveries.c.number)
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(deliveries)
    .where(deliveries.c.number.in_(_NUMBERS))
    .values(
        state=DeliveryState.CLAIMED.value,
        claimed_by=bindparam("worker"),
        claimed_at=bindparam("at"),
        attempts=deliveries.c.attempts + 1,
        tries=deliveries.c.tries + 1,
    )
)
_CLAIMED_IN_LANE = select(deliveries.c.lane, func.count()).where(_IS_CLAIMED).group_by(deliveries.c.lane)
_CLAIMED = select(deliveries).where(_IS_CLAIMED)
_LEAVE = update(deliveries).where(
    deliveries.c.number == bindparam("left"),
    _IS_CLAIMED,
    deliveries.c.claimed_by == bindparam("by"),
    deliveries.c.attempts == bindparam("attempt"),
)
_OF_MESSAGE = (
    select(deliveries).where(deliveries.c.message_id == bindparam("wanted")).order_by(deliveries.c.number)
)
_ATTEMPTS_OF = (
    select(delivery_attempts)
    .where(delivery_attempts.c.delivery == bindparam("wanted"))
    .order_by(delivery_attempts.c.attempt)
)


def put(connection: Connection, new: NewDelivery, now: datetime) -> None:
    """Put a message in, to be tried at once; in the place of what its sender's earlier try left there."""
    moment = format_instant(now)
    values = _written(new) | {
        "lane": lane_of(new.service, new.recipient),
        "state": DeliveryState.WAITING.value,
        "due_at": moment,
        "tries": 0,
    }
    again = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.message_id == new.message_id,
            deliveries.c.recipient == new.recipient,
            deliveries.c.state.not_in([each.value for each in OPEN_STATES]),
        )
        .values(**values, **_UNENDED)
    )
    if again.rowcount == 0:
        connection.execute(_INSERT, values | {"attempts": 0, "replays": 0, "created_at": moment})


def defer(connection: Connection, new: NewDelivery, expected_by: datetime) -> None:
    """Enter that the recipient of what was just put in has it, and when it promised its answer."""
    moment = format_instant(expected_by)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.message_id == new.message_id, deliveries.c.recipient == new.recipient)
        .values(state=DeliveryState.DEFERRED.value, due_at=moment, expected_by=moment)
    )


_UNENDED: Mapping[str, Any] = dict.fromkeys(
    ("expected_by", "claimed_by", "claimed_at", "ended_at", "code", "detail", "answer_sha256",
     "receipt_sha256", "closed_by", "closed_reason")
)  # fmt: skip


def hasten(connection: Connection, recipients: Collection[SubsystemId], now: datetime) -> int:
    """Make due now what waits for recipients; return how much there was."""
    moment = format_instant(now)
    waiting = update(deliveries).where(
        deliveries.c.state == DeliveryState.WAITING.value,
        deliveries.c.recipient.in_(recipients),
        deliveries.c.due_at > moment,
    )
    return connection.execute(waiting.values(due_at=moment)).rowcount


def lanes_due(connection: Connection, now: datetime) -> list[tuple[Lane, ServiceId]]:
    """Return the lanes in which something is due, and the service of each."""
    rows = connection.execute(_LANES, {"now": format_instant(now)})
    return [(Lane(row.lane), ServiceId(row.service)) for row in rows]


def list_due(connection: Connection, lane: Lane, now: datetime, most: int) -> list[DeliveryNumber]:
    """Return what may be tried now in a lane, what is due longest first."""
    values = {"wanted": lane, "now": format_instant(now), "most": most}
    return list(connection.execute(_DUE, values).scalars())


def list_expired(connection: Connection, now: datetime, most: int) -> list[DeliveryNumber]:
    """Return what waits and has expired."""
    return list(connection.execute(_EXPIRED, {"now": format_instant(now), "most": most}).scalars())


def claimed_by_lane(connection: Connection) -> dict[Lane, int]:
    """Return how many deliveries are claimed in each lane, by whichever worker."""
    return {Lane(lane): count for lane, count in connection.execute(_CLAIMED_IN_LANE)}


def claim(
    connection: Connection, numbers: Collection[DeliveryNumber], worker: ServingNumber, now: datetime
) -> list[Delivery]:
    """Claim what still waits and nobody else is claiming; return it as it is afterwards."""
    found = [to_delivery(row) for row in connection.execute(_LOCK, {"numbers": list(numbers)})]
    if not found:
        return []
    connection.execute(
        _CLAIM,
        {"numbers": [each.number for each in found], "worker": worker, "at": format_instant(now)},
    )
    return [
        replace(
            each,
            state=DeliveryState.CLAIMED,
            claimed_by=worker,
            claimed_at=now,
            attempts=each.attempts + 1,
            tries=each.tries + 1,
        )
        for each in found
    ]


def list_claimed(connection: Connection) -> list[Delivery]:
    """Return what somebody is at, or was when its process ended."""
    return [to_delivery(row) for row in connection.execute(_CLAIMED)]


def leave(connection: Connection, delivery: Delivery, values: Mapping[str, Any]) -> bool:
    """Enter what came of a claim; False when it is in other hands by now."""
    result = connection.execute(
        _LEAVE.values(claimed_by=None, claimed_at=None, **values),
        {"left": delivery.number, "by": delivery.claimed_by, "attempt": delivery.attempts},
    )
    return result.rowcount == 1


def add_attempt(connection: Connection, attempt: Attempt) -> None:
    """Write down an attempt."""
    connection.execute(
        _INSERT_ATTEMPT,
        {
            "delivery": attempt.delivery,
            "attempt": attempt.attempt,
            "started_at": format_instant(attempt.started_at),
            "ended_at": format_instant(attempt.ended_at),
            "code": attempt.code,
            "detail": attempt.detail[:_LONGEST_DETAIL],
            "worker": attempt.worker,
        },
    )


def replay(
    connection: Connection, delivery: Delivery, *, now: datetime, by: str, position: LogPosition
) -> bool:
    """Let a dead letter wait again, with a new series of attempts; False when it is none any more."""
    result = connection.execute(
        update(deliveries)
        .where(deliveries.c.number == delivery.number, deliveries.c.state == DeliveryState.DEAD.value)
        .values(
            state=DeliveryState.WAITING.value,
            due_at=format_instant(now),
            tries=0,
            replays=deliveries.c.replays + 1,
            replayed_by=by,
            log_index=position.index,
            log_leaf=position.leaf_hash.hex(),
            **_UNENDED,
        )
    )
    return result.rowcount == 1


def close(connection: Connection, number: DeliveryNumber, by: str, reason: str) -> bool:
    """Close a dead letter; False when it is none."""
    result = connection.execute(
        update(deliveries)
        .where(deliveries.c.number == number, deliveries.c.state == DeliveryState.DEAD.value)
        .values(state=DeliveryState.CLOSED.value, closed_by=by, closed_reason=reason)
    )
    return result.rowcount == 1


def close_of(connection: Connection, message_id: MessageId, by: str, reason: str) -> None:
    """Close the dead letters of a message."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.message_id == message_id, deliveries.c.state == DeliveryState.DEAD.value)
        .values(state=DeliveryState.CLOSED.value, closed_by=by, closed_reason=reason)
    )


def of_message(connection: Connection, message_id: MessageId) -> tuple[Delivery, ...]:
    """Return the deliveries of a message: one for each recipient."""
    return tuple(to_delivery(row) for row in connection.execute(_OF_MESSAGE, {"wanted": message_id}))


def find(connection: Connection, number: DeliveryNumber) -> Delivery | None:
    """Return one delivery."""
    row = connection.execute(select(deliveries).where(deliveries.c.number == number)).first()
    return None if row is None else to_delivery(row)


def attempts_of(connection: Connection, number: DeliveryNumber) -> tuple[Attempt, ...]:
    """Return every attempt of a delivery, the first one first."""
    return tuple(
        Attempt(
            delivery=row.delivery,
            attempt=row.attempt,
            started_at=parse_instant(row.started_at),
            ended_at=parse_instant(row.ended_at),
            code=row.code,
            detail=row.detail,
            worker=row.worker,
        )
        for row in connection.execute(_ATTEMPTS_OF, {"wanted": number})
    )


def depth(connection: Connection) -> dict[ServiceId, Depth]:
    """Count what is open or dead, by service."""
    state = deliveries.c.state
    counts = [
        func.sum(case((state == each.value, 1), else_=0)).label(each.value)
        for each in (*OPEN_STATES, DeliveryState.DEAD)
    ]
    oldest = func.min(case((state == DeliveryState.WAITING.value, deliveries.c.created_at)))
    rows = connection.execute(
        select(deliveries.c.service, *counts, oldest.label("oldest"))
        .where(or_(_WAITS, _IS_CLAIMED, state == text("'dead'")))
        .group_by(deliveries.c.service)
    )
    return {
        ServiceId(row.service): Depth(
            waiting=row.waiting,
            claimed=row.claimed,
            deferred=row.deferred,
            dead=row.dead,
            oldest_waiting_since=parse_instant(row.oldest) if row.oldest else None,
        )
        for row in rows
    }


def search(connection: Connection, wanted: DeadLetterSearch) -> DeadLetterPage:
    """Return a page of dead letters, the youngest message first."""
    rows = connection.execute(
        select(deliveries)
        .where(_IS_DEAD, *_conditions(wanted))
        .order_by(deliveries.c.number.desc())
        .limit(wanted.most + 1)
    )
    found = [to_delivery(row) for row in rows]
    page = tuple(found[: wanted.most])
    return DeadLetterPage(page, page[-1].number if len(found) > wanted.most else None)


def codes(connection: Connection, state: DeliveryState) -> tuple[str, ...]:
    """Return the different codes of deliveries in a state."""
    query = select(deliveries.c.code).where(deliveries.c.state == state.value).distinct()
    return tuple(sorted(each for each in connection.execute(query).scalars() if each is not None))


def count(connection: Connection, wanted: DeadLetterSearch) -> int:
    """Count all dead letters a search finds, whatever its page."""
    whole = replace(wanted, cursor=None)
    query = select(func.count()).select_from(deliveries).where(_IS_DEAD, *_conditions(whole))
    return connection.execute(query).scalar_one()


def _conditions(wanted: DeadLetterSearch) -> list[ColumnElement[bool]]:
    columns = deliveries.c
    conditions = [columns.state == wanted.state.value]
    for column, value in (
        (columns.service, wanted.service),
        (columns.code, wanted.code),
        (columns.recipient, wanted.recipient),
        (columns.sender, wanted.sender),
        (columns.message_id, wanted.message_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(columns.ended_at >= format_instant(wanted.since))
    if wanted.until is not None:
        conditions.append(columns.ended_at < format_instant(wanted.until))
    if wanted.cursor is not None:
        conditions.append(columns.number < wanted.cursor)
    return conditions


_INSTANTS = {"due_at", "expires_at", "expected_by", "claimed_at", "created_at", "ended_at"}


def _written(new: NewDelivery) -> dict[str, Any]:
    values = {field.name: getattr(new, field.name) for field in fields(NewDelivery)}
    return values | {"kind": new.kind.value, "expires_at": format_instant(new.expires_at)}


def to_delivery(row: Row[Any]) -> Delivery:
    """Read a row."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented accessor
    del values["lane"]
    for name in _INSTANTS:
        values[name] = None if values[name] is None else parse_instant(values[name])
    return Delivery(**(values | {"kind": Pattern(values["kind"]), "state": DeliveryState(values["state"])}))
