# SPDX-License-Identifier: Apache-2.0
"""Finding the exchanges a bundle is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.bundles.model import Selection
    from hub.exchange import Archive, ExchangeRecord


@dataclass(frozen=True)
class Selector:
    """Finds exchanges in the archive."""

    archive: Archive

    def select(self, selection: Selection, most: int) -> tuple[ExchangeRecord, ...]:
        """Return the exchanges of a selection in the order of their arrival, at most `most`.

        Raises:
            ExchangeError: `exchange.message_unknown`: the message is not there, or not for this party.
        """
        if selection.message is not None:
            return (self._one(selection),)
        return tuple(self._all(selection))[:most]

    def _one(self, selection: Selection) -> ExchangeRecord:
        if selection.message is None:
            raise TypeError("no message is selected")
        record = self.archive.exchange(selection.message)
        if not _concerns(record, selection):
            # Who may not see it learns no more than that it is not there for them.
            raise ExchangeError("exchange.message_unknown", selection.message)
        return record

    def _all(self, selection: Selection) -> Iterable[ExchangeRecord]:
        if selection.conversation is None:
            raise TypeError("only conversations can be searched yet")
        found = self.archive.conversation(selection.conversation)
        return (record for record in found if _concerns(record, selection))


def _concerns(record: ExchangeRecord, selection: Selection) -> bool:
    return selection.party is None or selection.party in {record.sender, record.recipient}
