# SPDX-License-Identifier: Apache-2.0
"""Searching exchanges: by who, what and when, and by business keys; the latest first, page by page.

Every search walks one index in the order of arrival and never sorts. The index is chosen here, not by the
database: the one by which the fewest rows are expected. What else is asked for is checked row by row, and of
no more than `MOST_EXAMINED` rows a page; where that is not enough to fill it, the page says so by naming
where to go on. So every page takes about the same time, however large the table is.

    asked for                       index walked
    a key                           exchange_keys (name, digest)
    conversation                    exchanges (conversation)
    sender and service              exchanges (sender, service)
    service                         exchanges (service)
    state refused or in progress    exchanges (state) where not processed
    sender; recipient               exchanges (sender); (recipient)
    party                           the same twice, for what it sent and what it received, merged
    nothing of these                exchanges (received_at)
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hub.clock import format_instant, parse_instant
from hub.errors import ExchangeError
from hub.exchange.model import ExchangeState
from hub.identifiers import is_message_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hub.exchange.model import ExchangeRecord
    from hub.identifiers import MessageId, ServiceId, SubsystemId

MOST_ON_A_PAGE = 500
MOST_KEYS = 5
MOST_EXAMINED = 20_000
"""How many rows of the walked index are looked at for one page."""


class Position(NamedTuple):
    """Where a row stands in the order of arrival."""

    received_at: str
    message_id: str

    def to_cursor(self) -> str:
        """Write it for callers, who only hand it back."""
        return base64.urlsafe_b64encode(" ".join(self).encode("ascii")).decode("ascii").rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str) -> Position:
        """Read what `to_cursor` wrote.

        Raises:
            ExchangeError: `exchange.search_invalid`.
        """
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode("ascii")
            received_at, message_id = text.split(" ")
            parse_instant(received_at)
        except (ValueError, binascii.Error) as exc:
            raise ExchangeError("exchange.search_invalid", "this is no cursor") from exc
        if not is_message_id(message_id):
            raise ExchangeError("exchange.search_invalid", "this is no cursor")
        return cls(received_at, message_id)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for; everything that is given must hold.

    Attributes:
        message_id: of the request.
        conversation: the id of the message it began with.
        sender: who asked.
        recipient: who was asked.
        service: what was asked.
        state: where the exchange stands.
        since: UTC; the first instant of arrival.
        until: UTC; the first instant after.
        keys: business keys by name, values as people write them.
        party: only what this subsystem sent or received.
        cursor: where the page before ended.
        most: how many on a page.

    Raises:
        ExchangeError: `exchange.search_invalid`.
    """

    message_id: MessageId | None = None
    conversation: MessageId | None = None
    sender: SubsystemId | None = None
    recipient: SubsystemId | None = None
    service: ServiceId | None = None
    state: ExchangeState | None = None
    since: datetime | None = None
    until: datetime | None = None
    # Never shown: a value may be somebody's number.
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    party: SubsystemId | None = None
    cursor: str | None = None
    most: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST_ON_A_PAGE:
            raise ExchangeError("exchange.search_invalid", f"a page has 1 to {MOST_ON_A_PAGE} messages")
        if len(self.keys) > MOST_KEYS:
            raise ExchangeError("exchange.search_invalid", f"at most {MOST_KEYS} keys are looked for at once")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ExchangeError("exchange.search_invalid", "the period ends before it begins")


@dataclass(frozen=True)
class Found:
    """A page of what was found.

    Attributes:
        records: the latest first.
        next: where the next page starts; None when there is no more. A page may be short, even empty, and
            still have a next one.
    """

    records: tuple[ExchangeRecord, ...]
    next: str | None


@dataclass(frozen=True)
class Walk:
    """One index to walk, and what to check of every row on the way.

    Attributes:
        along: columns that are equal all along, by name; these are what the index begins with.
        check: columns to compare row by row.
        not_from: leave out what this subsystem sent, because another walk finds it.
    """

    along: Mapping[str, str]
    check: Mapping[str, str]
    not_from: str | None = None

    @property
    def leaves_out(self) -> bool:
        """Whether not every row on the way is wanted."""
        return bool(self.check) or self.not_from is not None


# The index by which the fewest rows are expected comes first.
_INDEXES = (("conversation",), ("sender", "service"), ("service",), ("state",), ("sender",), ("recipient",))


def plan(search: Search, *, by_key: bool = False) -> tuple[Walk, ...]:
    """Return the walks that find what is looked for, none when nothing can be.

    Args:
        search: what is looked for.
        by_key: whether the business keys are walked; then all else is checked.
    """
    asked = {
        name: str(value)
        for name in ("conversation", "sender", "recipient", "service", "state")
        if (value := getattr(search, name)) is not None
    }
    if search.party is None:
        return (_plan(asked, by_key=by_key),)
    walks = []
    for role, not_from in (("sender", None), ("recipient", search.party)):
        if asked.get(role, search.party) == search.party:
            walk = _plan({**asked, role: search.party}, by_key=by_key)
            walks.append(Walk(walk.along, walk.check, not_from))
    return tuple(walks)


def _plan(asked: Mapping[str, str], *, by_key: bool) -> Walk:
    if by_key:
        return Walk({}, asked)
    for columns in _INDEXES:
        # Most are processed: their index would be as long as the table.
        is_long = columns == ("state",) and asked.get("state") == ExchangeState.PROCESSED.value
        if asked.keys() >= set(columns) and not is_long:
            return Walk(
                {name: asked[name] for name in columns},
                {name: value for name, value in asked.items() if name not in columns},
            )
    return Walk({}, asked)


class Window(NamedTuple):
    """The part of an index that is walked.

    Attributes:
        before: only what stands behind this position.
        since: only what arrived at this instant or later.
        end: only what stands before this position or at it.
    """

    before: Position | None = None
    since: str | None = None
    end: Position | None = None


def window_of(search: Search) -> Window:
    """Return where a page may lie."""
    before = Position.from_cursor(search.cursor) if search.cursor is not None else None
    if search.until is not None:
        # No message id sorts before the empty one, so this leaves out what arrived at that very instant.
        end = Position(format_instant(search.until), "")
        before = end if before is None or end < before else before
    return Window(before, format_instant(search.since) if search.since is not None else None)


def merge(walks: Sequence[tuple[Sequence[ExchangeRecord], Position | None]], most: int) -> Found:
    """Make one page of what several walks found.

    Args:
        walks: of each the rows it found, the latest first, and up to where it was walked; None when to its
            end.
        most: how many rows the page has.
    """
    walked = [end for _, end in walks if end is not None]
    # Behind the place where the shortest walk stopped, others may have rows that it has not seen yet.
    reached = max(walked, default=None)
    rows = sorted((record for found, _ in walks for record in found), key=_place, reverse=True)
    known = [record for record in rows if reached is None or _place(record) >= reached]
    page = tuple(known[:most])
    if len(known) > most:
        return Found(page, _place(page[-1]).to_cursor())
    return Found(page, None if reached is None else reached.to_cursor())


def _place(record: ExchangeRecord) -> Position:
    return Position(format_instant(record.received_at), record.message_id)
