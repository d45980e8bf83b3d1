# SPDX-License-Identifier: Apache-2.0
"""The demonstration's processes: each with its own log file, waited for, and ended by the id it got.

They are forked from one server process that has imported everything once: six Pythons that each import the
same libraries would take most of the demonstration's time.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_SHOWN_LINES = 20
_PRELOADED = (
    "adapters.rest",
    "adapters.server",
    "adapters.sftp",
    "adapters.simulators.pki",
    "adapters.simulators.serving",
    "adapters.soap",
    "hub.app",
    "hub.cli.administration",
    "hub.cli.evidence",
    "hub.documents",
    "uvicorn.protocols.http.httptools_impl",
)


class StartError(RuntimeError):
    """A process did not come up; the message holds the end of its log."""


@dataclass(frozen=True)
class Program:
    """What a process runs.

    Attributes:
        entry: `module:function`; the function takes no arguments and reads `sys.argv`.
        arguments: what stands on its command line.
    """

    entry: str
    arguments: Sequence[str]


def begin_importing() -> None:
    """Start the process that imports everything, so that it does so while others have work of their own."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(_PRELOADED))
    forkserver.ensure_running()


@contextmanager
def all_running(
    programs: Mapping[str, Program], *, logs: Path, environment: Mapping[str, str]
) -> Iterator[dict[str, ForkServerProcess]]:
    """Run programs, started at the same time, each in its own process, for as long as the block lasts."""
    begin_importing()
    context = multiprocessing.get_context("forkserver")
    processes = {
        name: context.Process(target=_run, args=(program, logs / f"{name}.log", dict(environment)))
        for name, program in programs.items()
    }
    try:
        for process in processes.values():
            process.start()
        yield processes
    finally:
        _stop([process for process in processes.values() if process.pid is not None])


def wait_for_http(
    process: ForkServerProcess, url: str, *, log: Path, tls: ssl.SSLContext | None = None
) -> None:
    """Wait until a process answers HTTP at all.

    Raises:
        StartError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not process.is_alive():
            raise StartError(f"the process ended with {process.exitcode}:\n{_tail(log)}")
        try:
            httpx2.get(url, timeout=1.0, trust_env=False, verify=tls or True)
        except httpx2.HTTPError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise StartError(f"{url} did not answer within {_START_SECONDS:.0f} s:\n{_tail(log)}")


def wait_for_file(process: ForkServerProcess, file: Path, *, log: Path) -> None:
    """Wait until a process has written the file that says it is ready.

    Raises:
        StartError: it ended, or did not write it in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not file.exists():
        if not process.is_alive() or time.monotonic() > deadline:
            raise StartError(f"{file.name} was not written:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _stop(processes: Sequence[ForkServerProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _run(program: Program, log: Path, environment: Mapping[str, str]) -> None:
    """Become the program: its log for its output, its arguments, its secrets."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.environ.update(environment)
    sys.argv = [program.entry, *program.arguments]
    module, function = program.entry.split(":")
    getattr(importlib.import_module(module), function)()


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-_SHOWN_LINES:])
