# SPDX-License-Identifier: Apache-2.0
"""The statements of a search, and the table of business keys; nobody else touches it.

Each index ends in (received_at, message_id), the order of every result, so that a page is read from where it
starts and nothing is sorted. The plans are held to that by tests, on both databases.

Source: SQLite, "Row Values", section 2.2 (scrolling window queries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    Select,
    String,
    Table,
    delete,
    exists,
    literal,
    select,
    text,
    tuple_,
)

from hub.database import metadata
from hub.exchange.searching import MOST_EXAMINED, Position, Walk, Window, plan
from hub.exchange.store import exchanges, to_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, FromClause

    from hub.exchange.model import ExchangeRecord
    from hub.exchange.searching import Search
    from hub.exchange.searchkeys import StoredKey
    from hub.identifiers import MessageId

exchange_keys = Table(
    "exchange_keys",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("received_at", String(24), primary_key=True),
    Column("message_id", String(36), primary_key=True),
    # The key is the whole row: the table is its own index.
    sqlite_with_rowid=False,
)
Index("exchange_keys_by_message", exchange_keys.c.message_id)

# A message's first arrival stands in its row; a later try must not move it.
_KEEP = text(
    "INSERT INTO exchange_keys (name, digest, received_at, message_id) "
    "SELECT :name, :digest, received_at, message_id FROM exchanges WHERE message_id = :message_id "
    "ON CONFLICT DO NOTHING"
)


def keep_keys(connection: Connection, message_id: MessageId, keys: Iterable[StoredKey]) -> None:
    """Keep business keys of a message; keeping one twice changes nothing."""
    rows = [{"name": key.name, "digest": key.digest, "message_id": message_id} for key in keys]
    if rows:
        connection.execute(_KEEP, rows)


def forget_keys(connection: Connection, message_id: MessageId) -> int:
    """Let a message no longer be found by any business key; return how many it had."""
    return connection.execute(delete(exchange_keys).where(exchange_keys.c.message_id == message_id)).rowcount


def find_page(
    connection: Connection, walk: Walk, keys: Sequence[StoredKey], window: Window, most: int
) -> tuple[list[ExchangeRecord], Position | None]:
    """Return the next rows of a walk, and the position up to which it was walked; None when to its end.

    Args:
        connection: to read with.
        walk: what to walk and check.
        keys: the first is walked along, the others are checked.
        window: where to walk.
        most: how many rows at most.
    """
    if walk.leaves_out or len(keys) > 1:
        last = connection.execute(last_examined(walk, keys, window)).one_or_none()
        if last is not None:
            window = window._replace(end=Position(last.received_at, last.message_id))
    rows = connection.execute(page_of(walk, keys, window, most)).all()
    records = [to_record(row) for row in rows]
    if len(rows) == most:
        return records, Position(rows[-1].received_at, rows[-1].message_id)
    return records, window.end


def find_one(
    connection: Connection, search: Search, keys: Sequence[StoredKey], window: Window
) -> ExchangeRecord | None:
    """Return the message with the id that is looked for, if all else that is asked for holds of it."""
    for walk in plan(search):
        checked = Walk({}, {**walk.along, **walk.check}, walk.not_from)
        wanted = select(exchanges).where(
            exchanges.c.message_id == search.message_id,
            *_within(exchanges, window),
            *_checks(checked, keys),
        )
        row = connection.execute(wanted).one_or_none()
        if row is not None:
            return to_record(row)
    return None


def last_examined(walk: Walk, keys: Sequence[StoredKey], window: Window) -> Select[tuple[str, str]]:
    """Ask for the last row of a walk that is looked at for one page, if there are so many."""
    source = exchange_keys if keys else exchanges
    return (
        select(source.c.received_at, source.c.message_id)
        .where(*_along(walk, keys), *_within(source, window))
        .order_by(source.c.received_at.desc(), source.c.message_id.desc())
        .offset(MOST_EXAMINED - 1)
        .limit(1)
    )


def page_of(walk: Walk, keys: Sequence[StoredKey], window: Window, most: int) -> Select[tuple[object, ...]]:
    """Ask for the rows of a page."""
    source = exchange_keys if keys else exchanges
    wanted = select(exchanges)
    if keys:
        wanted = wanted.select_from(exchange_keys).join(
            exchanges, exchanges.c.message_id == exchange_keys.c.message_id
        )
    return (
        wanted.where(*_along(walk, keys), *_within(source, window), *_checks(walk, keys[1:]))
        .order_by(source.c.received_at.desc(), source.c.message_id.desc())
        .limit(most)
    )


def _along(walk: Walk, keys: Sequence[StoredKey]) -> list[ColumnElement[bool]]:
    if keys:
        return [exchange_keys.c.name == keys[0].name, exchange_keys.c.digest == keys[0].digest]
    conditions = [exchanges.c[name] == value for name, value in walk.along.items()]
    if "state" in walk.along:
        # In the index's own words, or SQLite does not see that it holds what is asked for.
        conditions.append(text("state <> 'processed'"))  # type: ignore[arg-type]  # a condition as text
    return conditions


def _within(source: FromClause, window: Window) -> list[ColumnElement[bool]]:
    before, since, end = window
    place = tuple_(source.c.received_at, source.c.message_id)
    conditions: list[ColumnElement[bool]] = []
    if before is not None:
        conditions.append(place < tuple_(literal(before.received_at), literal(before.message_id)))
    if end is not None:
        conditions.append(place >= tuple_(literal(end.received_at), literal(end.message_id)))
    elif since is not None:
        conditions.append(source.c.received_at >= since)
    return conditions


def _checks(walk: Walk, keys: Sequence[StoredKey]) -> list[ColumnElement[bool]]:
    # As an expression, a column tempts no planner to walk its index instead.
    conditions = [exchanges.c[name].concat("") == value for name, value in walk.check.items()]
    if walk.not_from is not None:
        conditions.append(exchanges.c.sender.concat("") != walk.not_from)
    other = exchange_keys.alias("other")
    conditions += [
        exists().where(
            other.c.name == key.name,
            other.c.digest == key.digest,
            other.c.received_at == exchanges.c.received_at,
            other.c.message_id == exchanges.c.message_id,
        )
        for key in keys
    ]
    return conditions
