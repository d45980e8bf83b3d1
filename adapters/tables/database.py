# SPDX-License-Identifier: Apache-2.0
"""One department's database: transactions that end in time, and errors that carry no values.

A time limit is given to the server first; a server that no longer answers at all is cut off by this side.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import MetaData, Table, exc, text

from adapters.ports import NotAskedError
from adapters.tables.cells import to_json
from adapters.tables.connecting import make_engine
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from adapters.addresses import AddressGuard
    from adapters.ports import JsonObject, JsonValue
    from adapters.tables.settings import DatabaseSettings
    from hub.clock import Clock

_GRACE_SECONDS = 2.0
# SQLSTATE class 57014 and its like: told to stop; PostgreSQL, MariaDB and MySQL, Oracle.
_LATE = frozenset({"57014", "25P03", "1969", "3024", "1317", "2013", "interrupted"})
_BUSY = frozenset({"40001", "40P01", "55P03", "1205", "1213", "database is locked"})
_SIGN_IN = frozenset({"28000", "28P01", "1044", "1045", "1698", "1251"})
_PROGRESS_STEPS = 10_000


class Database:
    """Connections to one database. Safe to use from several threads.

    Args:
        settings: where it is.
        guard: says which addresses may be connected to.
        seconds: the longest a transaction may take.
        at: where the description stands, for errors.
        clock: what time it is.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        guard: AddressGuard,
        *,
        seconds: float,
        at: str,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.now = clock.now
        self.zone = ZoneInfo(settings.time_zone)
        self._at = at
        self._engine = make_engine(settings, guard, seconds=seconds, at=at)
        self._tables: dict[str, Table] = {}

    @property
    def dialect(self) -> str:
        """Its engine's name, as SQLAlchemy has it."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, seconds: float, *, reads_only: bool = False) -> Iterator[Connection]:
        """Do some statements as one, within `seconds`.

        Raises:
            NotAskedError: `adapter.system_unreachable`, nothing was done, or `adapter.address_forbidden`.
            AdapterError: `adapter.system_timeout`; `adapter.system_unreachable` (others hold locks: again
                later); `adapter.system_fault`, with the database's own code.
        """
        started = time.monotonic()
        with _translated(is_asked=False):
            connection = self._engine.connect()
        try:
            left = max(seconds - (time.monotonic() - started), 0.001)
            with _translated(is_asked=True), _limited(connection, left), connection.begin():
                self._begin(connection, left, reads_only=reads_only)
                yield connection
        except BaseException:
            # What state the connection is in now is not worth finding out.
            with suppress(exc.SQLAlchemyError):
                connection.invalidate()
            raise
        finally:
            with suppress(exc.SQLAlchemyError):
                connection.close()

    def table(self, connection: Connection, name: str) -> Table:
        """Return a table or view as it is in the database.

        Raises:
            AdapterError: `adapter.configuration_invalid`, it is not there.
        """
        if name not in self._tables:
            try:
                schema = self.settings.schema_name
                self._tables[name] = Table(name, MetaData(), schema=schema, autoload_with=connection)
            except exc.NoSuchTableError as error:
                detail = f"{self._at}: there is no table {name!r}, or this user may not see it"
                raise AdapterError("adapter.configuration_invalid", detail) from error
        return self._tables[name]

    def columns(self, table: Table, names: Iterable[str]) -> list[Any]:
        """Return columns by name; raises as `table` does."""
        missing = [name for name in names if name not in table.columns]
        if missing:
            detail = f"{self._at}: {table.name!r} has no column {', '.join(map(repr, missing))}"
            raise AdapterError("adapter.configuration_invalid", detail)
        return [table.columns[name] for name in names]

    def row(self, names: Sequence[str], cells: Iterable[Any]) -> JsonObject:
        """Return a result row as JSON.

        Raises:
            AdapterError: `adapter.answer_unreadable`, naming the column and no value.
        """
        row: dict[str, JsonValue] = {}
        for name, cell in zip(names, cells, strict=True):
            try:
                row[name] = to_json(cell, self.zone, trims=self.settings.trim)
            except ValueError as error:
                raise AdapterError("adapter.answer_unreadable", f"column {name!r}: {error}") from error
        if len(row) != len(names):
            raise AdapterError(
                "adapter.answer_unreadable", "two columns have the same name; name them with AS"
            )
        return row

    def _begin(self, connection: Connection, seconds: float, *, reads_only: bool) -> None:
        milliseconds = max(1, int(seconds * 1000))
        match self.dialect:
            case "postgresql":
                if reads_only:
                    connection.execute(text("SET TRANSACTION READ ONLY"))
                connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
                # This side may think between two statements; the server ends what it has forgotten.
                forgotten = milliseconds + int(_GRACE_SECONDS * 1000)
                connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {forgotten}"))
            case "mysql" | "mariadb":
                mode = "READ ONLY" if reads_only else "READ WRITE"
                connection.execute(text(f"SET SESSION TRANSACTION {mode}"))
                whole = max(1, round(seconds))
                connection.execute(text(f"SET SESSION innodb_lock_wait_timeout = {whole}"))
                if getattr(connection.dialect, "is_mariadb", False):
                    connection.execute(text(f"SET SESSION max_statement_time = {seconds:.3f}"))
                else:
                    connection.execute(text(f"SET SESSION max_execution_time = {milliseconds}"))
            case "sqlite":
                connection.execute(text(f"PRAGMA query_only = {'ON' if reads_only else 'OFF'}"))
                if not reads_only:
                    # Otherwise what was read could be written by somebody else before it is written here.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
            case "oracle" if reads_only:
                connection.execute(text("SET TRANSACTION READ ONLY"))
            case _:
                pass


@contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection off when its server does not end in time by itself."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        deadline = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            yield
        finally:
            with suppress(Exception):
                driver.set_progress_handler(None, 0)
        return
    timer = threading.Timer(seconds + _GRACE_SECONDS, _cut, (driver,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _cut(driver: Any) -> None:
    """Shut a driver's socket down, wherever it waits."""
    with suppress(Exception):
        has_number = hasattr(driver, "fileno")
        number = driver.fileno() if has_number else driver._sock.fileno()  # noqa: SLF001 - told nowhere else
        with socket.socket(fileno=os.dup(number)) as copy:
            copy.shutdown(socket.SHUT_RDWR)


