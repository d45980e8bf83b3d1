# SPDX-License-Identifier: Apache-2.0
"""Drafts and their fate; the only module that touches this table."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Index, String, Table, Text, insert, select, update

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.envelope import Purpose
from hub.evidence.model import EvidenceRequest, RequestState
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId

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
    Column("data", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("created_at", String(24), nullable=False),
    Column("claimed_at", String(24)),
    Column("state", String(20), nullable=False),
    Column("code", String(80)),
    Column("detail", Text),
    Index("evidence_requests_by_state", "subsystem", "state"),
)


def enter(connection: Connection, request: EvidenceRequest) -> None:
    """Enter a draft."""
    connection.execute(
        insert(_requests).values(
            id=request.id,
            requester=request.requester,
            subsystem=request.subsystem,
            service=request.service,
            contract=request.contract,
            data=json.dumps(request.data, ensure_ascii=False),
            purpose=json.dumps(asdict(request.purpose), ensure_ascii=False),
            created_at=format_instant(request.created_at),
            state=request.state.value,
        )
    )


def claim(
    connection: Connection, subsystem: SubsystemId, at: datetime, *, stale_before: datetime
) -> EvidenceRequest | None:
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
    if row is None:
        return None
    connection.execute(
        update(_requests)
        .where(_requests.c.id == row.id)
        .values(state=RequestState.CLAIMED.value, claimed_at=format_instant(at))
    )
    return _request(row)


def fail(connection: Connection, request_id: MessageId, code: str, detail: str) -> None:
    """Enter why a draft came to nothing."""
    connection.execute(
        update(_requests)
        .where(_requests.c.id == request_id)
        .values(state=RequestState.FAILED.value, code=code, detail=detail)
    )


def settle(connection: Connection, request_id: MessageId) -> None:
    """Enter that a draft's message has been sent; what became of it is the exchange's to say."""
    connection.execute(
        update(_requests).where(_requests.c.id == request_id).values(state=RequestState.SENT.value)
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
        data=json.loads(fields["data"]),
        purpose=Purpose(**json.loads(fields["purpose"])),
        created_at=parse_instant(fields["created_at"]),
        claimed_at=parse_instant(claimed_at) if claimed_at else None,
        state=RequestState(fields["state"]),
        code=fields["code"],
        detail=fields["detail"],
    )
