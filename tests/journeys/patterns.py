# SPDX-License-Identifier: Apache-2.0
"""What a department's gateway signs, and what a cheating one could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.envelope import Kind, Receipt, ReceiptStatus, refer_to, reply_to, write_receipt

if TYPE_CHECKING:
    from datetime import datetime

    from hub.envelope import Envelope, Party


def department_receipt(
    request: Envelope, *, party: Party, now: datetime, about: Envelope | None = None
) -> Envelope:
    """Sign that a message was worked on; it may be about another one than it is bound to."""
    receipt = Receipt(status=ReceiptStatus.PROCESSED, at=now, message=refer_to(about or request))
    return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=party, now=now)
