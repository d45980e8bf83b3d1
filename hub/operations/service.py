# SPDX-License-Identifier: Apache-2.0
"""Everything of this slice that a process runs, put together once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.telemetry import StatusServer, configure_tracing

if TYPE_CHECKING:
    from hub.operations.figures import HubFigures
    from hub.operations.flows import Flows
    from hub.operations.gateways import Gateways
    from hub.operations.traffic import Traffic
    from hub.operations.watch import Watch
    from hub.operations.weather import WeatherMap
    from hub.telemetry import Readiness, Tracing


@dataclass(frozen=True)
class Shown:
    """Where a process shows what it says of itself, and where it sends its traces.

    Attributes:
        host: address of the port of its own.
        port: that port; None for none.
        trace_endpoint: an OTLP collector; None for none.
        trace_ratio: which part of the messages is traced.
        instance: whose process it is.
    """

    host: str
    port: int | None
    trace_endpoint: str | None
    trace_ratio: float
    instance: str


class Operations:
    """What a process knows of how it fares, and tells.

    Args:
        traffic: what the exchange tells what passes.
        readiness: whether the process can do its work.
        shown: where it is told.
    """

    def __init__(  # noqa: PLR0913 - its parts
        self,
        *,
        traffic: Traffic,
        weather: WeatherMap,
        flows: Flows,
        gateways: Gateways,
        watch: Watch,
        readiness: Readiness,
        figures: HubFigures,
        shown: Shown,
    ) -> None:
        self.traffic = traffic
        self.weather = weather
        self.gateways = gateways
        self.flows = flows
        self.watch = watch
        self.readiness = readiness
        self.figures = figures
        self._shown = shown
        self._server = StatusServer(readiness, (figures,))
        self._tracing: Tracing | None = None

    def start(self, process: str) -> None:
        """Begin to watch, to show and to trace.

        Args:
            process: what runs: `hub` or `worker`.

        Raises:
            SettingsError: `settings.invalid`: the port of its own is taken.
        """
        shown = self._shown
        if shown.port is not None:
            self._server.start(shown.host, shown.port)
        self._tracing = configure_tracing(
            process, instance=shown.instance, endpoint=shown.trace_endpoint, ratio=shown.trace_ratio
        )
        self.watch.start()

    def stop(self) -> None:
        """End; what was counted and traced is written and sent first."""
        self.watch.stop()
        self._server.stop()
        if self._tracing is not None:
            self._tracing.close()
            self._tracing = None
