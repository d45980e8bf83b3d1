# SPDX-License-Identifier: Apache-2.0
"""Delivering what is in the outbox: claim, try, and enter what came of it.

Every attempt takes the steps of `pipeline.py` from the first one on, by what holds now: a right that was
withdrawn meanwhile is withdrawn, and a contract that was corrected is corrected.

    the recipient answers                          processed
    its fault says: try again                      tried again, as the service's policy says
    its fault says: the sender has to act          refused with this fault
    its fault says: the recipient has to act       refused with this fault, and a dead letter
    its receipt promises an answer                 deferred; asked again when that was expected
    it cannot be reached, or answers what nobody
    can accept                                     tried again
    the hub may not deliver it any more            refused, and a dead letter
    no attempt is left, or the message expired     refused, and a dead letter

Source: docs/protocols/exchange.md section 11.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import structlog

from hub.clock import to_milliseconds
from hub.errors import Culprit, ExchangeError, HubError, RegistryError, ReportedFaultError
from hub.exchange.model import Accepted, Arrived, Concluded
from hub.exchange.pushed import read_message
from hub.exchange.watching import count_end, watched_delivery
from hub.outbox import Ending, Paces, is_exhausted, next_pause
from hub.registry import DeliveryPolicy

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.clock import Clock
    from hub.exchange.pipeline import Pipeline
    from hub.identifiers import ServiceId
    from hub.outbox import BreakerState, Claims, Delivery, Lane, Outbox, Pace, Pauses
    from hub.vault import Vault

MOST_UNDER_WAY = 100
"""How many deliveries one worker has under way."""

_LOOK_SECONDS = 0.5
"""How long a worker waits that was told of nothing: others put things in too, and pauses run out."""

_ABANDONED_SECONDS = 5.0
_AT_WORK_SECONDS = 15.0
_TROUBLE_SECONDS = 2.0
_LAST_DELIVERIES_SECONDS = 3.0
_logger = structlog.get_logger(__name__)


class Verdict(Enum):
    """What follows from a failed attempt."""

    TRY_AGAIN = auto()
    END = auto()
    """Its sender hears the recipient's own fault, and nobody else has to act."""
    BURY = auto()
    """Somebody has to look at it."""


def judge(reached: Arrived, error: HubError) -> Verdict:
    """Say what follows from a failed attempt, while the schedule has further ones.

    Args:
        reached: how far it came.
        error: why it came no further.
    """
    if isinstance(error, ReportedFaultError):
        if error.is_retryable:
            return Verdict.TRY_AGAIN
        return Verdict.END if error.culprit is Culprit.SENDER else Verdict.BURY
    if isinstance(reached, Accepted):
        return Verdict.TRY_AGAIN
    return Verdict.TRY_AGAIN if error.is_retryable else Verdict.BURY


