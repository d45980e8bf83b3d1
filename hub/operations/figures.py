# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told beside the counters: how things stand at the moment it asks.

It is read from the database, so whichever process of a hub is asked says the same of all of them. Two scrapes
within a few seconds share one look.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from hub.telemetry import Verdict, free_mebibytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from prometheus_client import Metric

    from hub.alarms import Alarms
    from hub.operations.flows import Flows
    from hub.operations.weather import WeatherMap
    from hub.outbox import Outbox
    from hub.telemetry import Readiness

_FRESH_SECONDS = 5.0
_MEBIBYTE = 1024 * 1024


class HubFigures:
    """A collector of Prometheus.

    Args:
        log_size: returns how many entries the log holds.
        version: of the program.
    """

    def __init__(  # noqa: PLR0913 - its dependencies
        self,
        *,
        outbox: Outbox,
        weather: WeatherMap,
        flows: Flows,
        alarms: Alarms,
        readiness: Readiness,
        log_size: Callable[[], int],
        data_folder: Path,
        version: str,
    ) -> None:
        self._outbox = outbox
        self._weather = weather
        self._flows = flows
        self._alarms = alarms
        self._readiness = readiness
        self._log_size = log_size
        self._data_folder = data_folder
        self._version = version
        self._lock = threading.Lock()
        self._kept: tuple[Metric, ...] = ()
        self._looked_at = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """Return what stands now."""
        with self._lock:
            if time.monotonic() > self._looked_at + _FRESH_SECONDS:
                self._kept = tuple(self._look())
                self._looked_at = time.monotonic()
            return self._kept

    def _look(self) -> Iterable[Metric]:
        yield InfoMetricFamily("heliograph_build", "Which program runs.", {"version": self._version})
        report = self._readiness.look()
        ready = GaugeMetricFamily("heliograph_ready", "Whether this process can do its work: 1 or 0.")
        ready.add_metric([], float(report.verdict is not Verdict.NOT_READY))
        yield ready
        checks = GaugeMetricFamily(
            "heliograph_ready_check", "How each check went.", labels=["check", "state"]
        )
        for name, condition in report.conditions.items():
            checks.add_metric([name, condition.state.value], 1)
        yield checks
        disk = GaugeMetricFamily("heliograph_disk_free_bytes", "What is left on the data folder's disk.")
        disk.add_metric([], float(free_mebibytes(self._data_folder) * _MEBIBYTE))
        yield disk
        if report.verdict is not Verdict.NOT_READY:
            # Without its database the rest would only make the scrape hang, and lose what stands above.
            yield from self._look_at_database()

    def _look_at_database(self) -> Iterable[Metric]:
        log = GaugeMetricFamily("heliograph_log_entries", "How many entries the log holds.")
        log.add_metric([], self._log_size())
        yield log
        yield from self._deliveries()
        breakers = GaugeMetricFamily(
            "heliograph_breaker_open",
            "Whether deliveries are held back: 1, 0.5 on trial, 0.",
            labels=["lane"],
        )
        opened = {"open": 1.0, "half_open": 0.5, "closed": 0.0}
        for each in self._weather.now():
            lane = f"{each.service} {each.subscriber}" if each.subscriber else str(each.service)
            breakers.add_metric([lane], opened[each.breaker.value])
        yield breakers
        flows = GaugeMetricFamily(
            "heliograph_flow_silent",
            "Whether nothing was heard for too long.",
            labels=["consumer", "service"],
        )
        for flow in self._flows.list():
            flows.add_metric([flow.consumer, flow.service], float(flow.is_silent))
        yield flows
        yield self._open_alarms()

    def _deliveries(self) -> Iterable[Metric]:
        depths = self._outbox.depth()
        states = GaugeMetricFamily(
            "heliograph_deliveries", "Deliveries that have not ended well.", labels=["service", "state"]
        )
        oldest = GaugeMetricFamily(
            "heliograph_oldest_waiting_timestamp_seconds",
            "When the oldest delivery that waits was taken, in seconds since 1970.",
            labels=["service"],
        )
        for service, depth in depths.items():
            for state in ("waiting", "claimed", "deferred", "dead"):
                states.add_metric([service, state], getattr(depth, state))
            if depth.oldest_waiting_since is not None:
                oldest.add_metric([service], depth.oldest_waiting_since.timestamp())
        return states, oldest

    def _open_alarms(self) -> Metric:
        counts: dict[tuple[str, str], int] = {}
        for alarm in self._alarms.alarms():
            key = (alarm.kind.code, alarm.kind.severity.value)
            counts[key] = counts.get(key, 0) + 1
        family = GaugeMetricFamily("heliograph_alarms", "Alarms that are open.", labels=["code", "severity"])
        for (code, severity), count in sorted(counts.items()):
            family.add_metric([code, severity], count)
        return family
