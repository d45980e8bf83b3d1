# SPDX-License-Identifier: Apache-2.0
"""How partners and flows fare: success, latency, silence; and whether the hub can do its work."""

from hub.operations.figures import HubFigures
from hub.operations.flows import Flows
from hub.operations.gateways import Gateways, StatusService
from hub.operations.model import FlowState, PartnerWeather
from hub.operations.readiness import hub_readiness
from hub.operations.routes import operation_routes
from hub.operations.service import Operations, Shown
from hub.operations.traffic import Traffic
from hub.operations.watch import Deliverer, Watch
from hub.operations.weather import WeatherMap

__all__ = [
    "Deliverer",
    "FlowState",
    "Flows",
    "Gateways",
    "HubFigures",
    "Operations",
    "PartnerWeather",
    "Shown",
    "StatusService",
    "Traffic",
    "Watch",
    "WeatherMap",
    "hub_readiness",
    "operation_routes",
]
