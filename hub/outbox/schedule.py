# SPDX-License-Identifier: Apache-2.0
"""When a failed delivery is tried again: ever later, and never all at the same moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from hub.registry import DeliveryPolicy

_MOST_DOUBLINGS = 60
"""Where a float still holds the power; by then every pause is the longest one."""


def next_pause(policy: DeliveryPolicy, attempts: int, luck: random.Random) -> timedelta:
    """Return how long to wait after a failed attempt.

    The pause lies between half of what the policy says and all of it: what failed together must not come back
    together, or a partner that has just come up is knocked over again.

    Args:
        policy: the service's.
        attempts: that failed, at least 1.
        luck: where chance comes from.
    """
    power = min(attempts - 1, _MOST_DOUBLINGS)
    ceiling = min(policy.first_pause_seconds * policy.factor**power, policy.longest_pause_seconds)
    return timedelta(seconds=luck.uniform(ceiling / 2, ceiling))


def is_exhausted(policy: DeliveryPolicy, attempts: int) -> bool:
    """Tell whether the schedule has no further attempt."""
    return attempts >= policy.tries
