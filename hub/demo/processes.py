# SPDX-License-Identifier: Apache-2.0
"""The demonstration's processes: each with its own log file, waited for, and ended by the id it got."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_SHOWN_LINES = 20


class StartError(RuntimeError):
    """A process did not come up; the message holds the end of its log."""


@contextmanager
def running(
    name: str, arguments: Sequence[str], *, logs: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for as long as the block lasts."""
    with (logs / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own arguments
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_http(process: subprocess.Popen[bytes], url: str, *, log: Path) -> None:
    """Wait until a process answers HTTP at all.

    Raises:
        StartError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartError(f"the process ended with {process.returncode}:\n{_tail(log)}")
        try:
            httpx2.get(url, timeout=1.0)
        except httpx2.HTTPError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise StartError(f"{url} did not answer within {_START_SECONDS:.0f} s:\n{_tail(log)}")


def wait_for_file(process: subprocess.Popen[bytes], file: Path, *, log: Path) -> None:
    """Wait until a process has written the file that says it is ready.

    Raises:
        StartError: it ended, or did not write it in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"{file.name} was not written:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def all_running(
    commands: Mapping[str, Sequence[str]], *, logs: Path, environment: Mapping[str, str]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run several processes, started at the same time, for as long as the block lasts."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(name, arguments, logs=logs, environment=environment))
            for name, arguments in commands.items()
        }


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])
