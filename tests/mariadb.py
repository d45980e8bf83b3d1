# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB server for tests that want one: Debian's programs, an own folder, a port on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 60.0
USER = "department"
PASSWORD = "just-for-this-test"  # noqa: S105 - of a server that lives as long as the test


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


@dataclass(frozen=True)
class MariaDbServer:
    """A running server; its administrator comes through the socket without a password."""

    port: int
    socket: Path

    def administer(self, *statements: str, database: str | None = None) -> None:
        """Run statements as the server's administrator."""
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the name of an empty database in which the department's user may do everything."""
        name = f"test_{secrets.token_hex(6)}"
        self.administer(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"GRANT ALL ON {name}.* TO {USER}@'%'"
        )
        try:
            yield name
        finally:
            self.administer(f"DROP DATABASE {name}")


@contextmanager
def running_mariadb() -> Iterator[MariaDbServer]:
    """Run a server for as long as the block lasts."""
    server_program, install = _program("mariadbd"), _program("mariadb-install-db")
    if server_program is None or install is None:
        pytest.skip("needs MariaDB's server (Debian: mariadb-server)")
    folder = Path(tempfile.mkdtemp(prefix="heliograph-mariadb-"))
    user = ["--user=root"] if os.geteuid() == 0 else []
    try:
        subprocess.run(
            [install, f"--datadir={folder}/data", "--auth-root-authentication-method=normal", *user],
            check=True,
            capture_output=True,
        )
        running = MariaDbServer(free_port(), folder / "s")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    server_program,
                    "--no-defaults",
                    *user,
                    f"--datadir={folder}/data",
                    f"--socket={running.socket}",
                    f"--port={running.port}",
                    f"--pid-file={folder}/pid",
                    "--bind-address=127.0.0.1",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=16M",
                    "--skip-name-resolve",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait(process, running, folder / "log")
            running.administer(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], server: MariaDbServer, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(server.socket):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text(encoding="utf-8", errors="replace"))
        time.sleep(0.1)


def _listens(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(str(place)) == 0


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDbServer]:
    """The server all tests of this process share."""
    with running_mariadb() as server:
        yield server
