# SPDX-License-Identifier: Apache-2.0
"""Alarms: what is the matter, what cures it, and who takes care of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from hub.alarms import Severity
from hub.errors import AlarmError
from hub.portal.pages import Call, Page
from hub.portal.visitors import CARERS, KEEPERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.alarms import Alarm, Alarms

_MOST_OVER = 50
_PRESSING = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AlarmPages:
    """The page about alarms, and its one button."""

    alarms: Alarms

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/alarms", answer=self.show, roles=KEEPERS),
            Page(
                path="/alarms/{alarm_id}/acknowledgement",
                answer=self.acknowledge,
                roles=CARERS,
                method="POST",
            ),
        )

    def show(self, call: Call) -> Response:
        """Show what is open, what nobody takes care of first; or what is over."""
        shows_over = call.request.query_params.get("over") == "1"
        listed = self.alarms.alarms(with_cleared=shows_over)
        over = [alarm for alarm in listed if not alarm.is_open][:_MOST_OVER]
        return call.render(
            "alarms.html",
            alarms=in_order(alarm for alarm in listed if alarm.is_open),
            over=over,
            shows_over=shows_over,
            may_acknowledge=call.is_one_of(CARERS),
        )

    def acknowledge(self, call: Call) -> Response:
        """Note that the visitor takes care of an alarm; it stays open until its cause is gone."""
        number = call.request.path_params["alarm_id"]
        if not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise AlarmError("alarm.unknown", "not an alarm's number")
        alarm = self.alarms.acknowledge(int(number), call.signed_in.principal.subject)
        _logger.info("portal.acted", action="acknowledge", alarm_id=alarm.id, code=alarm.kind.code)
        return RedirectResponse(f"/portal/alarms#alarm-{alarm.id}", 303)


def in_order(alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
    """Sort open alarms: what nobody takes care of first, then by how much it presses, then the latest."""
    return tuple(
        sorted(
            alarms,
            key=lambda each: (
                each.acknowledged_by is not None,
                _PRESSING.index(each.kind.severity),
                -each.id,
            ),
        )
    )
