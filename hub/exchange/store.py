# SPDX-License-Identifier: Apache-2.0
"""Exchanges and their containers; the only module that touches these tables.

Containers are kept by their digest. An exchange row holds the present state; its history is the message log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
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

_containers = Table(
    "containers",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# The statements every message needs are built once; building them anew took longer than running them.
_FIND = select(_exchanges).where(_exchanges.c.message_id == bindparam("wanted"))
_BEGIN = insert(_exchanges)
_CONCLUDE = update(_exchanges).where(_exchanges.c.message_id == bindparam("concluded"))
_KEEP = text(
    "INSERT INTO containers (sha256, content) VALUES (:sha256, :content) ON CONFLICT (sha256) DO NOTHING"
).bindparams(bindparam("content", type_=LargeBinary))


def begin(connection: Connection, request: Envelope, received_at: datetime) -> None:
    """Enter an exchange as in progress, or refuse the message as one that was here before.

    A first try that was refused does not stand in the way of a second.

    Raises:
        ExchangeError: `id_reused`, `duplicate_message` or `in_progress`.
    """
    header = request.header
    known = find(connection, header.id)
    if known is None:
        keep_container(connection, request)
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
        return
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
    """Enter how an exchange ended, with the containers that say so."""
    for envelope in (answer, receipt):
        if envelope is not None:
            keep_container(connection, envelope)
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


def keep_container(connection: Connection, envelope: Envelope) -> None:
    """Keep a container by its digest; keeping it twice changes nothing."""
    connection.execute(_KEEP, {"sha256": envelope.container_sha256, "content": envelope.raw})


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


def read_container(connection: Connection, sha256: str) -> bytes:
    """Return a kept container.

    Raises:
        ExchangeError: `message_unknown`.
    """
    content: bytes | None = connection.scalar(
        select(_containers.c.content).where(_containers.c.sha256 == sha256)
    )
    if content is None:
        raise ExchangeError("exchange.message_unknown", sha256)
    return content


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
