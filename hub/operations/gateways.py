# SPDX-License-Identifier: Apache-2.0
"""How gateways are, by their own signed reports; which have fallen silent, and whose clocks are off.

Source: docs/protocols/exchange.md section 16.4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.clock import format_instant, to_milliseconds
from hub.exchange import own_right, own_service
from hub.operations import gateway_store
from hub.operations.model import GatewayReport
from hub.registry import Title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.database import Writer
    from hub.envelope import Envelope
    from hub.identifiers import SubsystemId
    from hub.registry import AccessRight, Service

STATUS_PURPOSE = "own-status"
"""The purpose a gateway's report states."""

SILENT = "gateway.silent"
CLOCK_OFF = "gateway.clock_off"

CLOCK_TOLERANCE_MS = 60_000
"""From here on there is an alarm; at five minutes receipts and messages are refused (PR-EXC 3 and 4)."""

_REPORTS_MISSED = 3
_FORGOTTEN_AFTER = timedelta(days=30)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class StatusService:
    """`<hub>/hub/gateway-status`: takes the report of a gateway."""

    gateways: Gateways
    hub: SubsystemId

    @property
    def service(self) -> Service:
        """What it is called."""
        titles = Title(zh="前置机状态", en="Status of a gateway")
        return own_service(self.hub, "gateway-status", "gateway-status/v1", titles)

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Every gateway may say how it is."""
        return own_right(self.service.id, consumer, STATUS_PURPOSE, "PR-EXC 16.4")

    def answer(self, request: Envelope) -> Mapping[str, Any]:
        """Keep a report, and say how the gateway's clock is by the hub's."""
        report = self.gateways.take(request)
        return {
            "received_at": format_instant(report.received_at),
            "clock_ahead_ms": report.clock_ahead_ms,
        }


class Gateways:
    """What gateways have said of themselves.

    Args:
        engine: of the hub's database.
        writer: the engine's.
        alarms: who is told of silence and of clocks.
        clock: the hub's, by which others are judged.
    """

    def __init__(self, engine: Engine, writer: Writer, alarms: AlarmSink, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._alarms = alarms
        self._clock = clock
        self._watched_since = clock.now()

    def take(self, request: Envelope) -> GatewayReport:
        """Keep the report in a request that has passed every check."""
        now = to_milliseconds(self._clock.now())
        report = GatewayReport(
            gateway=request.header.sender,
            received_at=now,
            clock_ahead_ms=(request.header.sent_at - now) // _MILLISECOND,
            said=json.loads(request.payloads["request.json"]),
        )
        self._writer.run(lambda connection: gateway_store.keep(connection, report))
        return report

    def list(self) -> tuple[GatewayReport, ...]:
        """Return the latest report of every gateway."""
        with self._engine.connect() as connection:
            return gateway_store.read(connection)

    def is_silent(self, report: GatewayReport) -> bool:
        """Tell whether a gateway has missed several reports in a row."""
        return self._clock.now() - report.received_at > _longest(report)

    def look(self, *, is_new: bool) -> None:
        """Raise alarms about gateways that are silent or whose clocks are off, and end those that are over.

        Args:
            is_new: whether nobody has looked for a while: then no gateway could be heard either.
        """
        now = self._clock.now()
        if is_new:
            self._watched_since = now
        for report in self.list():
            if not self.is_silent(report):
                self._alarms.clear(SILENT, report.gateway)
                self._look_at_clock(report)
            elif now - max(report.received_at, self._watched_since) > _longest(report):
                detail = f"its last report came {format_instant(report.received_at)}"
                self._alarms.raise_alarm(SILENT, report.gateway, detail)

    def tidy(self) -> None:
        """Forget gateways that are gone, and the alarms about them."""
        before = self._clock.now() - _FORGOTTEN_AFTER
        for report in self.list():
            if report.received_at < before:
                self._alarms.clear(SILENT, report.gateway)
                self._alarms.clear(CLOCK_OFF, report.gateway)
        self._writer.run(lambda connection: gateway_store.forget(connection, before))

    def _look_at_clock(self, report: GatewayReport) -> None:
        ahead = report.clock_ahead_ms
        if abs(ahead) <= CLOCK_TOLERANCE_MS:
            self._alarms.clear(CLOCK_OFF, report.gateway)
            return
        side = "ahead of" if ahead > 0 else "behind"
        detail = f"its clock is {abs(ahead) // 1000} s {side} the hub's"
        self._alarms.raise_alarm(CLOCK_OFF, report.gateway, detail)


def _longest(report: GatewayReport) -> timedelta:
    return timedelta(seconds=_REPORTS_MISSED * int(report.said["every_seconds"]))