@contextmanager
def _translated(*, is_asked: bool) -> Iterator[None]:
    """Turn a driver's errors into coded ones; its words may quote values and stay in the cause only."""
    try:
        yield
    except exc.TimeoutError as error:
        raise NotAskedError("adapter.system_timeout", "no connection became free in time") from error
    except exc.DBAPIError as error:
        raise _coded(error, is_asked=is_asked) from error
    except (exc.SQLAlchemyError, RuntimeError) as error:
        raise AdapterError("adapter.system_fault", type(error).__name__) from error


def _coded(error: exc.DBAPIError, *, is_asked: bool) -> AdapterError:
    mark = _mark_of(error)
    shown = f"{type(error.orig).__name__} {mark}".strip()
    if mark in _SIGN_IN or "password authentication failed" in str(error.orig):
        return NotAskedError("adapter.system_fault", "the database refuses the sign-in")
    if not is_asked:
        return NotAskedError("adapter.system_unreachable", shown)
    if mark in _LATE:
        return AdapterError("adapter.system_timeout", shown)
    if mark in _BUSY or error.connection_invalidated:
        return AdapterError("adapter.system_unreachable", shown)
    return AdapterError("adapter.system_fault", shown)


def _mark_of(error: exc.DBAPIError) -> str:
    """Return the database's own code for an error: SQLSTATE, the server's number, or SQLite's words."""
    original: Any = error.orig
    first = original.args[0] if original is not None and original.args else ""
    if isinstance(first, int):
        return str(first)
    state = getattr(original, "sqlstate", None)
    if state:
        return str(state)
    return str(first) if first in _LATE | _BUSY else ""
