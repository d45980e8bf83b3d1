# SPDX-License-Identifier: Apache-2.0
"""Drafts and their fate; the only module that touches this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Index, LargeBinary, String, Table, Text, insert, select, update

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.evidence.model import EvidenceRequest, RequestState
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from hub.vault import KeyId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

_requests = Table(
    "evidence_requests",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("requester", String(200), nullable=False),
    Column("subsystem", String(60), nullable=False),
    Column("service", String(101), nullable=False),
    Column("contract", String(70), nullable=False),
    # The question and its purpose, encrypted by the vault until the gateway has made a message of it.
    Column("key_id", String(40)),
    Column("content", LargeBinary),
    Column("created_at", String(24), nullable=False),
    Column("claimed_at", String(24)),
    Column("state", String(20), nullable=False),
    Column("code", String(80)),
    Column("detail", Text),
    Index("evidence_requests_by_state", "subsystem", "state"),
)


@dataclass(frozen=True)
class Sealed:
    """A question and its purpose, encrypted by the vault."""

    key_id: KeyId
    content: bytes


def enter(connection: Connection, request: EvidenceRequest, sealed: Sealed) -> None:
    """Enter a draft."""
    connection.execute(
        insert(_requests).values(
            id=request.id,
            requester=request.requester,
            subsystem=request.subsystem,
            service=request.service,
            contract=request.contract,
            key_id=str(sealed.key_id),
            content=sealed.content,
            created_at=format_instant(request.created_at),
            state=request.state.value,
        )
    )


def claim(
    connection: Connection, subsystem: SubsystemId, at: datetime, *, stale_before: datetime
) -> tuple[EvidenceRequest, Sealed] | None:
    """Hand a subsystem's oldest draft to its gateway; nobody else gets it.

    A draft claimed before `stale_before` whose gateway never said what became of it is handed out again.
    """
    is_waiting = _requests.c.state == RequestState.DRAFT.value
    is_forgotten = (_requests.c.state == RequestState.CLAIMED.value) & (
        _requests.c.claimed_at < format_instant(stale_before)
    )
    row = connection.execute(
        select(_requests)
        .where(_requests.c.subsystem == subsystem, is_waiting | is_forgotten)
        .order_by(_requests.c.created_at, _requests.c.id)
        .limit(1)
    ).first()
    if row is None or row.content is None:
        return None
    connection.execute(
        update(_requests)
        .where(_requests.c.id == row.id)
        .values(state=RequestState.CLAIMED.value, claimed_at=format_instant(at))
    )
    return _request(row), Sealed(KeyId.parse(row.key_id), row.content)


def fail(connection: Connection, request_id: MessageId, code: str, detail: str) -> None:
    """Enter why a draft came to nothing; its question is forgotten."""
    connection.execute(
        update(_requests)
        .where(_requests.c.id == request_id)
        .values(state=RequestState.FAILED.value, code=code, detail=detail, content=None)
    )


def settle(connection: Connection, request_id: MessageId) -> None:
    """Enter that a draft's message has been sent; what became of it is the exchange's to say.

    The question is forgotten here: the message holds it.
    """
    connection.execute(
        update(_requests)
        .where(_requests.c.id == request_id)
        .values(state=RequestState.SENT.value, content=None)
    )


def find(connection: Connection, request_id: MessageId) -> EvidenceRequest | None:
    """Return a request."""
    row = connection.execute(select(_requests).where(_requests.c.id == request_id)).first()
    return None if row is None else _request(row)


def list_latest(connection: Connection, subsystem: SubsystemId, most: int) -> Sequence[EvidenceRequest]:
    """Return a subsystem's requests, the latest first."""
    rows = connection.execute(
        select(_requests)
        .where(_requests.c.subsystem == subsystem)
        .order_by(_requests.c.created_at.desc())
        .limit(most)
    )
    return [_request(row) for row in rows]


def _request(row: Row[tuple[object, ...]]) -> EvidenceRequest:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's documented accessor
    claimed_at = fields["claimed_at"]
    return EvidenceRequest(
        id=MessageId(fields["id"]),
        requester=fields["requester"],
        subsystem=SubsystemId(fields["subsystem"]),
        service=ServiceId(fields["service"]),
        contract=ContractId(fields["contract"]),
        created_at=parse_instant(fields["created_at"]),
        claimed_at=parse_instant(claimed_at) if claimed_at else None,
        state=RequestState(fields["state"]),
        code=fields["code"],
        detail=fields["detail"],
    )