class DeliveryWorker:
    """Delivers what is due, until it is stopped; runs on one event loop.

    Args:
        pipeline: its courier must be of the same event loop.
        outbox: where deliveries are claimed.
        pauses: whose services wait.
        vault: holds the messages.
        clock: dates the attempts.
        luck: where pauses get their chance from.
    """

    def __init__(  # noqa: PLR0913 - its dependencies
        self,
        *,
        pipeline: Pipeline,
        outbox: Outbox,
        pauses: Pauses,
        vault: Vault,
        clock: Clock,
        luck: random.Random | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._outbox = outbox
        self._pauses = pauses
        self._vault = vault
        self._clock = clock
        self._luck = luck or random.Random()  # noqa: S311 - spreads load, protects nothing
        self._paces = Paces()
        self._workers = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looked_at = float("-inf")
        self._woken = asyncio.Event()
        outbox.listen(self._wake)

    async def run(self) -> None:
        """Deliver until `stop`; what is under way then has a few seconds to end, and is given back if not."""
        self._loop = asyncio.get_running_loop()
        looks = asyncio.create_task(self._look_for_abandoned())
        try:
            while not self._stopped.is_set():
                self._woken.clear()
                self._looked_at = time.monotonic()
                begun = await self._begin_due()
                if begun is None:
                    # The database may be busy or gone for a while; what waits, waits.
                    await asyncio.to_thread(self._stopped.wait, _TROUBLE_SECONDS)
                elif begun == 0:
                    await self._wait()
        finally:
            looks.cancel()
            self._looked_at = float("-inf")
            await self._finish()
            self._loop = None

    @property
    def number(self) -> int:
        """Names this worker to the others."""
        return self._outbox.worker

    @property
    def is_at_work(self) -> bool:
        """Whether it takes deliveries up just now; from any thread."""
        return time.monotonic() < self._looked_at + _AT_WORK_SECONDS

    def breakers(self) -> dict[Lane, BreakerState]:
        """Return how the breaker of each lane stands that it has served; from any thread."""
        now = self._clock.now()
        return {lane: pace.breaker.state(now) for lane, pace in tuple(self._paces)}

    def stop(self) -> None:
        """Let `run` end; from any thread."""
        self._stopped.set()
        self._wake()

    async def work(self) -> int:
        """Deliver what is due now and wait until all of it has ended; return how many there were."""
        count = await self._begin_due()
        if count is None:
            raise ExchangeError("exchange.internal", "nothing could be claimed")
        while self._tasks:
            await asyncio.wait(self._tasks)
        return count

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._woken.set)
            except RuntimeError:
                # The loop was closed a moment ago: there is nobody left to wake.
                _logger.debug("outbox.nobody_woken")

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), _LOOK_SECONDS)
        except TimeoutError:
            return

    async def _begin_due(self) -> int | None:
        """Begin what is due and return how many; None when the database could not be asked."""
        free = MOST_UNDER_WAY - len(self._tasks)
        if free <= 0:
            return 0
        try:
            claimed = await asyncio.to_thread(self._claim, free)
        except Exception:
            _logger.exception("outbox.not_claimed")
            return None
        now = self._clock.now()
        for each in claimed:
            pace = self._paces.of(each.lane, self._policy(each.service), workers=self._workers)
            pace.begin(now)
            task = asyncio.create_task(self._deliver(each, pace))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        return len(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # There is room for the next one, and what comes after it in a conversation may be free to go.
        self._woken.set()

    def _claim(self, most: int) -> list[Delivery]:
        self._pauses.refresh()
        return self._outbox.claim(most, self._room)

    def _room(self, lane: Lane, service: ServiceId, claims: Claims) -> int:
        self._workers = claims.workers
        policy = self._policy(service)
        pace = self._paces.of(lane, policy, workers=claims.workers)
        if self._pauses.is_paused(service):
            # After maintenance it begins anew.
            pace.forgive()
            return 0
        room = pace.room(self._clock.now())
        return min(room, policy.concurrency - claims.by_lane.get(lane, 0))

    def _policy(self, service: ServiceId) -> DeliveryPolicy:
        try:
            return self._pipeline.registry.require_service(service).delivery
        except RegistryError:
            # The hub's own, or one that is gone: then its deliveries find that out.
            return DeliveryPolicy()

    async def _deliver(self, delivery: Delivery, pace: Pace) -> None:
        is_answered: bool | None = None
        try:
            with watched_delivery(delivery):
                reached, error = await self._attempt(delivery)
                is_answered = _is_answered(reached, error)
                if error is not None:
                    await self._fail(delivery, reached, error)
                elif isinstance(reached, Concluded):
                    count_end(delivery.service, None)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(delivery))
            raise
        except Exception:
            # It stays claimed until a look finds that nobody is at it.
            _logger.exception("outbox.not_entered", message_id=delivery.message_id)
        finally:
            self._outbox.ended(delivery)
            pace.end(self._clock.now(), is_answered=is_answered)

    async def _attempt(self, delivery: Delivery) -> tuple[Arrived, HubError | None]:
        arrived = Arrived(raw=b"", received_at=self._clock.now(), delivery=delivery)
        try:
            raw, large = await asyncio.to_thread(read_message, self._vault, delivery.request_sha256)
        except HubError as error:
            return arrived, error
        return await self._pipeline.walk(self._pipeline.delivering, replace(arrived, raw=raw, large=large))

    async def _fail(self, delivery: Delivery, reached: Arrived, error: HubError) -> None:
        verdict = judge(reached, error)
        policy = self._policy(delivery.service)
        if verdict is Verdict.TRY_AGAIN and is_exhausted(policy, delivery.tries):
            verdict = Verdict.BURY
        _logger.info(
            "outbox.failed",
            message_id=delivery.message_id,
            code=error.code,
            detail=error.detail,
            attempt=delivery.attempts,
            verdict=verdict.name,
        )
        if verdict is not Verdict.TRY_AGAIN:
            await self._pipeline.recorder.give_up(delivery, reached, error, is_dead=verdict is Verdict.BURY)
            count_end(delivery.service, error.code)
            return
        now = self._clock.now()
        failure = Ending(at=now, code=error.code, detail=error.detail)
        due_at = to_milliseconds(now + next_pause(policy, delivery.tries, self._luck))
        await self._pipeline.recorder.writer.run_async(
            lambda connection: self._outbox.put_off(connection, delivery, failure, due_at=due_at)
        )

    async def _give_back(self, delivery: Delivery) -> None:
        failure = Ending(at=self._clock.now(), code="exchange.internal", detail="the worker was stopped")

        def work(connection: Connection) -> None:
            self._outbox.give_back(connection, delivery, failure)

        try:
            await self._pipeline.recorder.writer.run_async(work)
        except ExchangeError:
            # Its end had been entered already.
            _logger.info("outbox.not_given_back", message_id=delivery.message_id)

    async def _look_for_abandoned(self) -> None:
        while True:
            try:
                if await asyncio.to_thread(self._outbox.look):
                    self._woken.set()
            except Exception:
                # The database may be gone for a while; the next look may succeed.
                _logger.exception("outbox.not_looked_after")
            await asyncio.sleep(_ABANDONED_SECONDS)

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_DELIVERIES_SECONDS)
        rest = tuple(self._tasks)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _is_answered(reached: Arrived, error: HubError | None) -> bool | None:
    """Tell what an attempt says of the partner; None when it did not come so far."""
    if error is None:
        return True
    if not isinstance(reached, Accepted):
        return None
    return judge(reached, error) is not Verdict.TRY_AGAIN
