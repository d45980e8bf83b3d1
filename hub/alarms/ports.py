# SPDX-License-Identifier: Apache-2.0
"""How other slices raise an alarm, and the sink for processes without a database."""

from __future__ import annotations

import threading
from typing import Protocol

import structlog

_logger = structlog.get_logger(__name__)


class AlarmSink(Protocol):
    """Takes alarms. An alarm is known by its code and subject; raising an open one again only counts."""

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        """Say that something needs an operator.

        Args:
            code: stable, a row of `alarms.toml`.
            subject: what it is about, such as a certificate's fingerprint or an authority's name.
            detail: the facts, in English; no personal data, no secrets.
        """
        ...

    def clear(self, code: str, subject: str) -> None:
        """Say that it is over; nothing when there is no such alarm."""
        ...


class LoggedAlarms:
    """Writes alarms to the process's log; for gateways and commands, which have no database."""

    def __init__(self) -> None:
        self._open: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        """Log an alarm once while it is open."""
        with self._lock:
            if (code, subject) in self._open:
                return
            self._open.add((code, subject))
        _logger.warning("alarm.raised", code=code, subject=subject, detail=detail)

    def clear(self, code: str, subject: str) -> None:
        """Log the end of an open alarm."""
        with self._lock:
            if (code, subject) not in self._open:
                return
            self._open.remove((code, subject))
        _logger.info("alarm.cleared", code=code, subject=subject)
