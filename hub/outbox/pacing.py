# SPDX-License-Identifier: Apache-2.0
"""How many deliveries of a lane may begin now: its breaker, its concurrency and its rate.

Every worker keeps its own account. Where several share the work, each takes its share of concurrency and
rate, so that together they keep to what the partner was promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.outbox.breaker import Breaker, BreakerState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hub.outbox.model import Lane
    from hub.registry import DeliveryPolicy


class Pace:
    """The account of one lane; used from one thread."""

    def __init__(self, policy: DeliveryPolicy, *, workers: int = 1) -> None:
        self.breaker = Breaker(policy)
        self.running = 0
        self._policy = policy
        self._workers = workers
        # A worker that starts must not let a whole second's worth go at once beside another that just did.
        self._tokens = 1.0
        self._counted_at: datetime | None = None

    def follow(self, policy: DeliveryPolicy, *, workers: int) -> None:
        """Take over what the registry says now, and with how many the work is shared."""
        if policy != self._policy:
            self._policy = policy
            self.forgive()
        self._workers = max(workers, 1)

    def forgive(self) -> None:
        """Forget earlier failures: somebody has looked after the partner."""
        self.breaker = Breaker(self._policy)

    def room(self, now: datetime) -> int:
        """Return how many may begin now."""
        if not self.breaker.allows(now):
            return 0
        self._refill(now)
        free = max(1, self._policy.concurrency // self._workers) - self.running
        if self._policy.per_second is not None:
            free = min(free, int(self._tokens))
        if self.breaker.state(now) is not BreakerState.CLOSED:
            free = min(free, 1)
        return max(free, 0)

    def begin(self, now: datetime) -> None:
        """Take note of a delivery that begins."""
        self.breaker.begun(now)
        self.running += 1
        self._tokens -= 1

    def end(self, now: datetime, *, is_answered: bool | None) -> None:
        """Take note of one that ended; None when it was broken off."""
        self.running -= 1
        if is_answered is None:
            self.breaker.gave_up()
        elif is_answered:
            self.breaker.succeeded()
        else:
            self.breaker.failed(now)

    def _refill(self, now: datetime) -> None:
        if self._policy.per_second is None:
            self._tokens, self._counted_at = 1.0, None
            return
        rate = self._policy.per_second / self._workers
        if self._counted_at is not None:
            gained = (now - self._counted_at).total_seconds() * rate
            # What was not used is kept for a second, and one delivery can always be saved up for.
            self._tokens = min(self._tokens + max(gained, 0.0), max(rate, 1.0))
        self._counted_at = now


class Paces:
    """The accounts of all lanes, made as they are needed."""

    def __init__(self) -> None:
        self._paces: dict[Lane, Pace] = {}

    def of(self, lane: Lane, policy: DeliveryPolicy, *, workers: int = 1) -> Pace:
        """Return the account of a lane, by its present policy."""
        pace = self._paces.get(lane)
        if pace is None:
            pace = self._paces[lane] = Pace(policy, workers=workers)
        pace.follow(policy, workers=workers)
        return pace

    def __iter__(self) -> Iterator[tuple[Lane, Pace]]:
        return iter(self._paces.items())
