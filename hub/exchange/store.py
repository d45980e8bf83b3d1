# SPDX-License-Identifier: Apache-2.0
"""Exchanges; only this module and `search_store` touch their table.

A row holds the present state; the containers are in the vault, and the history is the message log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.errors import ExchangeError
from hub.exchange.model import ExchangeRecord, ExchangeState
from hub.identifiers import MessageId, ServiceId, SubsystemId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from hub.envelope import Envelope
    from hub.outbox import Delivery

IN_OUTBOX = (ExchangeState.QUEUED, ExchangeState.DEFERRED)

exchanges = Table(
    "exchanges",
    metadata,
    Column("message_id", String(36), primary_key=True),
    Column("conversation", String(36), nullable=False),
    Column("sender", String(60), nullable=False),
    Column("recipient", String(60), nullable=False),
    Column("service", String(101), nullable=False),
    Column("state", String(20), nullable=False),
    Column("code", String(80)),
    Column("received_at", String(24), nullable=False),
    Column("concluded_at", String(24)),
    Column("attempts", Integer, nullable=False),
    # Who works on it while it is in progress (hub.database.ServingClaim).
    Column("worker", BigInteger),
    Column("request_sha256", String(64), nullable=False),
    Column("answer_sha256", String(64)),
    Column("receipt_sha256", String(64)),
    # One for each walk of hub.exchange.searching; all end in the order of arrival.
    Index("exchanges_by_arrival", "received_at", "message_id"),
    Index("exchanges_by_conversation", "conversation", "received_at", "message_id"),
    Index("exchanges_by_sender", "sender", "received_at", "message_id"),
    Index("exchanges_by_sender_and_service", "sender", "service", "received_at", "message_id"),
    Index("exchanges_by_recipient", "recipient", "received_at", "message_id"),
    Index("exchanges_by_service", "service", "received_at", "message_id"),
    # What is erased is known by its container only.
    Index("exchanges_by_request_container", "request_sha256"),
)
_IS_ANSWERED = text("answer_sha256 IS NOT NULL")
Index(
    "exchanges_by_answer_container",
    exchanges.c.answer_sha256,
    sqlite_where=_IS_ANSWERED,
    postgresql_where=_IS_ANSWERED,
)
_IS_UNPROCESSED = text("state <> 'processed'")
Index(
    "exchanges_unprocessed",
    exchanges.c.state,
    exchanges.c.received_at,
    exchanges.c.message_id,
    sqlite_where=_IS_UNPROCESSED,
    postgresql_where=_IS_UNPROCESSED,
)
# In these words, not with a parameter: SQLite must see that the index holds what is asked for.
_IS_IN_PROGRESS = text("state = 'in_progress'")
Index(
    "exchanges_in_progress",
    exchanges.c.worker,
    sqlite_where=_IS_IN_PROGRESS,
    postgresql_where=_IS_IN_PROGRESS,
)

# The statements every message needs are built once; building them anew took longer than running them.
_FIND = select(exchanges).where(exchanges.c.message_id == bindparam("wanted"))
_BEGIN = insert(exchanges)
_CONCLUDE = update(exchanges).where(
    exchanges.c.message_id == bindparam("concluded"),
    exchanges.c.state == ExchangeState.IN_PROGRESS.value,
    exchanges.c.worker == bindparam("by"),
)
_CONCLUDE_QUEUED = update(exchanges).where(
    exchanges.c.message_id == bindparam("concluded"),
    exchanges.c.state.in_([each.value for each in IN_OUTBOX]),
)
_NOTE = update(exchanges).where(exchanges.c.message_id == bindparam("noted"))
_IN_PROGRESS = select(exchanges.c.message_id, exchanges.c.attempts, exchanges.c.worker).where(_IS_IN_PROGRESS)


_SOME: BindParameter[str] = bindparam("digests", expanding=True)
# Two questions, so that each walks its own index.
_OF_CONTAINERS = (
    select(exchanges.c.message_id).where(exchanges.c.request_sha256.in_(_SOME)),
    select(exchanges.c.message_id).where(exchanges.c.answer_sha256.in_(_SOME), _IS_ANSWERED),
)


class Try(NamedTuple):
    """One try of a message: who works on it."""

    message_id: MessageId
    attempts: int
    worker: int | None


def begin(connection: Connection, request: Envelope, received_at: datetime, worker: int | None) -> bool:
    """Enter an exchange as in progress, or refuse the message as one that was here before.

    A first try that was refused does not stand in the way of a second. Returns whether this is the first.

    Args:
        connection: inside a unit of the writer.
        request: the message.
        received_at: UTC.
        worker: who works on it; None for a message that goes into the outbox.

    Raises:
        ExchangeError: `id_reused`, `duplicate_message`, `in_progress` or `queued`.
    """
    state = ExchangeState.QUEUED if worker is None else ExchangeState.IN_PROGRESS
    header = request.header
    known = find(connection, header.id)
    if known is None:
        connection.execute(
            _BEGIN,
            {
                "message_id": header.id,
                "conversation": header.conversation,
                "sender": header.sender,
                "recipient": header.recipient,
                "service": header.service,
                "state": state.value,
                "received_at": format_instant(received_at),
                "attempts": 1,
                "worker": worker,
                "request_sha256": request.container_sha256,
            },
        )
        return True
    if known.request_sha256 != request.container_sha256:
        raise ExchangeError("exchange.id_reused", header.id)
    if known.state is ExchangeState.PROCESSED:
        raise ExchangeError("exchange.duplicate_message", header.id)
    if known.state is ExchangeState.IN_PROGRESS:
        raise ExchangeError("exchange.in_progress", header.id)
    if known.state in IN_OUTBOX:
        raise ExchangeError("exchange.queued", header.id)
    connection.execute(
        update(exchanges)
        .where(exchanges.c.message_id == header.id)
        .values(
            state=state.value,
            code=None,
            concluded_at=None,
            attempts=known.attempts + 1,
            worker=worker,
        )
    )
    return False


def conclude(  # noqa: PLR0913 - one row's final fields, each by its name
    connection: Connection,
    message_id: MessageId,
    *,
    worker: int | None,
    state: ExchangeState,
    at: datetime,
    code: str | None,
    answer: Envelope | None,
    receipt: Envelope | None,
) -> None:
    """Enter how an exchange ended, and the digests of the containers that say so.

    Args:
        connection: inside a unit of the writer.
        message_id: of the request.
        worker: who works on it; None for a message of the outbox, whose claim is looked at there.
        state: processed or refused.
        at: UTC.
        code: why it was refused.
        answer: the answer or the fault.
        receipt: the hub's final one; None leaves the latest there is.

    Raises:
        ExchangeError: `internal`: this process does not work on the message any more. It was taken for dead,
            or a write that seemed to fail had succeeded.
    """
    values = {
        "concluded": message_id,
        "state": state.value,
        "code": code,
        "concluded_at": format_instant(at),
        "answer_sha256": answer.container_sha256 if answer else None,
    }
    if receipt is not None:
        values["receipt_sha256"] = receipt.container_sha256
    if worker is None:
        result = connection.execute(_CONCLUDE_QUEUED, values)
    else:
        result = connection.execute(_CONCLUDE, values | {"by": worker})
    if result.rowcount != 1:
        raise ExchangeError("exchange.internal", f"{message_id} is in other hands")


def conclude_event(
    connection: Connection, message_id: MessageId, *, state: ExchangeState, at: datetime, ended: Delivery
) -> None:
    """Enter how an event ended; the delivery that decided it has the digests of what says so.

    It may be concluded again: a dead letter of it may be replayed.
    """
    connection.execute(
        update(exchanges)
        .where(exchanges.c.message_id == message_id)
        .values(
            state=state.value,
            code=ended.code,
            concluded_at=format_instant(at),
            answer_sha256=ended.answer_sha256,
            receipt_sha256=ended.receipt_sha256,
        )
    )


def note(connection: Connection, message_id: MessageId, state: ExchangeState, receipt: Envelope) -> None:
    """Enter where a message of the outbox stands, and the receipt that says so."""
    connection.execute(
        _NOTE,
        {"noted": message_id, "state": state.value, "receipt_sha256": receipt.container_sha256},
    )


def reopen(connection: Connection, message_id: MessageId, receipt: Envelope) -> bool:
    """Let a refused message be queued again; False when it is not refused any more."""
    result = connection.execute(
        update(exchanges)
        .where(
            exchanges.c.message_id == message_id,
            # An event whose other subscribers have not all been told yet is queued still.
            exchanges.c.state.in_([ExchangeState.REFUSED.value, ExchangeState.QUEUED.value]),
        )
        .values(
            state=ExchangeState.QUEUED.value,
            code=None,
            concluded_at=None,
            receipt_sha256=receipt.container_sha256,
        )
    )
    return result.rowcount == 1


def list_in_progress(connection: Connection) -> list[Try]:
    """Return every try that is under way, or was when its process ended."""
    return [
        Try(MessageId(row.message_id), row.attempts, row.worker) for row in connection.execute(_IN_PROGRESS)
    ]


def release(connection: Connection, given_up: Try) -> int:
    """Let a message be tried again; return 0 when this try of it had ended."""
    result = connection.execute(
        update(exchanges)
        .where(
            exchanges.c.message_id == given_up.message_id,
            exchanges.c.attempts == given_up.attempts,
            exchanges.c.state == ExchangeState.IN_PROGRESS.value,
        )
        .values(state=ExchangeState.REFUSED.value, code="exchange.internal")
    )
    return result.rowcount


def find(connection: Connection, message_id: MessageId) -> ExchangeRecord | None:
    """Return the exchange of a message."""
    row = connection.execute(_FIND, {"wanted": message_id}).first()
    return None if row is None else to_record(row)


def find_conversation(connection: Connection, conversation: MessageId) -> Sequence[ExchangeRecord]:
    """Return the exchanges of a conversation in the order of their arrival."""
    rows = connection.execute(
        select(exchanges)
        .where(exchanges.c.conversation == conversation)
        .order_by(exchanges.c.received_at, exchanges.c.message_id)
    )
    return [to_record(row) for row in rows]


def count(connection: Connection) -> int:
    """Return how many exchanges there are."""
    return connection.execute(select(func.count()).select_from(exchanges)).scalar_one()


def all_exchanges(connection: Connection) -> Iterator[ExchangeRecord]:
    """Return every exchange there is, in the order of the message ids, some hundred at a time."""
    after = ""
    while some := list_after(connection, after, 500):
        yield from some
        after = some[-1].message_id


def ids_of_containers(connection: Connection, digests: Sequence[str]) -> set[MessageId]:
    """Return the messages whose request or answer is one of some containers.

    Args:
        connection: to read with.
        digests: SHA-256, lower-case hex; some hundred at most.
    """
    if not digests:
        return set()
    return {
        MessageId(found)
        for query in _OF_CONTAINERS
        for found in connection.scalars(query, {"digests": list(digests)})
    }


def list_after(connection: Connection, message_id: str, most: int) -> list[ExchangeRecord]:
    """Return exchanges in the order of their ids, from behind one on."""
    wanted = select(exchanges).where(exchanges.c.message_id > message_id)
    return [to_record(row) for row in connection.execute(wanted.order_by(exchanges.c.message_id).limit(most))]


def to_record(row: Row[tuple[object, ...]]) -> ExchangeRecord:
    """Read a row."""
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's documented accessor
    concluded_at = fields["concluded_at"]
    return ExchangeRecord(
        message_id=MessageId(fields["message_id"]),
        conversation=MessageId(fields["conversation"]),
        sender=SubsystemId(fields["sender"]),
        recipient=SubsystemId(fields["recipient"]),
        service=ServiceId(fields["service"]),
        state=ExchangeState(fields["state"]),
        code=fields["code"],
        received_at=parse_instant(fields["received_at"]),
        concluded_at=parse_instant(concluded_at) if concluded_at else None,
        attempts=fields["attempts"],
        request_sha256=fields["request_sha256"],
        answer_sha256=fields["answer_sha256"],
        receipt_sha256=fields["receipt_sha256"],
    )
