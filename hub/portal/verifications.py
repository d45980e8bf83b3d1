# SPDX-License-Identifier: Apache-2.0
"""Verifying containers for the pages: in threads of their own, each container once in a while.

A page waits a moment for its reports and no longer; what takes more time goes on, and stands on the page when
it is opened again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hub.clock import Clock
    from hub.trust import VerificationReport

_WORKERS = 2
_MOST_KEPT = 300
_KEPT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the hub found of a container.

    Attributes:
        report: on the container.
        documents: on each sealed document in it.
        at: UTC; when.
    """

    report: VerificationReport
    documents: tuple[VerificationReport, ...] = ()
    at: datetime

    @property
    def is_valid(self) -> bool:
        """Whether every step of every report holds."""
        return all(each.is_valid for each in self.reports)

    @property
    def reports(self) -> tuple[VerificationReport, ...]:
        """All of them, the container's first."""
        return (self.report, *self.documents)


class Verifications:
    """Reports by a container's digest.

    Args:
        verify: verifies a container, as of an instant.
        clock: tells that instant.
    """

    def __init__(self, verify: Callable[[bytes, datetime], Verified], clock: Clock) -> None:
        self._verify = verify
        self._clock = clock
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="portal-verification")
        self._lock = threading.Lock()
        self._running: OrderedDict[str, tuple[float, Future[Verified]]] = OrderedDict()

    def begin(self, sha256: str, container: bytes) -> Future[Verified]:
        """Have a container verified, unless it just was or still is."""
        with self._lock:
            begun, future = self._running.get(sha256, (0.0, None))
            if future is None or (future.done() and time.monotonic() - begun > _KEPT_SECONDS):
                future = self._workers.submit(self._run, container)
                self._running[sha256] = (time.monotonic(), future)
                self._running.move_to_end(sha256)
            while len(self._running) > _MOST_KEPT:
                self._running.popitem(last=False)
            return future

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self._workers.shutdown(cancel_futures=True)

    def _run(self, container: bytes) -> Verified:
        return self._verify(container, self._clock.now())


def wait_until(future: Future[Verified], deadline: float) -> Verified | None:
    """Return the result if it is there by then, on `time.monotonic`'s scale; else None."""
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except NotDoneError:
        return None
