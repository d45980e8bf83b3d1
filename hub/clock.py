# SPDX-License-Identifier: Apache-2.0
"""Time as the hub speaks it: UTC, milliseconds, RFC 3339 with a trailing Z.

Only edges ask a clock; pure code is handed `now`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Protocol

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


CHINA = timezone(timedelta(hours=8))
"""China Standard Time, which has no summer time; days of the law are days here."""


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """Return the present instant, UTC, cut to milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, UTC, cut to milliseconds."""
        return to_milliseconds(datetime.now(UTC))


class FixedClock:
    """A clock that stands still until it is moved; for tests and dry runs."""

    def __init__(self, now: datetime) -> None:
        self._now = to_milliseconds(now)

    def now(self) -> datetime:
        """Return the instant the clock was set to."""
        return self._now

    def move_to(self, now: datetime) -> None:
        """Set the clock."""
        self._now = to_milliseconds(now)


def to_milliseconds(instant: datetime) -> datetime:
    """Cut an instant to whole milliseconds."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def day_in_china(instant: datetime) -> date:
    """Return the day it is in China at an instant."""
    return instant.astimezone(CHINA).date()


def format_instant(instant: datetime) -> str:
    """Write an instant as `2026-03-01T08:00:00.000Z`.

    Source: RFC 3339 section 5.6, narrowed to UTC and three fraction digits.
    """
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds")[:23] + "Z"


def parse_instant(text: str) -> datetime:
    """Read an instant written by `format_instant`.

    Raises:
        ValueError: the text has any other form, or names no real instant.
    """
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"not an instant of the form 2026-03-01T08:00:00.000Z: {text[:40]!r}")
    return datetime.fromisoformat(text)
