# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed, stand still, and come back: programs of ours, and a PostgreSQL server."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol

import httpx2
import psycopg

from hub.demo.processes import Program, all_running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from tests.postgresql import CrashablePostgres

_PAUSE_SECONDS = 0.05
_START_SECONDS = 90.0
_RESTART_SECONDS = 0.5


class Machine(Protocol):
    """Something that may fail."""

    name: str

    def start(self) -> None:
        """Come up, or come back."""

    def wait_until_up(self) -> None:
        """Wait until it answers.

        Raises:
            TimeoutError: it does not.
        """

    def kill(self) -> None:
        """End at once, as by `kill -9`."""

    def stand_still(self) -> None:
        """Do nothing from now on, with everything open, like a process in a debugger."""

    def go_on(self) -> None:
        """Go on as if nothing had been."""

    def stop(self) -> None:
        """End in good order."""


class ProgramMachine:
    """One of our programs in a process of its own; every life has a log of its own.

    Args:
        url: answers HTTP when the program is up.
    """

    def __init__(
        self, name: str, program: Program, *, url: str, logs: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._program = program
        self._url = url
        self._logs = logs
        self._environment = environment
        self._lives = 0
        self._life = ExitStack()
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Begin another life."""
        self._lives += 1
        name = f"{self.name}-{self._lives}"
        running = all_running({name: self._program}, logs=self._logs, environment=self._environment)
        self._process = self._life.enter_context(running)[name]

    def wait_until_up(self) -> None:
        """Wait until it answers HTTP at all.

        A program that finds the database away ends and says so; it is started again, as a service is.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if time.monotonic() > deadline:
                log = self._logs / f"{self.name}-{self._lives}.log"
                raise TimeoutError(f"{self.name} did not come up:\n{log.read_text(encoding='utf-8')[-4000:]}")
            if not self._running().is_alive():
                self._life.close()
                time.sleep(_RESTART_SECONDS)
                self.start()
            try:
                httpx2.get(self._url, timeout=2, trust_env=False)
            except httpx2.HTTPError:
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def kill(self) -> None:
        """End with its threads and all they held."""
        process = self._running()
        process.kill()
        process.join()
        self._life.close()

    def stand_still(self) -> None:
        """Send SIGSTOP, unless it has ended with something it needs, for then it stands still already."""
        with suppress(ProcessLookupError):
            os.kill(self._pid(), signal.SIGSTOP)

    def go_on(self) -> None:
        """Send SIGCONT."""
        with suppress(ProcessLookupError):
            os.kill(self._pid(), signal.SIGCONT)

    def stop(self) -> None:
        """Send SIGTERM and wait."""
        self._life.close()

    def _running(self) -> ForkServerProcess:
        assert self._process is not None
        return self._process

    def _pid(self) -> int:
        pid = self._running().pid
        assert pid is not None
        return pid


class DatabaseMachine:
    """A PostgreSQL server with all its processes."""

    def __init__(self, name: str, server: CrashablePostgres) -> None:
        self.name = name
        self._server = server
        self._stopped: list[int] = []

    def start(self) -> None:
        """Come back, and recover from the write-ahead log."""
        self._server.start()

    def wait_until_up(self) -> None:
        """Wait until recovery is over."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._server.connect().close()
            except psycopg.OperationalError as exc:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} did not come up") from exc
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def kill(self) -> None:
        """Kill the server and every process of it."""
        self._server.kill()

    def stand_still(self) -> None:
        """Stop every process of it: sessions hang in the middle of what they do."""
        self._stopped = self._server.processes()
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them go on."""
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """Nothing: whoever started the server ends it."""
