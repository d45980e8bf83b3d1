# SPDX-License-Identifier: Apache-2.0
"""Operation over HTTP: how partners and flows fare, whether the hub is alive and ready, and what it counted.

`/healthz` and `/readyz` are for whoever keeps the hub running and hold nothing to be kept from anybody.
`/metrics` names services and how much they are used, so here it needs a token; on a port of its own
(`status_port`) it does not.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.operations.model import FlowState, PartnerWeather
from hub.operations.service import Operations
from hub.operations.weather import LONGEST_WINDOW, WINDOW
from hub.telemetry import metrics_response, readiness_response

_LOOKERS = (Role.OPERATOR, Role.ADMINISTRATOR, Role.AUDITOR)
_MINUTE = timedelta(minutes=1)


class PauseView(BaseModel):
    """A service's maintenance; `until` is UTC."""

    by: str
    reason: str
    until: str


class WeatherView(BaseModel):
    """How one partner fares; instants are UTC, null where nothing is known.

    `success_rate` is 0 to 1, and null when it was not asked in the time looked at.
    """

    service: str
    subscriber: str | None
    gateway_host: str
    attempts: int
    success_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    last_contact: str | None
    last_failure: str | None
    last_failure_code: str | None
    breaker: str
    waiting: int
    oldest_waiting_since: str | None
    dead: int
    pause: PauseView | None


class FlowView(BaseModel):
    """How one flow is of which messages are expected; instants are UTC."""

    consumer: str
    service: str
    silent_after_minutes: int
    last_at: str | None
    is_silent: bool
    since: str | None


class GatewayView(BaseModel):
    """What a gateway said of itself last; `report` is as `gateway-status/v1` has it.

    `clock_ahead_ms` is negative where its clock is behind the hub's.
    """

    gateway: str
    received_at: str
    is_silent: bool
    clock_ahead_ms: int
    report: dict[str, Any]


def operation_routes(operations: Operations, authenticate: Callable[..., Principal]) -> APIRouter:
    """Return the routes of operation."""
    router = APIRouter(tags=["operation"])

    def looker(caller: Annotated[Principal, Depends(authenticate)]) -> Principal:
        caller.require(*_LOOKERS)
        return caller

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process is alive; nothing it depends on is asked."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "It cannot do its work; the body says why."}})
    def readyz() -> Response:
        """Say whether the hub can do its work, and if not, what is wrong and what cures it."""
        return readiness_response(operations.readiness.look())

    @router.get("/metrics", dependencies=[Depends(looker)])
    def show_metrics(request: Request) -> Response:
        """Show what was counted and measured, for Prometheus."""
        return metrics_response(request.headers.get("accept", ""), (operations.figures,))

    @router.get("/api/v1/weather", dependencies=[Depends(looker)])
    def show_weather(
        minutes: Annotated[int, Query(ge=1, le=LONGEST_WINDOW // _MINUTE)] = WINDOW // _MINUTE,
    ) -> list[WeatherView]:
        """Show how every partner fares: success and latency of the last minutes, and what waits."""
        return [view_weather(each) for each in operations.weather.now(timedelta(minutes=minutes))]

    @router.get("/api/v1/gateways", dependencies=[Depends(looker)])
    def show_gateways() -> list[GatewayView]:
        """Show what each gateway said of itself last: its adapters, what waits there, its clock."""
        gateways = operations.gateways
        return [
            GatewayView(
                gateway=each.gateway,
                received_at=format_instant(each.received_at),
                is_silent=gateways.is_silent(each),
                clock_ahead_ms=each.clock_ahead_ms,
                report=dict(each.said),
            )
            for each in gateways.list()
        ]

    @router.get("/api/v1/flows", dependencies=[Depends(looker)])
    def show_flows() -> list[FlowView]:
        """Show every flow of which messages are expected, and whether it is silent."""
        return [view_flow(each) for each in operations.flows.list()]

    return router


def view_weather(weather: PartnerWeather) -> WeatherView:
    """Write a partner's weather for programs."""
    pause = weather.pause
    return WeatherView(
        service=weather.service,
        subscriber=weather.subscriber,
        gateway_host=weather.gateway_host,
        attempts=weather.attempts,
        success_rate=None if weather.success_rate is None else round(weather.success_rate, 4),
        p50_ms=weather.p50_ms,
        p95_ms=weather.p95_ms,
        last_contact=_written(weather.last_contact),
        last_failure=_written(weather.last_failure),
        last_failure_code=weather.last_failure_code,
        breaker=weather.breaker.value,
        waiting=weather.waiting,
        oldest_waiting_since=_written(weather.oldest_waiting_since),
        dead=weather.dead,
        pause=PauseView(by=pause.by, reason=pause.reason, until=format_instant(pause.until))
        if pause
        else None,
    )


def view_flow(flow: FlowState) -> FlowView:
    """Write a flow for programs."""
    return FlowView(
        consumer=flow.consumer,
        service=flow.service,
        silent_after_minutes=flow.longest_silence // _MINUTE,
        last_at=_written(flow.last_at),
        is_silent=flow.is_silent,
        since=_written(flow.since),
    )


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
