# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from hub.database import Writer, keep_append_only, open_database
from tests.postgresql import on_postgresql, on_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine


@pytest.fixture
def lines() -> Table:
    table = Table("lines", MetaData(), Column("number", Integer, primary_key=True), Column("line", Text))
    keep_append_only(table)
    return table


@pytest.fixture
def engine(lines: Table, database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url, lines.metadata)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    writer = Writer(engine)
    yield writer
    writer.close()


def adding(lines: Table, number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(insert(lines), {"number": number, "line": "a line"})
        return number

    return work


def count(engine: Engine, lines: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(lines)).scalar_one()


class Gate:
    """Holds the writer inside a unit until it is opened, so that what follows waits and shares a commit."""

    def __init__(self, writer: Writer) -> None:
        self._open = threading.Event()
        self._reached = threading.Event()
        self._held = writer.submit(self._wait)
        assert self._reached.wait(10)

    def _wait(self, _connection: Connection) -> None:
        self._reached.set()
        assert self._open.wait(10)

    def release(self) -> None:
        self._open.set()

    def open(self) -> None:
        self.release()
        self._held.result(10)


@on_sqlite
def test_sqlite_flushes_every_commit_to_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


@on_postgresql
def test_postgresql_flushes_every_commit_also_where_the_database_says_otherwise(
    engine: Engine, lines: Table
) -> None:
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"))
    again = open_database(str(engine.url), lines.metadata)
    with again.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
    again.dispose()


def test_a_database_opens_again_with_what_was_written(engine: Engine, lines: Table, writer: Writer) -> None:
    writer.run(adding(lines, 1))
    again = open_database(str(engine.url), lines.metadata)
    assert count(again, lines) == 1
    again.dispose()


def test_a_unit_returns_its_result_after_the_commit(engine: Engine, lines: Table, writer: Writer) -> None:
    assert writer.run(adding(lines, 7)) == 7
    assert count(engine, lines) == 1


def test_waiting_units_share_one_commit(engine: Engine, lines: Table, writer: Writer) -> None:
    gate = Gate(writer)
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    futures = [writer.submit(adding(lines, number)) for number in range(50)]
    gate.open()
    assert [future.result() for future in futures] == list(range(50))
    # The gate's own commit, and one for all the others.
    assert len(commits) == 2


def test_a_unit_that_fails_is_taken_back_alone(engine: Engine, lines: Table, writer: Writer) -> None:
    def fail(connection: Connection) -> None:
        adding(lines, 2)(connection)
        raise KeyError("after it wrote")

    gate = Gate(writer)
    first, failing, last = (
        writer.submit(adding(lines, 1)),
        writer.submit(fail),
        writer.submit(adding(lines, 3)),
    )
    gate.open()
    assert isinstance(failing.exception(), KeyError)
    assert (first.result(), last.result()) == (1, 3)
    assert count(engine, lines) == 2


def test_when_the_commit_fails_every_caller_hears_it(engine: Engine, lines: Table, writer: Writer) -> None:
    def refuse(_connection: Connection) -> None:
        raise OSError("the disk is gone")

    gate = Gate(writer)
    futures = [writer.submit(adding(lines, number)) for number in range(3)]
    event.listen(engine, "commit", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        gate.open()
    for future in futures:
        assert isinstance(future.exception(), OSError)
    event.remove(engine, "commit", refuse)
    assert count(engine, lines) == 0
    assert writer.run(adding(lines, 9)) == 9


@on_sqlite
def test_a_transaction_the_database_gave_up_is_not_acknowledged(
    engine: Engine, lines: Table, writer: Writer
) -> None:
    def give_up(connection: Connection) -> None:
        # What SQLite does by itself when the disk is full.
        connection.exec_driver_sql("ROLLBACK")

    gate = Gate(writer)
    futures = [writer.submit(work) for work in (adding(lines, 1), give_up)]
    gate.release()
    for future in futures:
        assert future.exception() is not None
    assert count(engine, lines) == 0
    assert writer.run(adding(lines, 9)) == 9


def test_a_caller_who_gave_up_stops_nobody_else(engine: Engine, lines: Table, writer: Writer) -> None:
    gate = Gate(writer)
    given_up = writer.submit(adding(lines, 1))
    wanted = writer.submit(adding(lines, 2))
    assert given_up.cancel()
    gate.open()
    assert wanted.result(10) == 2
    with pytest.raises(CancelledError):
        given_up.result(10)
    assert count(engine, lines) == 1


def test_an_asynchronous_caller_waits_without_blocking(engine: Engine, lines: Table, writer: Writer) -> None:
    async def several() -> list[int]:
        return await asyncio.gather(*(writer.run_async(adding(lines, number)) for number in range(20)))

    assert asyncio.run(several()) == list(range(20))
    assert count(engine, lines) == 20


def test_a_unit_cannot_wait_for_another_one(lines: Table, writer: Writer) -> None:
    with pytest.raises(RuntimeError, match="cannot wait"):
        writer.run(lambda _connection: writer.run(adding(lines, 1)))


def test_a_closed_writer_has_finished_and_takes_no_more(engine: Engine, lines: Table) -> None:
    writer = Writer(engine)
    futures = [writer.submit(adding(lines, number)) for number in range(20)]
    writer.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        writer.submit(adding(lines, 99))


def test_a_writer_waits_for_the_writer_of_another_process(
    engine: Engine, lines: Table, writer: Writer
) -> None:
    def read_then_write(connection: Connection) -> None:
        number = connection.execute(select(func.count()).select_from(lines)).scalar_one()
        adding(lines, number)(connection)

    other_engine = open_database(str(engine.url), lines.metadata)
    other = Writer(other_engine)
    futures = [each.submit(read_then_write) for _ in range(25) for each in (writer, other)]
    for future in futures:
        future.result(20)
    other.close()
    other_engine.dispose()
    assert count(engine, lines) == 50


CHANGES = [
    "UPDATE lines SET line = 'another'",
    "DELETE FROM lines",
    "INSERT INTO lines VALUES (1, 'another') ON CONFLICT (number) DO UPDATE SET line = 'another'",
]
CHANGES_BY_DATABASE = [
    *(("sqlite", change) for change in (*CHANGES, "INSERT OR REPLACE INTO lines VALUES (1, 'another')")),
    *(("postgresql", change) for change in (*CHANGES, "TRUNCATE lines")),
]


@pytest.mark.parametrize(("database_url", "statement"), CHANGES_BY_DATABASE, indirect=["database_url"])
def test_an_append_only_table_refuses_everything_else(
    engine: Engine, lines: Table, writer: Writer, statement: str
) -> None:
    writer.run(adding(lines, 1))
    with engine.connect() as connection, pytest.raises(DBAPIError, match="lines is append-only"):
        connection.execute(text(statement))
    writer.run(adding(lines, 2))
    with engine.connect() as connection:
        assert connection.execute(select(lines.c.line).distinct()).scalars().all() == ["a line"]


@on_sqlite
def test_a_reader_cannot_take_the_write_lock_by_accident(
    engine: Engine, lines: Table, writer: Writer
) -> None:
    with engine.connect() as connection:
        assert count(engine, lines) == 0
        connection.execute(select(lines))
        writer.run(adding(lines, 1))
        with pytest.raises(OperationalError, match="locked"):
            adding(lines, 2)(connection)
