# SPDX-License-Identifier: Apache-2.0
"""Which dead letters a form is about: those that were ticked, or all that a search found at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.clock import format_instant, parse_instant
from hub.errors import PortalError
from hub.outbox import DeliveryState
from hub.portal.letter_filters import LetterFilters, read_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from hub.outbox import Delivery, DeliveryNumber, Outbox

MOST_AT_ONCE = 500
"""How many are decided about in one go: as many as a page can tell apart and a process replay in a moment."""

_ON_A_PAGE = 200
_TICK = "letter-"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a form chose.

    Attributes:
        numbers: the deliveries that were ticked.
        takes_all: whether all are meant that the filters let through, ticked or not.
        filters: the search.
        before: UTC; only what had been given up by then, so that nothing is decided about that was not shown.
    """

    numbers: tuple[DeliveryNumber, ...]
    takes_all: bool
    filters: LetterFilters
    before: datetime

    @classmethod
    def of(cls, form: Mapping[str, str], now: datetime) -> Choice:
        """Read a form: of the list, of one letter, or of the page that asks for a confirmation.

        Raises:
            PortalError: `portal.form_invalid`.
        """
        listed = form.get("numbers", "").split()
        ticked = [name.removeprefix(_TICK) for name in form if name.startswith(_TICK)]
        numbers = [read_number(each) for each in (*listed, *ticked)]
        known = tuple(dict.fromkeys(each for each in numbers if each is not None))
        filters = LetterFilters.of(form)
        if None in numbers or filters.mistakes:
            raise PortalError("portal.form_invalid", "a number or a filter is none")
        return cls(
            numbers=known, takes_all=form.get("all") == "1", filters=filters, before=_instant(form, now)
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen at all."""
        return not self.numbers and not self.takes_all

    def to_form(self) -> dict[str, str]:
        """Return the fields that say the same in another form."""
        if not self.takes_all:
            return {"numbers": " ".join(map(str, self.numbers))}
        given = {name: value for name, value in self.filters.given.items() if name not in {"cursor", "state"}}
        return {"all": "1", "before": format_instant(self.before), **given}

    def letters(self, outbox: Outbox) -> tuple[Delivery, ...]:
        """Return the deliveries, in the order of the list; no more than `MOST_AT_ONCE`."""
        if not self.takes_all:
            found = (outbox.find(each) for each in self.numbers[:MOST_AT_ONCE])
            return tuple(each for each in found if each is not None)
        return tuple(self._all(outbox))

    def _all(self, outbox: Outbox) -> Iterator[Delivery]:
        filters, left = self.filters, MOST_AT_ONCE
        cursor: DeliveryNumber | None = None
        while left > 0:
            search = filters.to_search(min(left, _ON_A_PAGE), before=self.before, cursor=cursor)
            page = outbox.search(search)
            yield from (each for each in page.letters if each.state is DeliveryState.DEAD)
            left -= len(page.letters)
            cursor = page.cursor
            if cursor is None:
                return


def _instant(form: Mapping[str, str], now: datetime) -> datetime:
    try:
        return min(now, parse_instant(form["before"])) if "before" in form else now
    except ValueError as exc:
        raise PortalError("portal.form_invalid", "before: not an instant") from exc
