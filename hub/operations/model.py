# SPDX-License-Identifier: Apache-2.0
"""How partners and flows fare, in numbers: what is known of each, and how it is reckoned."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from hub.identifiers import ServiceId, SubsystemId
    from hub.outbox import BreakerState, Pause

FAILED = 0
"""Instead of a limit: attempts that were not answered."""

LIMITS_MS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000),
    *(7_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000),
)
"""Answers are counted by the first of these they kept to: a percentile is right to within half of itself.

300 seconds is the longest an answer may take; what takes longer was given up.
"""


def limit_for(seconds: float) -> int:
    """Return the limit an answer kept to, in milliseconds."""
    return LIMITS_MS[min(bisect_left(LIMITS_MS, seconds * 1_000), len(LIMITS_MS) - 1)]


def percentile(counts: Mapping[int, int], share: float) -> int | None:
    """Return within how many milliseconds a share of the answers came; None without any.

    Args:
        counts: answers by their limits in milliseconds; `FAILED` is left out.
        share: 0 to 1.
    """
    answers = sorted((limit, count) for limit, count in counts.items() if limit != FAILED)
    wanted = share * sum(count for _, count in answers)
    reached = 0
    for limit, count in answers:
        reached += count
        if reached >= wanted:
            return limit
    return None


@dataclass(frozen=True, kw_only=True)
class PartnerWeather:
    """How one service fares.

    Attributes:
        subscriber: whose gateway is meant, of a service whose events it takes; None is the service's own.
        gateway_host: where its gateway stands.
        attempts: how often it was asked in the time looked at.
        success_rate: the part of them that it answered, 0 to 1; None when it was not asked.
        p50_ms: within how many milliseconds half of its answers came.
        p95_ms: likewise 95 of 100.
        last_contact: UTC; when it answered last, however.
        last_failure: UTC; when it last did not, or not well, and `last_failure_code` why.
        breaker: the worst of the workers' breakers.
        waiting: deliveries for it that wait, are under way or are promised.
        oldest_waiting_since: UTC; when the oldest of those waiting was taken.
        dead: its dead letters.
        pause: its maintenance; None when there is none.
    """

    service: ServiceId
    subscriber: SubsystemId | None
    gateway_host: str
    attempts: int
    success_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    last_contact: datetime | None
    last_failure: datetime | None
    last_failure_code: str | None
    breaker: BreakerState
    waiting: int
    oldest_waiting_since: datetime | None
    dead: int
    pause: Pause | None


@dataclass(frozen=True, kw_only=True)
class GatewayReport:
    """What a gateway said of itself last.

    Attributes:
        gateway: the subsystem whose key signed it.
        received_at: UTC, by the hub's clock.
        clock_ahead_ms: by how much the gateway's clock was ahead of it, its message's way included.
        said: `request.json` of `gateway-status/v1`.
    """

    gateway: SubsystemId
    received_at: datetime
    clock_ahead_ms: int
    said: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Messages of one consumer to one service, of which one is expected ever so often.

    Attributes:
        longest_silence: after so long without one that was answered, the flow is silent.
    """

    consumer: SubsystemId
    service: ServiceId
    longest_silence: timedelta

    @property
    def subject(self) -> str:
        """What its alarm is about."""
        return f"{self.consumer} {self.service}"


@dataclass(frozen=True, kw_only=True)
class FlowState:
    """How a flow is.

    Attributes:
        last_at: UTC; when a message of it was answered last, as far as is known.
        is_silent: whether nothing has been heard for too long.
        since: UTC; from when on it is silent, or has been looked after.
    """

    consumer: SubsystemId
    service: ServiceId
    longest_silence: timedelta
    last_at: datetime | None
    is_silent: bool
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class FlowMark:
    """What is kept of a flow.

    Attributes:
        last_at: UTC; when a message of it was answered last.
        watched_since: UTC; from when on one is expected.
        silent_since: UTC; when it was found silent; None while it is not.
    """

    last_at: datetime | None
    watched_since: datetime | None
    silent_since: datetime | None


def is_silent(mark: FlowMark, longest: timedelta, now: datetime) -> bool:
    """Tell whether a flow is silent at `now`.

    One that is silent stays so until a message comes through: that nobody was there to see one for a while,
    as after a restart, does not make it speak.
    """
    if mark.last_at is not None and now - mark.last_at <= longest:
        return False
    if mark.silent_since is not None:
        return True
    heard = [each for each in (mark.last_at, mark.watched_since) if each is not None]
    return bool(heard) and now - max(heard) > longest
