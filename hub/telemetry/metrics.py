# SPDX-License-Identifier: Apache-2.0
"""What is counted and measured, for Prometheus.

Counters belong to the process, as the process is what is scraped, so they stand here and not in an object
that is handed around. Several processes of one service add theirs up through files in one folder
(`share_metrics`). Labels name services, steps, codes and routes: few, and known beforehand. No person and no
message is ever a label, nor is anything that an unauthenticated caller can choose.

Source: Prometheus data model and naming; prometheus_client, multiprocess mode.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from hub.errors import error_kinds
from hub.telemetry.sharing import FOLDER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric
    from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STEP_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300)
_UNITS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_REGISTRY = CollectorRegistry()

EXCHANGES = Counter(
    "heliograph_exchanges",
    "Messages that came to an end in the hub, by service and code; no code when all went well.",
    ("service", "code"),
    registry=_REGISTRY,
)
EXCHANGE_SECONDS = Histogram(
    "heliograph_exchange_seconds",
    "From the last byte of a synchronous request to the hub's answer.",
    ("service",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
STEP_SECONDS = Histogram(
    "heliograph_step_seconds",
    "How long each step of the hub's path of a message takes.",
    ("step",),
    buckets=_STEP_SECONDS,
    registry=_REGISTRY,
)
DELIVERIES = Counter(
    "heliograph_delivery_attempts",
    "Attempts to have a message answered by a department's gateway; no code when it was.",
    ("service", "code"),
    registry=_REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "heliograph_delivery_seconds",
    "How long a department's gateway takes to answer.",
    ("service",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
COMMITS = Histogram(
    "heliograph_commit_seconds",
    "How long a transaction of the database writer takes, its flush included.",
    buckets=_SECONDS,
    registry=_REGISTRY,
)
COMMIT_UNITS = Histogram(
    "heliograph_commit_units",
    "How many units of work share one transaction.",
    buckets=_UNITS,
    registry=_REGISTRY,
)
HTTP_REQUESTS = Counter(
    "heliograph_http_requests",
    "HTTP requests, by the route's template.",
    ("method", "route", "status"),
    registry=_REGISTRY,
)
HTTP_SECONDS = Histogram(
    "heliograph_http_request_seconds",
    "From the first byte of an HTTP request to the last of its answer.",
    ("route",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
GATEWAY_ANSWERS = Counter(
    "heliograph_gateway_answers",
    "Requests that this gateway answered; no code when the answer was no fault.",
    ("service", "code"),
    registry=_REGISTRY,
)
LEGACY_SECONDS = Histogram(
    "heliograph_gateway_legacy_seconds",
    "How long a department's own system takes to answer its gateway.",
    ("service",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)


def measure_commit(units: int, seconds: float) -> None:
    """Count one transaction of the database writer."""
    COMMITS.observe(seconds)
    COMMIT_UNITS.observe(units)


def code_label(code: str | None) -> str:
    """Return an error's code as a label; what no table knows, such as a later version's, is `other`."""
    if code is None:
        return ""
    return code if code in error_kinds() else "other"


def exposition(accept: str = "", more: Iterable[Collector] = ()) -> tuple[bytes, str]:
    """Write down all metrics of this service.

    Args:
        accept: the header of who asks; Prometheus's text format, or OpenMetrics where that is wanted.
        more: what else is measured, at this moment.

    Returns:
        The text, and its media type.
    """
    registry = CollectorRegistry()
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        # Its counters are those of all processes; what follows is about the one that answers.
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # it has no types
    else:
        registry.register(_Counted())
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for each in more:
        registry.register(each)
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


class _Counted:
    """The counters of this process."""

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return _REGISTRY.collect()
