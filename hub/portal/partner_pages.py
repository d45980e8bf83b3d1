# SPDX-License-Identifier: Apache-2.0
"""How partners fare, as a map and as a table; and which flows have fallen silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.visitors import WATCHERS
from hub.portal.weather import forecasts

if TYPE_CHECKING:
    from starlette.responses import Response

    from hub.clock import Clock
    from hub.operations import Flows, Gateways, WeatherMap
    from hub.registry import Registry


@dataclass(frozen=True, kw_only=True)
class PartnerPages:
    """The pages about partners and flows."""

    weather: WeatherMap
    flows: Flows
    gateways: Gateways
    registry: Registry
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/partners", answer=self.show_partners, roles=WATCHERS),
            Page(path="/flows", answer=self.show_flows, roles=WATCHERS),
        )

    def show_partners(self, call: Call) -> Response:
        """Show the weather, the worst first."""
        now = self.clock.now()
        return call.render(
            "partners.html",
            partners=forecasts(self.weather.now(), now),
            gateways=[(each, self.gateways.is_silent(each)) for each in self.gateways.list()],
            names=Names(self.registry.snapshot),
            now=now,
        )

    def show_flows(self, call: Call) -> Response:
        """Show which flows are expected how often, the silent ones first."""
        flows = sorted(self.flows.list(), key=lambda each: (not each.is_silent, each.consumer, each.service))
        return call.render(
            "flows.html", flows=flows, names=Names(self.registry.snapshot), now=self.clock.now()
        )
