# SPDX-License-Identifier: Apache-2.0
"""What dead letters are narrowed down by, as it stands in an address or comes back with a form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hub.identifiers import ServiceId, SubsystemId, is_service_id, is_subsystem_id
from hub.outbox import DeadLetterSearch, DeliveryNumber, DeliveryState
from hub.portal.filters import LONGEST, day_of, midnight_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

STATES = (DeliveryState.DEAD, DeliveryState.CLOSED)
_CODE = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,60}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, kw_only=True)
class LetterFilters:
    """The filters as they were given, texts all of them; empty ones narrow nothing down.

    Attributes:
        service: a service.
        code: why they could not be delivered.
        sender: a subsystem.
        recipient: a subsystem.
        state: `dead`, which is also what empty means, or `closed`.
        first_day: the first day in China on which they were given up, YYYY-MM-DD.
        last_day: the last one.
        cursor: where the page before ended.
        mistakes: fields whose text is not what it should be.
    """

    service: str = ""
    code: str = ""
    sender: str = ""
    recipient: str = ""
    state: str = ""
    first_day: str = ""
    last_day: str = ""
    cursor: str = ""
    mistakes: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        is_right = {
            "service": not self.service or is_service_id(self.service),
            "code": not self.code or _CODE.fullmatch(self.code),
            "sender": not self.sender or is_subsystem_id(self.sender),
            "recipient": not self.recipient or is_subsystem_id(self.recipient),
            "state": not self.state or self.state in STATES,
            "first_day": not self.first_day or day_of(self.first_day) is not None,
            "last_day": not self.last_day or day_of(self.last_day) is not None,
            "cursor": not self.cursor or _NUMBER.fullmatch(self.cursor),
        }
        wrong = [name for name, right in is_right.items() if not right]
        if not wrong and self.first_day and self.last_day and self.first_day > self.last_day:
            wrong = ["last_day"]
        object.__setattr__(self, "mistakes", tuple(wrong))

    @classmethod
    def of(cls, given: Mapping[str, str]) -> LetterFilters:
        """Read them from an address or a form; what else stands there is none of ours."""
        return cls(**{name: given[name][:LONGEST] for name in cls.names() if name in given})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(each.name for each in fields(cls) if each.init)

    @property
    def is_narrowing(self) -> bool:
        """Whether there is any, the state left aside."""
        return any(value for name, value in self.given.items() if name not in {"cursor", "state"})

    @property
    def given(self) -> dict[str, str]:
        """What is filled in, by name."""
        return {name: value for name in self.names() if (value := getattr(self, name))}

    def to_search(
        self, most: int, *, before: datetime | None = None, cursor: DeliveryNumber | None = None
    ) -> DeadLetterSearch:
        """Return what to search for; only without mistakes.

        Args:
            most: how many on a page.
            before: UTC; only what was given up earlier.
            cursor: where to go on, instead of where the filters say.
        """
        first, last = day_of(self.first_day), day_of(self.last_day)
        end = midnight_of(last + timedelta(days=1)) if last else None
        ends = [each for each in (end, before) if each is not None]
        return DeadLetterSearch(
            service=ServiceId(self.service) if self.service else None,
            code=self.code or None,
            sender=SubsystemId(self.sender) if self.sender else None,
            recipient=SubsystemId(self.recipient) if self.recipient else None,
            state=DeliveryState(self.state) if self.state else DeliveryState.DEAD,
            since=midnight_of(first) if first else None,
            until=min(ends) if ends else None,
            cursor=cursor or read_number(self.cursor),
            most=most,
        )

    def address(self, cursor: DeliveryNumber | None = None) -> str:
        """Return the address of another page of the same, or of the first one."""
        wanted = {name: value for name, value in self.given.items() if name != "cursor"}
        if cursor is not None:
            wanted["cursor"] = str(cursor)
        return f"/portal/dead-letters?{urlencode(wanted)}" if wanted else "/portal/dead-letters"


def read_number(text: str) -> DeliveryNumber | None:
    """Read a delivery's number; None when it is none."""
    return DeliveryNumber(int(text)) if _NUMBER.fullmatch(text) else None
