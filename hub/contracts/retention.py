# SPDX-License-Identifier: Apache-2.0
"""How long what was exchanged is kept, and by which law.

Source: ISO 8601-1:2019 clause 5.5.2 (durations); Personal Information Protection Law article 19 (no longer
than the purpose needs); 国家档案局令第8号 (permanent, 30 years, 10 years).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

PERMANENT = "permanent"

_DURATION = re.compile(
    r"P(?=[0-9])(?:(?P<years>[0-9]{1,3})Y)?(?:(?P<months>[0-9]{1,3})M)?(?:(?P<days>[0-9]{1,4})D)?"
)


@dataclass(frozen=True)
class RetentionPeriod:
    """A duration in years, months and days, such as `P10Y` or `P1Y6M`; or `permanent`.

    Args:
        text: as written; ISO 8601 without weeks and times, or the word `permanent`.

    Raises:
        ValueError: it has not this form, or is no time at all.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text != PERMANENT and not any(self._parts()):
            raise ValueError("a retention period is longer than nothing")

    def __str__(self) -> str:
        return self.text

    @property
    def is_permanent(self) -> bool:
        """Whether it never ends."""
        return self.text == PERMANENT

    def end_from(self, start: date) -> date | None:
        """Return the first day on which it is over, or None when it never is.

        A month's last day stands in for a day it has not, as the years and months are counted first.
        """
        if self.is_permanent:
            return None
        years, months, days = self._parts()
        index = start.year * 12 + start.month - 1 + years * 12 + months
        year, month = index // 12, index % 12 + 1
        day = min(start.day, monthrange(year, month)[1])
        return date(year, month, day) + timedelta(days=days)

    def is_longer_than(self, other: RetentionPeriod) -> bool:
        """Tell which of two periods that begin together ends later."""
        start = date(2000, 1, 1)
        mine, theirs = self.end_from(start), other.end_from(start)
        return theirs is not None and (mine is None or mine > theirs)

    def _parts(self) -> tuple[int, int, int]:
        found = _DURATION.fullmatch(self.text)
        if found is None:
            raise ValueError("a retention period is written like P10Y, P6M or P30D, or is 'permanent'")
        years, months, days = (int(found[name] or 0) for name in ("years", "months", "days"))
        return years, months, days


@dataclass(frozen=True)
class Retention:
    """What a contract says about keeping.

    Attributes:
        period: how long messages under it are kept, from the end of the month in which they came.
        basis: the law or agreement that says so.
    """

    period: RetentionPeriod
    basis: str
