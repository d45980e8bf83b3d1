# SPDX-License-Identifier: Apache-2.0
"""The database: one engine, one writer, group commit, and tables nobody can rewrite.

All writes of a process go through one `Writer` thread. It puts every unit of work that is waiting into one
transaction, so many callers share one disk flush, and nobody is told "done" before the flush. A unit that
fails is rolled back alone, to its savepoint. Several processes may write to one database: SQLite lets one in
at a time, PostgreSQL decides row by row.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

metadata = MetaData()
"""Every slice's `store.py` declares its tables here and is the only one to touch them."""

MOST_UNITS_IN_ONE_COMMIT = 512

_IS_WRITER = "heliograph_is_writer"


def open_database(url: str) -> Engine:
    """Open the database and create what is missing in it.

    SQLite runs in WAL mode with a full flush on every commit: an acknowledged write survives a power cut.

    Args:
        url: an SQLAlchemy URL, for example `sqlite:////var/lib/heliograph/hub.sqlite`.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    engine.dialect.do_savepoint = _savepoint  # type: ignore[method-assign]  # see there
    engine.dialect.do_release_savepoint = _release_savepoint  # type: ignore[method-assign]  # see there
    metadata.create_all(engine)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself, or savepoints break.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer asks for the write lock at once: a transaction that has read before it asks cannot get it any
    # more when another process wrote in between.
    is_writer = connection.get_execution_options().get(_IS_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _savepoint(connection: Connection, name: str) -> None:
    # SQLAlchemy compiles the statement anew for every name, which takes longer than all else an append does.
    _run_plainly(connection, f"SAVEPOINT {name}")


def _release_savepoint(connection: Connection, name: str) -> None:
    _run_plainly(connection, f"RELEASE SAVEPOINT {name}")


def _run_plainly(connection: Connection, statement: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def _require_transaction(connection: Connection) -> None:
    # On a full disk SQLite rolls back the whole transaction by itself; what follows would then be committed
    # statement by statement.
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raise RuntimeError("the database gave up the transaction")


def keep_append_only(table: Table) -> None:
    """Have the database itself refuse to change or remove a row of `table`.

    The triggers are made together with the table. SQLite's `INSERT OR REPLACE` removes rows without asking
    the delete trigger, so a row whose key is taken is refused before it is inserted.
    """
    name = table.name
    keys = " AND ".join(f'"{column.name}" = NEW."{column.name}"' for column in table.primary_key)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
    taken = f'WHEN EXISTS (SELECT 1 FROM "{name}" WHERE {keys})'  # noqa: S608 - names of our own tables
    for moment, condition in (("UPDATE", ""), ("DELETE", ""), ("INSERT", taken)):
        trigger = f'"{name}_no_{moment.lower()}" BEFORE {moment} ON "{name}" {condition}'
        _after_creation(table, "sqlite", f"CREATE TRIGGER {trigger} {refuse}")
    _after_creation(
        table,
        "postgresql",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
    )
    _after_creation(
        table,
        "postgresql",
        f'CREATE TRIGGER "{name}_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "{name}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _after_creation(table: Table, dialect: str, statement: str) -> None:
    def create(_table: Table, connection: Connection, **_options: object) -> None:
        if connection.dialect.name == dialect:
            connection.exec_driver_sql(statement)

    event.listen(table, "after_create", create)


class _Unit(Generic[T]):
    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.future: Future[T] = Future()

    def attempt(self, connection: Connection) -> Callable[[], None]:
        """Run the work and return what to tell the caller once the transaction is safe."""
        try:
            with connection.begin_nested():
                result = self.work(connection)
        except BaseException as error:  # noqa: BLE001 - handed to the caller; this thread must live on
            refusal = error
            return lambda: self.future.set_exception(refusal)
        return lambda: self.future.set_result(result)


class Writer:
    """The one thread that writes; callers wait for the flush their work shares with others'."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Unit[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._closing = threading.Lock()
        self._is_closed = False
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Queue a unit of work; the future resolves after the commit that holds it."""
        unit = _Unit(work)
        with self._closing:
            if self._is_closed:
                raise RuntimeError("the database writer is closed")
            self._queue.put(unit)
        return unit.future

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do a unit of work and wait until it is durable; never from inside another unit."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a unit of work cannot wait for another one")
        return self.submit(work).result()

    async def run_async(self, work: Callable[[Connection], T]) -> T:
        """Do a unit of work without blocking the event loop, and wait until it is durable."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """Finish what is queued and stop."""
        with self._closing:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            units, is_open = self._take_batch()
            # A caller may have given up meanwhile; from here on a unit can no longer be cancelled.
            wanted = [unit for unit in units if unit.future.set_running_or_notify_cancel()]
            if wanted:
                self._commit(wanted)

    def _take_batch(self) -> tuple[list[_Unit[Any]], bool]:
        batch: list[_Unit[Any]] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == MOST_UNITS_IN_ONE_COMMIT or self._queue.empty():
                return batch, True
            item = self._queue.get()
        return batch, False

    def _commit(self, units: list[_Unit[Any]]) -> None:
        try:
            with (
                self._engine.connect().execution_options(**{_IS_WRITER: True}) as connection,
                connection.begin(),
            ):
                announcements = [unit.attempt(connection) for unit in units]
                _require_transaction(connection)
        except BaseException as error:  # noqa: BLE001 - the whole transaction failed: every caller hears why
            for unit in units:
                unit.future.set_exception(error)
            return
        for announce in announcements:
            announce()
