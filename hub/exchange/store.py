# SPDX-License-Identifier: Apache-2.0
"""Exchanges; the only module that touches their table.

A row holds the present state; the containers are in the vault, and the history is the message log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.errors import ExchangeError
from hub.exchange.model import ExchangeRecord, ExchangeState
from hub.identifiers import MessageId, ServiceId, SubsystemId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from hub.envelope import Envelope

_exchanges = Table(
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
    Column("request_sha256", String(64), nullable=False),
    Column("answer_sha256", String(64)),
    Column("receipt_sha256", String(64)),
    Index("exchanges_by_conversation", "conversation"),
    Index("exchanges_by_arrival", "received_at"),
)

# The statements every message needs are built once; building them anew took longer than running them.
_FIND = select(_exchanges).where(_exchanges.c.message_id == bindparam("wanted"))
_BEGIN = insert(_exchanges)
_CONCLUDE = update(_exchanges).where(_exchanges.c.message_id == bindparam("concluded"))


def begin(connection: Connection, request: Envelope, received_at: datetime) -> bool:
    """Enter an exchange as in progress, or refuse the message as one that was here before.

    A first try that was refused does not stand in the way of a second. Returns whether this is the first.

    Raises:
        ExchangeError: `id_reused`, `duplicate_message` or `in_progress`.
    """
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
                "state": ExchangeState.IN_PROGRESS.value,
                "received_at": format_instant(received_at),
                "attempts": 1,
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
    connection.execute(
        update(_exchanges)
        .where(_exchanges.c.message_id == header.id)
        .values(
            state=ExchangeState.IN_PROGRESS.value,
            code=None,
            concluded_at=None,
            attempts=known.attempts + 1,
        )
    )
    return False


def conclude(  # noqa: PLR0913 - one row's final fields, each by its name
    connection: Connection,
    message_id: MessageId,
    *,
    state: ExchangeState,
    at: datetime,
    code: str | None,
    answer: Envelope | None,
    receipt: Envelope,
) -> None:
    """Enter how an exchange ended, and the digests of the containers that say so."""
    connection.execute(
        _CONCLUDE,
        {
            "concluded": message_id,
            "state": state.value,
            "code": code,
            "concluded_at": format_instant(at),
            "answer_sha256": answer.container_sha256 if answer else None,
            "receipt_sha256": receipt.container_sha256,
        },
    )


def release_interrupted(connection: Connection) -> int:
    """Let messages whose try was cut off by a crash be tried again; return how many there were."""
    result = connection.execute(
        update(_exchanges)
        .where(_exchanges.c.state == ExchangeState.IN_PROGRESS.value)
        .values(state=ExchangeState.REFUSED.value, code="exchange.internal")
    )
    return result.rowcount


def find(connection: Connection, message_id: MessageId) -> ExchangeRecord | None:
    """Return the exchange of a message."""
    row = connection.execute(_FIND, {"wanted": message_id}).first()
    return None if row is None else _record(row)


def find_conversation(connection: Connection, conversation: MessageId) -> Sequence[ExchangeRecord]:
    """Return the exchanges of a conversation in the order of their arrival."""
    rows = connection.execute(
        select(_exchanges)
        .where(_exchanges.c.conversation == conversation)
        .order_by(_exchanges.c.received_at, _exchanges.c.message_id)
    )
    return [_record(row) for row in rows]


def list_latest(connection: Connection, most: int, party: SubsystemId | None) -> Sequence[ExchangeRecord]:
    """Return the exchanges that arrived last, the latest first; only those of `party` when one is given."""
    wanted = select(_exchanges).order_by(_exchanges.c.received_at.desc()).limit(most)
    if party is not None:
        wanted = wanted.where((_exchanges.c.sender == party) | (_exchanges.c.recipient == party))
    return [_record(row) for row in connection.execute(wanted)]


def _record(row: Row[tuple[object, ...]]) -> ExchangeRecord:
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
