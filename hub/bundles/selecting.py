# SPDX-License-Identifier: Apache-2.0
"""Finding the exchanges a bundle is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hub.errors import ExchangeError
from hub.exchange import Search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.bundles.model import Selection
    from hub.exchange import Archive, ExchangeRecord

_ON_A_PAGE = 500
_CASE = "case"


@dataclass(frozen=True)
class Selector:
    """Finds exchanges in the archive."""

    archive: Archive

    def select(self, selection: Selection, most: int) -> tuple[ExchangeRecord, ...]:
        """Return the exchanges of a selection in the order of their arrival, at most `most`.

        Raises:
            ExchangeError: `exchange.message_unknown`: the message is not there, or not for this party;
                `exchange.search_unavailable`: cases cannot be searched for here.
        """
        found: list[ExchangeRecord] = []
        for record in self._all(_search_for(selection)):
            found.append(record)
            if len(found) == most:
                break
        if selection.message is not None and not found:
            # Who may not see it learns no more than that it is not there for them.
            raise ExchangeError("exchange.message_unknown", selection.message)
        return tuple(sorted(found, key=lambda record: (record.received_at, record.message_id)))

    def _all(self, search: Search) -> Iterator[ExchangeRecord]:
        while True:
            page = self.archive.search(search)
            yield from page.records
            if page.next is None:
                return
            search = replace(search, cursor=page.next)


def _search_for(selection: Selection) -> Search:
    return Search(
        message_id=selection.message,
        conversation=selection.conversation,
        since=selection.since,
        until=selection.until,
        keys={_CASE: selection.case} if selection.case is not None else {},
        party=selection.party,
        most=_ON_A_PAGE,
    )
