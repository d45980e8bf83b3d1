# SPDX-License-Identifier: Apache-2.0
"""What has still to be delivered: to whom, when next, how often it was tried, and what could not be.

A message that nobody waits for is put into the outbox in the transaction that logs it. Workers claim what is
due and enter what came of it; a claim of a worker that ended is taken up by another. What could not be
delivered stays as a dead letter until somebody has it delivered once more, or closes it with a reason.
"""

from hub.outbox.breaker import Breaker, BreakerState
from hub.outbox.model import (
    OPEN_STATES,
    Attempt,
    DeadLetterPage,
    DeadLetterSearch,
    Delivery,
    DeliveryNumber,
    DeliveryState,
    Depth,
    Ending,
    Lane,
    NewDelivery,
    lane_of,
)
from hub.outbox.outbox import Claims, Outbox
from hub.outbox.pacing import Pace, Paces
from hub.outbox.pauses import Pause, Pauses
from hub.outbox.schedule import is_exhausted, next_pause

__all__ = [
    "OPEN_STATES",
    "Attempt",
    "Breaker",
    "BreakerState",
    "Claims",
    "DeadLetterPage",
    "DeadLetterSearch",
    "Delivery",
    "DeliveryNumber",
    "DeliveryState",
    "Depth",
    "Ending",
    "Lane",
    "NewDelivery",
    "Outbox",
    "Pace",
    "Paces",
    "Pause",
    "Pauses",
    "is_exhausted",
    "lane_of",
    "next_pause",
]
