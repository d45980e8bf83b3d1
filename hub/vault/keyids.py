# SPDX-License-Identifier: Apache-2.0
"""Which data key encrypts what: one for each month and each retention period.

All that was kept in one month under one retention period may be erased on the same day, so it has one key.
Destroying that key erases it everywhere: in the database, in archives, and in every backup of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from hub.contracts import RetentionPeriod

_KEY_ID = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2]))_(P[0-9YMD]{2,16}|permanent)_([1-9][0-9]{0,5})")

MARGIN = timedelta(days=1)
"""How long after the end of its month a key may still come to use, by a clock that is behind."""


@dataclass(frozen=True, order=True)
class KeyId:
    """The name of a data key, such as `2026-03_P10Y_1`.

    Attributes:
        month: in which it encrypts, UTC, such as `2026-03`.
        retention: of what it encrypts, as in `RetentionPeriod`.
        number: 1, unless one was destroyed in its own month already.
    """

    month: str
    retention: str
    number: int = 1

    @classmethod
    def parse(cls, text: str) -> KeyId:
        """Read a name.

        Raises:
            ValueError: it has not its form.
        """
        found = _KEY_ID.fullmatch(text)
        if found is None:
            raise ValueError("a data key is named like 2026-03_P10Y_1")
        RetentionPeriod(found[2])
        return cls(found[1], found[2], int(found[3]))

    def __str__(self) -> str:
        return f"{self.month}_{self.retention}_{self.number}"

    @property
    def month_ends_at(self) -> datetime:
        """The instant from which on the next month's key is used."""
        return _midnight(next_month(self.month))

    @property
    def retention_ends_at(self) -> datetime | None:
        """From when on it may be destroyed: what came last in its month has been kept long enough."""
        end = RetentionPeriod(self.retention).end_from(next_month(self.month))
        return None if end is None else _midnight(end)

    def is_in_use(self, now: datetime) -> bool:
        """Whether a hub process may still encrypt with it."""
        return now < self.month_ends_at + MARGIN


def month_of(now: datetime) -> str:
    """Return the month an instant lies in, UTC."""
    return now.astimezone(UTC).strftime("%Y-%m")


def next_month(month: str) -> date:
    """Return the first day after a month."""
    year, number = int(month[:4]), int(month[5:])
    return date(year + number // 12, number % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
