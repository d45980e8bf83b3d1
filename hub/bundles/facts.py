# SPDX-License-Identifier: Apache-2.0
"""What is collected for the summary while a bundle is written: counts, and the first exchanges."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hub.bundles.missing import Missing
    from hub.bundles.model import GatheredMessage, Selection
    from hub.envelope import Header
    from hub.exchange import ExchangeRecord, ExchangeState
    from hub.tlog import LoggedEntry

MOST_SHOWN = 15


@dataclass(frozen=True)
class ShownMessage:
    """What the summary needs of one exchange; no content."""

    record: ExchangeRecord
    headers: dict[str, Header]
    entries: tuple[LoggedEntry, ...]


@dataclass
class SummaryFacts:
    """What is collected for the summary while a bundle is written."""

    selection: Selection
    made_at: datetime
    hub: str
    log_origin: str
    shown: list[ShownMessage] = field(default_factory=list)
    states: Counter[ExchangeState] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_at: datetime | None = None
    last_at: datetime | None = None
    checkpoint_size: int = 0
    stamped_at: datetime | None = None
    witnesses: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()

    def take(self, message: GatheredMessage) -> None:
        """Count a message, and keep what is shown of the first ones."""
        record = message.record
        self.states[record.state] += 1
        self.pairs[record.sender, record.service] += 1
        self.first_at = min(self.first_at or record.received_at, record.received_at)
        self.last_at = max(self.last_at or record.received_at, record.received_at)
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(ShownMessage(record, dict(message.headers), message.entries))
