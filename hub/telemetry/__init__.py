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
from hub.telemetry.withholding import withhold, withhold_credentials

if TYPE_CHECKING:
    from hub.telemetry.metrics import (
        DELIVERIES,
        DELIVERY_SECONDS,
        EXCHANGE_SECONDS,
        EXCHANGES,
        GATEWAY_ANSWERS,
        LEGACY_SECONDS,
        STEP_SECONDS,
        code_label,
        exposition,
        measure_commit,
    )
    from hub.telemetry.web import StatusServer, Watched, metrics_response, readiness_response, status_routes

_LOADED_ON_USE = {
    "hub.telemetry.metrics": (
        "DELIVERIES",
        "DELIVERY_SECONDS",
        "EXCHANGES",
        "EXCHANGE_SECONDS",
        "GATEWAY_ANSWERS",
        "LEGACY_SECONDS",
        "STEP_SECONDS",
        "code_label",
        "exposition",
        "measure_commit",
    ),
    "hub.telemetry.web": (
        "StatusServer",
        "Watched",
        "metrics_response",
        "readiness_response",
        "status_routes",
    ),
}

__all__ = [
    "DELIVERIES",
    "DELIVERY_SECONDS",
    "EXCHANGES",
    "EXCHANGE_SECONDS",
    "GATEWAY_ANSWERS",
    "LEGACY_SECONDS",
    "STEP_SECONDS",
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
    "code_label",
    "configure_logging",
    "configure_tracing",
    "continuing",
    "current_trace_id",
    "disk_condition",
    "exposition",
    "forget_process",
    "free_mebibytes",
    "inject",
    "measure_commit",
    "message_span",
    "metrics_response",
    "needs",
    "note_message",
    "readiness_response",
    "share_metrics",
    "span",
    "status_routes",
    "withhold",
    "withhold_credentials",
]


def __getattr__(name: str) -> object:
    for module, names in _LOADED_ON_USE.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(name)
