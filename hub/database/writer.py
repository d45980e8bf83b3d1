# SPDX-License-Identifier: Apache-2.0
"""One thread that writes, and the flush that many callers share."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hub.database.engine import WRITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

MOST_UNITS_IN_ONE_COMMIT = 512


class _Unit(Generic[T]):
    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        # Lines of log and traces of the work belong to who asked for it, not to the thread that does it.
        self.context = contextvars.copy_context()
        self.future: Future[T] = Future()

    def attempt(self, connection: Connection) -> Callable[[], None]:
        """Run the work and return what to tell the caller once the transaction is safe."""
        try:
            with connection.begin_nested():
                result = self.context.run(self.work, connection)
        except BaseException as error:  # noqa: BLE001 - handed to the caller; this thread must live on
            refusal = error
            return lambda: self.future.set_exception(refusal)
        return lambda: self.future.set_result(result)


class Writer:
    """The one thread that writes; callers wait for the flush their work shares with others'.

    Args:
        engine: opened by `open_database`.
        measure: is told of every transaction how many units it had, and how many seconds it took.
    """

    def __init__(self, engine: Engine, measure: Callable[[int, float], None] | None = None) -> None:
        self._engine = engine
        self._measure = measure
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
                began = time.perf_counter()
                self._commit(wanted)
                if self._measure is not None:
                    self._measure(len(wanted), time.perf_counter() - began)

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
                self._engine.connect().execution_options(**WRITING) as connection,
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


def _require_transaction(connection: Connection) -> None:
    # On a full disk SQLite rolls back the whole transaction by itself; what follows would then be committed
    # statement by statement.
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raise RuntimeError("the database gave up the transaction")
