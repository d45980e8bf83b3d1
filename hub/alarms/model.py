# SPDX-License-Identifier: Apache-2.0
"""What an alarm is, and the table of every alarm there is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from hub.errors import Language

if TYPE_CHECKING:
    from datetime import datetime


class Severity(StrEnum):
    """How much an alarm presses."""

    INFO = "info"
    """Worth knowing; nothing is impaired."""
    WARNING = "warning"
    """Something is impaired or soon will be; messages still pass."""
    CRITICAL = "critical"
    """Messages are refused, or proofs are missing."""


@dataclass(frozen=True)
class AlarmKind:
    """What an alarm's code means; one row of `alarms.toml`."""

    code: str
    severity: Severity
    message: dict[Language, str]
    cure: dict[Language, str]


@dataclass(frozen=True)
class Alarm:
    """One alarm, from when it was raised until it is over.

    Attributes:
        id: number, counting up.
        kind: what its code means.
        subject: what it is about, such as a certificate's fingerprint or an authority's name.
        detail: the latest facts, in English.
        raised_at: UTC; when it was raised first.
        last_raised_at: UTC; when somebody last said that it lasts.
        count: how often it was raised, itself included. What is said again within a minute is added up in
            memory first, so up to a minute's worth is missing after a crash.
        cleared_at: UTC; when it was over, or None while it is open.
        acknowledged_by: the account that took note of it, or None.
        acknowledged_at: UTC; when that was, or None.
    """

    id: int
    kind: AlarmKind
    subject: str
    detail: str
    raised_at: datetime
    last_raised_at: datetime
    count: int
    cleared_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it lasts."""
        return self.cleared_at is None


@cache
def alarm_kinds() -> dict[str, AlarmKind]:
    """Return every alarm code there is."""
    table = tomllib.loads(resources.files("hub.alarms").joinpath("alarms.toml").read_text(encoding="utf-8"))
    return {
        f"{family}.{name}": AlarmKind(
            code=f"{family}.{name}",
            severity=Severity(row["severity"]),
            message={Language.ZH: row["zh"], Language.EN: row["en"]},
            cure={Language.ZH: row["cure_zh"], Language.EN: row["cure_en"]},
        )
        for family, rows in table.items()
        for name, row in rows.items()
    }
