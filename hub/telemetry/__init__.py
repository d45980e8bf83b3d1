# SPDX-License-Identifier: Apache-2.0
"""What the hub and gateways say of themselves: metrics, traces, lines of log, and whether they are ready.

Commands use the small part alone; what counts and what serves is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.telemetry.logs import about_message, carrying, configure_logging, note_message
from hub.telemetry.readiness import (
    Condition,
    Need,
    Readiness,
    Report,
    State,
    Verdict,
    disk_condition,
    free_mebibytes,
    needs,
)
from hub.telemetry.sharing import forget_process, share_metrics
from hub.telemetry.tracing import (
    Attribute,
    Span,
    Tracing,
    configure_tracing,
    continuing,
    current_trace_id,
    inject,
    message_span,
    span,
)

if TYPE_CHECKING:
    from hub.telemetry import metrics
    from hub.telemetry.web import StatusServer, Watched, metrics_response, readiness_response, status_routes

_WEB = ("StatusServer", "Watched", "metrics_response", "readiness_response", "status_routes")

__all__ = [
    "Attribute",
    "Condition",
    "Need",
    "Readiness",
    "Report",
    "Span",
    "State",
    "StatusServer",
    "Tracing",
    "Verdict",
    "Watched",
    "about_message",
    "carrying",
    "configure_logging",
    "configure_tracing",
    "continuing",
    "current_trace_id",
    "disk_condition",
    "forget_process",
    "free_mebibytes",
    "inject",
    "message_span",
    "metrics",
    "metrics_response",
    "needs",
    "note_message",
    "readiness_response",
    "share_metrics",
    "span",
    "status_routes",
]


def __getattr__(name: str) -> object:
    if name == "metrics":
        return import_module("hub.telemetry.metrics")
    if name in _WEB:
        return getattr(import_module("hub.telemetry.web"), name)
    raise AttributeError(name)
