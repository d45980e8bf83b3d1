# SPDX-License-Identifier: Apache-2.0
"""Leaving a partner alone that has failed again and again, and finding out with one delivery if it is back.

closed ──failures in a row──▶ open ──time is over──▶ half open ──an answer──▶ closed
                               ▲                          │
                               └─a failure: twice as long─┘
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hub.registry import DeliveryPolicy


_FIRST_SHARE = 1 / 16
"""Of the longest time open: most outages are a restart, and what waits should not wait for more than that."""


class BreakerState(StrEnum):
    """Whether deliveries go out."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They wait."""
    HALF_OPEN = "half_open"
    """One does, and decides for the others."""


class Breaker:
    """The breaker of one lane; knows no clock, and is used from one thread."""

    def __init__(self, policy: DeliveryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._opened_at: datetime | None = None
        self._open_seconds = 0.0
        self._trials = 0

    def state(self, now: datetime) -> BreakerState:
        """Return how it stands."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        is_over = now >= self._opened_at + timedelta(seconds=self._open_seconds)
        return BreakerState.HALF_OPEN if is_over else BreakerState.OPEN

    def allows(self, now: datetime) -> bool:
        """Tell whether a delivery may begin."""
        match self.state(now):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                return self._trials == 0

    def begun(self, now: datetime) -> None:
        """Take note of a delivery that begins."""
        if self.state(now) is BreakerState.HALF_OPEN:
            self._trials += 1

    def succeeded(self) -> None:
        """Take note of an answer, of whatever kind: the partner is there."""
        self._failures = 0
        self._opened_at = None
        self._trials = 0

    def failed(self, now: datetime) -> None:
        """Take note of a delivery that nobody answered well."""
        self._failures += 1
        is_trial = self.state(now) is BreakerState.HALF_OPEN
        self._trials = 0 if is_trial else self._trials
        # What was under way when it opened says nothing new, and must not keep it open longer.
        if is_trial or (self._opened_at is None and self._failures >= self._policy.breaker_failures):
            longest = self._policy.breaker_seconds
            self._open_seconds = min(2 * self._open_seconds, longest) if is_trial else longest * _FIRST_SHARE
            self._opened_at = now

    def gave_up(self) -> None:
        """Take note of a trial that was broken off without a result."""
        self._trials = 0
