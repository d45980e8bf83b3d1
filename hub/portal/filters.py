# SPDX-License-Identifier: Apache-2.0
"""What a list of messages is narrowed down by, as it stands in an address."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hub.clock import CHINA
from hub.exchange import ExchangeState, Search
from hub.identifiers import ServiceId, SubsystemId, is_service_id, is_subsystem_id

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters as they were given, texts all of them; empty ones narrow nothing down.

    Attributes:
        sender: a subsystem.
        recipient: a subsystem.
        service: a service.
        state: one of `ExchangeState`.
        first_day: the first day of arrival in China, YYYY-MM-DD.
        last_day: the last one.
        cursor: where the page before ended.
        mistakes: fields whose text is not what it should be.
    """

    sender: str = ""
    recipient: str = ""
    service: str = ""
    state: str = ""
    first_day: str = ""
    last_day: str = ""
    cursor: str = ""
    mistakes: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        is_right = {
            "sender": not self.sender or is_subsystem_id(self.sender),
            "recipient": not self.recipient or is_subsystem_id(self.recipient),
            "service": not self.service or is_service_id(self.service),
            "state": not self.state or self.state in set(ExchangeState),
            "first_day": not self.first_day or day_of(self.first_day) is not None,
            "last_day": not self.last_day or day_of(self.last_day) is not None,
        }
        wrong = [name for name, right in is_right.items() if not right]
        if not wrong and self.first_day and self.last_day and self.first_day > self.last_day:
            wrong = ["last_day"]
        object.__setattr__(self, "mistakes", tuple(wrong))

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """Read them from an address; what else stands there is none of ours."""
        names = [each.name for each in fields(cls) if each.init]
        return cls(**{name: query[name][:LONGEST] for name in names if name in query})

    @property
    def is_narrowing(self) -> bool:
        """Whether there is any."""
        return any((self.sender, self.recipient, self.service, self.state, self.first_day, self.last_day))

    def to_search(self, most: int) -> Search:
        """Return what to search for; only without mistakes.

        Raises:
            ExchangeError: `exchange.search_invalid`: the cursor is none.
        """
        first, last = day_of(self.first_day), day_of(self.last_day)
        return Search(
            sender=SubsystemId(self.sender) if self.sender else None,
            recipient=SubsystemId(self.recipient) if self.recipient else None,
            service=ServiceId(self.service) if self.service else None,
            state=ExchangeState(self.state) if self.state else None,
            since=midnight_of(first) if first else None,
            until=midnight_of(last + timedelta(days=1)) if last else None,
            cursor=self.cursor or None,
            most=most,
        )

    def address(self, cursor: str) -> str:
        """Return the address of another page of the same."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        wanted = {name: value for name, value in (given | {"cursor": cursor}).items() if value}
        return f"/portal/messages?{urlencode(wanted)}"


def day_of(text: str) -> date | None:
    """Read a day as forms write it, YYYY-MM-DD; None when it is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # It takes other forms too; and a year before or after these is a slip of the finger.
    return day if len(text) == 10 and 2000 <= day.year < 9999 else None


def midnight_of(day: date) -> datetime:
    """Return when a day begins in China, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).astimezone(UTC)
