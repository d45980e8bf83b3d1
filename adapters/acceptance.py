# SPDX-License-Identifier: Apache-2.0
"""Each of the hub's receipts opens a gateway once, and only while it is fresh.

Whoever gets hold of a request and its receipt, in a log file or on the wire, must not be able to ask again
past the hub. A new try through the hub comes with a new receipt.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import MessageId

RECEIPT_LIFETIME = timedelta(minutes=5)
"""How far the receipt's time may be from the gateway's, either way; after it nothing needs remembering."""


class UsedReceipts:
    """Remembers the receipts of the last minutes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._used: dict[MessageId, datetime] = {}
        self._lock = threading.Lock()

    def use(self, receipt_id: MessageId, *, issued_at: datetime, now: datetime) -> bool:
        """Use a receipt; tell whether it was fresh and had not been used.

        Args:
            receipt_id: the receipt's own message id.
            issued_at: what the receipt says; UTC.
            now: by the gateway's clock; UTC.
        """
        if abs(now - issued_at) > RECEIPT_LIFETIME:
            return False
        with self._lock:
            self._forget(now)
            if receipt_id in self._used:
                return False
            self._used[receipt_id] = issued_at
            return True

    def _forget(self, now: datetime) -> None:
        # Entries stand in the order of their use, and so nearly in that of their times.
        while self._used:
            oldest = next(iter(self._used))
            if now - self._used[oldest] <= RECEIPT_LIFETIME:
                return
            del self._used[oldest]
