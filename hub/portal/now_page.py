# SPDX-License-Identifier: Apache-2.0
"""The first page of operators: what needs attention now, or that nothing does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.portal.attention import attention_of
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.visitors import CARERS, WATCHERS
from hub.portal.weather import forecasts

if TYPE_CHECKING:
    from starlette.responses import Response

    from hub.alarms import Alarms
    from hub.clock import Clock
    from hub.operations import Flows, WeatherMap
    from hub.outbox import Outbox, Pauses
    from hub.registry import Registry


@dataclass(frozen=True, kw_only=True)
class NowPage:
    """The page about now."""

    alarms: Alarms
    outbox: Outbox
    pauses: Pauses
    weather: WeatherMap
    flows: Flows
    registry: Registry
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (Page(path="/now", answer=self.show, roles=WATCHERS),)

    def show(self, call: Call) -> Response:
        """Show what needs attention."""
        now = self.clock.now()
        partners = forecasts(self.weather.now(), now)
        return call.render(
            "now.html",
            attention=attention_of(
                alarms=self.alarms.alarms(),
                depth=self.outbox.depth(),
                flows=self.flows.list(),
                partners=partners,
                pauses=self.pauses.current(),
            ),
            partners=partners,
            names=Names(self.registry.snapshot),
            may_acknowledge=call.is_one_of(CARERS),
            now=now,
        )
