# SPDX-License-Identifier: Apache-2.0
"""Waking those of this process who wait for something; what other processes do, they find by looking."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    _Waiter = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Waking:
    """Who waits for what, in this process; safe to use from several threads and event loops."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def waiting(self, names: Iterable[str]) -> Iterator[asyncio.Event]:
        """Yield an event of the running loop that is set whenever one of the names is woken."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        wanted = tuple(names)
        with self._lock:
            for name in wanted:
                self._waiters[name].add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                for name in wanted:
                    self._waiters[name].discard(waiter)
                    if not self._waiters[name]:
                        del self._waiters[name]

    def wake(self, name: str) -> None:
        """Wake all who wait for it."""
        with self._lock:
            waiters = tuple(self._waiters.get(name, ()))
        for loop, event in waiters:
            # A loop that was closed a moment ago has nobody left to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


async def woken(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, at most so long, and clear it."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    event.clear()
