# SPDX-License-Identifier: Apache-2.0
"""Several processes that serve on one socket, and the one that starts them and keeps them running.

The supervisor does nothing else: it opens no database and no key, so there is little in it that can fail. Its
children are copies of it, made before any thread was; a secret that can be read once, from a descriptor, was
read by then. A child that ends is replaced, after a pause that grows while they end soon. Only when the very
first one ends before it serves, the configuration or the database is refused, and everything ends.

SIGTERM, SIGINT and SIGHUP end the children cleanly, a second one at once. Should the supervisor be killed,
the system ends them.

Source: prctl(2), PR_SET_PDEATHSIG; signal(7); sigwaitinfo(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from hub.telemetry import forget_process

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_AWAITED = _ENDING | {signal.SIGCHLD}
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 30.0
"""How long children may take to end what they are doing, before they are killed."""
_SETTLED_SECONDS = 10.0
"""Whoever served so long is replaced at once."""
_LONGEST_PAUSE_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1

_logger = structlog.get_logger(__name__)


@dataclass
class _Place:
    """One of the processes, whoever fills the place just now.

    Attributes:
        pid: of who fills it; none during a pause.
        ready: where a child says that it serves; none once it has.
        failures: how often in a row it ended soon after it was started.
        due_at: when the next one is started, by the monotonic clock.
    """

    pid: int | None = None
    ready: int | None = None
    started_at: float = 0.0
    failures: int = 0
    due_at: float = 0.0


@dataclass
class _Supervisor:
    places: list[_Place]
    parent: int = field(default_factory=os.getpid)
    has_served: bool = False
    is_ending: bool = False
    exit_code: int = 0

    def run(self) -> Callable[[], None]:
        """Start and replace children; returns in a child, with what it calls when it serves."""
        kill_at = 0.0
        while True:
            if not self.is_ending:
                told = self._start_due()
                if told is not None:
                    return told
            elif all(place.pid is None for place in self.places):
                _logger.info("serving.ended")
                sys.exit(self.exit_code)
            elif time.monotonic() > kill_at:
                self.exit_code = self.exit_code or 1
                self._signal(signal.SIGKILL)
            arrived = signal.sigtimedwait(_AWAITED, _LOOK_SECONDS)
            self._hear_who_serves()
            was_ending = self.is_ending
            self._reap()
            if arrived is not None and arrived.si_signo in _ENDING:
                self.is_ending = True
                kill_at = 0.0 if was_ending else kill_at
            if self.is_ending and not was_ending:
                _logger.info("serving.ending")
                kill_at = time.monotonic() + _STOP_SECONDS
                self._signal(signal.SIGTERM)

    def _start_due(self) -> Callable[[], None] | None:
        # One alone at first: it makes what an empty database lacks, and its refusal is everybody's.
        for place in self.places if self.has_served else self.places[:1]:
            if place.pid is None and time.monotonic() >= place.due_at:
                told = self._start(place)
                if told is not None:
                    return told
        return None

    def _start(self, place: _Place) -> Callable[[], None] | None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            for other in (reading, *(each.ready for each in self.places if each.ready is not None)):
                os.close(other)
            _become_child(self.parent)
            return lambda: os.close(writing)
        os.close(writing)
        os.set_blocking(reading, False)
        place.pid, place.ready, place.started_at = pid, reading, time.monotonic()
        _logger.info("serving.process_started", pid=pid)
        return None

    def _hear_who_serves(self) -> None:
        """Note whose end of the pipe is closed: a child does it when it serves, the system when it dies."""
        for place in self.places:
            if place.ready is None or place.pid is None:
                continue
            try:
                os.read(place.ready, 1)
            except BlockingIOError:
                continue
            os.close(place.ready)
            place.ready = None
            # One that died has closed it too.
            self.has_served = self.has_served or _is_running(place.pid)

    def _reap(self) -> None:
        for place in self.places:
            if place.pid is None:
                continue
            ended, status = os.waitpid(place.pid, os.WNOHANG)
            if not ended:
                continue
            code = os.waitstatus_to_exitcode(status)
            tell = _logger.info if self.is_ending else _logger.error
            tell("serving.process_ended", pid=place.pid, code=code)
            forget_process(place.pid)
            place.pid = None
            if place.ready is not None:
                os.close(place.ready)
                place.ready = None
            self._plan(place, code)

    def _plan(self, place: _Place, code: int) -> None:
        if not self.has_served:
            self.is_ending = True
            self.exit_code = code if code > 0 else 1
            return
        now = time.monotonic()
        place.failures = 0 if now - place.started_at > _SETTLED_SECONDS else place.failures + 1
        pause = min(2.0 ** (place.failures - 1), _LONGEST_PAUSE_SECONDS) if place.failures > 1 else 0.0
        place.due_at = now + pause

    def _signal(self, number: signal.Signals) -> None:
        for place in self.places:
            if place.pid is not None:
                os.kill(place.pid, number)


def supervise(count: int) -> Callable[[], None]:
    """Start so many copies of this process, and look after them; returns in each copy and nowhere else.

    To be called while the process has one thread, and before it opened anything that cannot be shared.

    Returns:
        In a copy: what it has to call when it serves.

    Raises:
        SystemExit: in the supervisor, when all have ended: 0 after a signal, otherwise what the first one
            ended with.
    """
    # Waited for, not handled: nothing can arrive between a look and a wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    return _Supervisor([_Place() for _ in range(count)]).run()


def _become_child(parent: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    if os.getppid() != parent:
        # The supervisor was gone before the system was asked to tell.
        sys.exit(1)


def _is_running(pid: int) -> bool:
    """Say whether a child still runs, and leave how it ended to be asked for."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is None
