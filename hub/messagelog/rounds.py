# SPDX-License-Identifier: Apache-2.0
"""Work in the background, round after round, with ever longer pauses while somebody does not answer."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS = 0.25
"""How long a round waits when there was nothing to do."""

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0
_MOST_FAILURES = 30
_LAST_ROUND_SECONDS = 2.0
_logger = structlog.get_logger(__name__)


class Rounds:
    """Calls some work again and again until it is stopped."""

    def __init__(self) -> None:
        self._failures = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether the work should come to its end."""
        return self._stopped.is_set()

    def run(self, work: Callable[[], float], trouble: str, **context: str) -> None:
        """Work until `stop`.

        Args:
            work: one round; returns after how many seconds the next one begins.
            trouble: the event to write into the hub's own log where a round failed.
            context: what to write with it.
        """
        self._thread = threading.current_thread()
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                pause = work()
            except Exception:
                if self.is_stopped:
                    return
                # The database may be busy or gone for a while; what waits, waits.
                _logger.exception(trouble, **context)
                pause = _LONGEST_PAUSE_SECONDS

    def end(self) -> None:
        """Let `run` end with the round it is at."""
        self._stopped.set()

    def stop(self) -> None:
        """Let `run` end, and wait a little for its last round.

        A connection that is being opened while its client is closed would be left open for ever.
        """
        self.end()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_LAST_ROUND_SECONDS)

    def succeed(self) -> None:
        """Forget earlier failures: somebody has answered."""
        self._failures = 0

    def put_off(self) -> float:
        """Return how many seconds to wait after one more failure: ever longer, never twice the same."""
        ceiling = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, _MOST_FAILURES)
        # Hubs that lost the same peer at the same moment must not all come back at once.
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 (spreads load, protects nothing)
