# SPDX-License-Identifier: Apache-2.0
"""`heliograph serve --workers`: real processes on one socket, that end, are killed and are replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from hub.demo.preparation import DemoFolder, prepare
from hub.envelope import CONTAINER_MEDIA_TYPE
from tests.journeys.serving import wait_for
from tests.pki import PASSPHRASE, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.demo.preparation import Prepared
    from tests.pki import ServedPki

PROJECT = Path(__file__).parents[2]
SECONDS = 120.0


@dataclass(frozen=True)
class Served:
    """A supervisor, seen from outside."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def children(self) -> set[int]:
        """Return the processes it has now, from the system's own list."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in tasks.read_text(encoding="ascii").split()}

    def answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=60).status_code == 200
        except httpx2.HTTPError:
            return False

    def listening(self) -> set[int]:
        """Return the children that have said where they listen: they serve."""
        told = self.log.read_text(encoding="utf-8").count("The hub listens on")
        return self.children() if told >= 2 else set()


@pytest.fixture(scope="module")
def prepared(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("workers")
    (folder / "passphrase").write_bytes(PASSPHRASE)
    return prepare(DemoFolder(folder), pki)


def command(prepared: Prepared, *more: str, settings: Mapping[str, str], log: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, **prepared.environment}
    environment |= {f"HELIOGRAPH_{name.upper()}": value for name, value in settings.items()}
    with log.open("w", encoding="utf-8") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "hub.cli", "serve", "--config", prepared.folder.hub_config, *more],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
        )


@contextmanager
def serving_with(prepared: Prepared, database: str, folder: Path) -> Iterator[Served]:
    """Run two processes, and leave none behind whatever happens."""
    port, log = free_port(), folder / "log.txt"
    settings = {"database_url": database, "port": str(port), "log_head": str(folder / "head.txt")}
    process = command(prepared, "--workers", "2", settings=settings, log=log)
    served = Served(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_until(lambda: process.poll() is not None or len(served.listening()) == 2, log)
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def wait_until(is_done: object, log: Path) -> None:
    for _ in range(int(SECONDS / 10)):
        try:
            wait_for(is_done)  # type: ignore[arg-type]  # a function
        except AssertionError:
            continue
        return
    raise AssertionError(log.read_text(encoding="utf-8"))


def refused(prepared: Prepared, folder: Path, **settings: str) -> str:
    log = folder / "refusal.txt"
    assert command(prepared, "--workers", "3", settings=settings, log=log).wait(SECONDS) == 1
    return log.read_text(encoding="utf-8")


def is_running(pid: int) -> bool:
    """Say whether a process is there; one that has ended and was not asked for is not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def test_several_processes_need_postgresql(prepared: Prepared, tmp_path: Path) -> None:
    told = refused(prepared, tmp_path, database_url=f"sqlite:///{tmp_path / 'hub.sqlite'}")
    assert "settings.workers_need_postgresql" in told
    assert not (tmp_path / "hub.sqlite").exists()


def test_an_address_in_use_is_refused(prepared: Prepared, tmp_path: Path, postgresql_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = refused(prepared, tmp_path, database_url=postgresql_url, port=str(taken.getsockname()[1]))
    assert "settings.address_unusable" in told


def test_what_refuses_the_first_process_is_said_once_and_ends_all(prepared: Prepared, tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    told = refused(prepared, tmp_path, database_url=nowhere, port=str(free_port()))
    assert told.count("settings.database_unusable") == 1


def test_a_process_that_is_killed_is_replaced_and_the_others_serve_on(
    prepared: Prepared, tmp_path: Path, postgresql_url: str
) -> None:
    with serving_with(prepared, postgresql_url, tmp_path) as served:
        for _ in range(3):
            before = served.children()
            os.kill(min(before), signal.SIGKILL)
            # The socket is the supervisor's: no connection is refused, and the other process answers.
            assert served.answers()
            wait_until(lambda known=before: len(served.children() - known) == 1, served.log)
            wait_until(lambda: len(served.children()) == 2, served.log)
        answer = httpx2.post(
            f"{served.url}/api/v1/messages",
            content=b"no container",
            headers={"Content-Type": CONTAINER_MEDIA_TYPE},
            timeout=30,
        )
        assert answer.status_code == 400, answer.text


def test_a_signal_to_the_supervisor_ends_all_cleanly(
    prepared: Prepared, tmp_path: Path, postgresql_url: str
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving_with(prepared, postgresql_url, tmp_path) as served:
            children = served.children()
            served.process.send_signal(number)
            assert served.process.wait(60) == 0, served.log.read_text(encoding="utf-8")
            assert not any(map(is_running, children))
            assert not served.answers()
            assert "Traceback" not in served.log.read_text(encoding="utf-8")


def test_no_process_outlives_a_supervisor_that_was_killed(
    prepared: Prepared, tmp_path: Path, postgresql_url: str
) -> None:
    with serving_with(prepared, postgresql_url, tmp_path) as served:
        children = served.children()
        served.process.kill()
        served.process.wait(20)
        wait_until(lambda: not any(map(is_running, children)), served.log)
        assert not served.answers()
