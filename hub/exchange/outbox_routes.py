# SPDX-License-Identifier: Apache-2.0
"""Deliveries of one message, and the maintenance of services, over HTTP.

Source: docs/protocols/exchange.md sections 11.2 and 11.4.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import ExchangeError
from hub.exchange.archive import Archive
from hub.exchange.deadletter_routes import read_instant
from hub.exchange.views import may_see, read_message_id
from hub.identifiers import ServiceId
from hub.outbox import Attempt, Delivery, Outbox, Pause, Pauses
from hub.registry import Registry, Service


class AttemptView(BaseModel):
    """One attempt to deliver; without a code the recipient answered, or promised to."""

    attempt: int
    started_at: str
    ended_at: str
    code: str | None
    detail: str


class DeliveryView(BaseModel):
    """One message's way to one recipient, with every attempt."""

    number: int
    recipient: str
    service: str
    state: str
    attempts: list[AttemptView]
    replays: int
    due_at: str
    expires_at: str
    expected_by: str | None
    ended_at: str | None
    code: str | None


class PauseView(BaseModel):
    """That a service is being maintained."""

    service: str
    by: str
    reason: str
    since: str
    until: str


class Pausing(BaseModel, extra="forbid"):
    """Why a service is maintained, and until when (UTC)."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    until: Annotated[str, Field(max_length=24)]


def delivery_routes(
    *,
    outbox: Outbox,
    pauses: Pauses,
    archive: Archive,
    registry: Registry,
    authenticate: Callable[..., Principal],
) -> APIRouter:
    """Make the routes; they go before the exchange's, which would take `deliveries` for a container."""
    router = APIRouter(tags=["outbox"])
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.get("/api/v1/messages/{message_id}/deliveries")
    def list_deliveries(message_id: str, caller: Caller) -> list[DeliveryView]:
        """Show a message's way to its recipients: what was tried, and when it is tried next."""
        record = archive.exchange(read_message_id(message_id))
        if not may_see(caller, record):
            raise ExchangeError("exchange.message_unknown", message_id)
        return [_view(each, outbox.attempts_of(each.number)) for each in outbox.of_message(record.message_id)]

    @router.get("/api/v1/pauses")
    def list_pauses(caller: Caller) -> list[PauseView]:
        """List the services that are being maintained."""
        caller.require(Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR)
        pauses.refresh()
        return [_view_pause(each) for each in pauses.current()]

    @router.get("/api/v1/services/{service_id:path}/pause")
    def show_pause(service_id: str, caller: Caller) -> PauseView | None:
        """Show whether a service is being maintained; null when it is not."""
        caller.require(Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR)
        registry.require_entry(Service, service_id)
        pauses.refresh()
        pause = pauses.find(ServiceId(service_id))
        return None if pause is None else _view_pause(pause)

    @router.put("/api/v1/services/{service_id:path}/pause")
    def pause_service(service_id: str, pausing: Pausing, caller: Caller) -> PauseView:
        """Let a service's messages wait; requests whose sender would wait are told until when."""
        caller.require(Role.OPERATOR)
        service = registry.require_entry(Service, service_id)
        until = read_instant("until", pausing.until)
        return _view_pause(pauses.pause(service.id, by=caller.subject, reason=pausing.reason, until=until))

    @router.delete("/api/v1/services/{service_id:path}/pause", status_code=204)
    def resume_service(service_id: str, caller: Caller) -> None:
        """End a service's maintenance; nothing when there is none."""
        caller.require(Role.OPERATOR)
        pauses.resume(registry.require_entry(Service, service_id).id, by=caller.subject)
        outbox.announce()

    return router


def _view(delivery: Delivery, attempts: tuple[Attempt, ...]) -> DeliveryView:
    return DeliveryView(
        number=delivery.number,
        recipient=delivery.recipient,
        service=delivery.service,
        state=delivery.state.value,
        attempts=[
            AttemptView(
                attempt=each.attempt,
                started_at=format_instant(each.started_at),
                ended_at=format_instant(each.ended_at),
                code=each.code,
                detail=each.detail,
            )
            for each in attempts
        ],
        replays=delivery.replays,
        due_at=format_instant(delivery.due_at),
        expires_at=format_instant(delivery.expires_at),
        expected_by=format_instant(delivery.expected_by) if delivery.expected_by else None,
        ended_at=format_instant(delivery.ended_at) if delivery.ended_at else None,
        code=delivery.code,
    )


def _view_pause(pause: Pause) -> PauseView:
    return PauseView(
        service=pause.service,
        by=pause.by,
        reason=pause.reason,
        since=format_instant(pause.since),
        until=format_instant(pause.until),
    )
