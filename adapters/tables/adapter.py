# SPDX-License-Identifier: Apache-2.0
"""Answer questions from a department's tables, or put what arrives into one of them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, literal, select

from adapters.ports import Answer, Call, DeferredError, JsonObject, JsonValue
from adapters.sources import Probe, found
from adapters.tables.cells import to_cell
from adapters.tables.database import Database
from adapters.tables.settings import PutSettings, TableSettings, WaitSettings
from adapters.tables.statements import bound, parameters_of
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Select, Table

    from adapters.entry import ServiceEntry

_MOST_LIST_ELEMENTS = 5_000
_LOOK_SECONDS = 0.2


class TableAdapter:
    """One question a database answers, or one table that takes messages.

    Args:
        entry: the service as described.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the description cannot be used.
    """

    def __init__(self, entry: ServiceEntry) -> None:
        self._entry = entry
        self._translation = entry.translation
        self._settings = settings = entry.settings(TableSettings)
        at = f"{entry.at}.connection"
        if settings.put is not None and settings.put.answer is not None and not entry.is_repeatable:
            raise AdapterError(
                "adapter.configuration_invalid", f"{at}.put: knows a message by its id: repeatable"
            )
        own = () if settings.is_local else ((settings.host or "", settings.port_number or 0),)
        self._database = Database(
            settings, entry.guard(*own), seconds=entry.timeout_seconds, at=at, clock=entry.clock
        )

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the database, or write into it; see `adapters.ports.Adapter`."""
        deadline = time.monotonic() + self._entry.seconds_for(call)
        words = self._translation.to_system(request, call)
        put = self._settings.put
        if put is None:
            rows: Sequence[JsonValue] = self._ask(words, deadline)
        else:
            self._put(put, words, call, deadline)
            rows = [] if put.answer is None else [self._wait(put.answer, call, deadline)]
        answer: JsonObject = {"rows": rows, "count": len(rows)}
        return Answer(self._translation.to_contract(answer, request, call))

    def probe(self, seconds: float) -> Probe:
        """Sign in and look at the tables; see `adapters.ports.Adapter`."""
        started = time.monotonic()
        at = f"{self._entry.at}.connection"
        try:
            with self._database.transaction(seconds, reads_only=True) as connection:
                self._look_at_tables(connection)
        except AdapterError as error:
            finding = found("table.not_usable", at, fault=error.code, reason=error.detail)
            return Probe(is_reachable=False, took_seconds=time.monotonic() - started, findings=(finding,))
        findings = []
        if not self._settings.is_local and self._settings.tls is None:
            findings.append(found("table.not_encrypted", f"{at}.tls", host=self._settings.host or ""))
        took = time.monotonic() - started
        return Probe(is_reachable=True, took_seconds=took, findings=tuple(findings))

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def _look_at_tables(self, connection: Connection) -> None:
        settings, database = self._settings, self._database
        if settings.table is not None:
            table = database.table(connection, settings.table)
            database.columns(table, (*settings.columns, *settings.by, *settings.order_by))
        elif settings.put is not None:
            put, answer = settings.put, settings.put.answer
            database.columns(database.table(connection, put.table), (put.message_id,))
            if answer is not None:
                names = (answer.message_id, *answer.ready)
                database.columns(database.table(connection, answer.table), names)
        else:
            connection.execute(select(literal(1)))

    def _ask(self, words: JsonObject, deadline: float) -> list[JsonValue]:
        with self._database.transaction(_left(deadline), reads_only=True) as connection:
            if self._settings.query is not None:
                return self._run_query(connection, self._settings.query, words)
            assert self._settings.table is not None  # noqa: S101 - the settings have exactly one
            table = self._database.table(connection, self._settings.table)
            return self._rows(connection, self._selected(table, words), {})

    def _run_query(self, connection: Connection, query: str, words: JsonObject) -> list[JsonValue]:
        _require_names(words, parameters_of(query))
        lists = {name for name, value in words.items() if isinstance(value, list)}
        values = {name: _parameter(name, value) for name, value in words.items()}
        if connection.dialect.name in {"mysql", "mariadb"}:
            connection.exec_driver_sql(f"SET SESSION sql_select_limit = {self._settings.max_rows + 1}")
        return self._rows(connection, bound(query, frozenset(lists)), values)

    def _selected(self, table: Table, words: JsonObject) -> Select[Any]:
        settings = self._settings
        _require_names(words, frozenset(settings.by))
        names = settings.columns or tuple(table.columns.keys())
        statement = select(*self._database.columns(table, names)).limit(settings.max_rows + 1)
        for column in self._database.columns(table, settings.by):
            value = _parameter(column.name, words[column.name])
            cells = [self._cell(column, each) for each in (value if isinstance(value, list) else [value])]
            statement = statement.where(column.in_(cells) if isinstance(value, list) else column == cells[0])
        return statement.order_by(*self._database.columns(table, settings.order_by))

    def _rows(self, connection: Connection, statement: Any, values: dict[str, Any]) -> list[JsonValue]:
        """Read all rows, and refuse more than may be rather than leave some out."""
        streams = connection.dialect.name == "postgresql"
        rows: list[JsonValue] = []
        size = 0
        with connection.execution_options(stream_results=streams).execute(statement, values) as result:
            names = list(result.keys())
            for cells in result:
                row = self._database.row(names, cells)
                rows.append(row)
                size += sum(len(value) if isinstance(value, str) else 8 for value in row.values())
                if len(rows) > self._settings.max_rows:
                    raise AdapterError(
                        "adapter.answer_unreadable", f"more than {self._settings.max_rows} rows"
                    )
                if size > self._settings.max_answer_bytes:
                    detail = f"more than {self._settings.max_answer_bytes} bytes"
                    raise AdapterError("adapter.answer_unreadable", detail)
        return rows

    def _put(self, put: PutSettings, words: JsonObject, call: Call, deadline: float) -> None:
        """Write a message's rows, all or none, unless they are there already."""
        rows = words.get("rows", [words])
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise AdapterError("adapter.mapping_failed", "/rows: is not an array of objects")
        with self._database.transaction(_left(deadline)) as connection:
            table = self._database.table(connection, put.table)
            [known_by] = self._database.columns(table, (put.message_id,))
            message_id = self._cell(known_by, call.message_id)
            if connection.scalar(select(func.count()).select_from(table).where(known_by == message_id)):
                return
            for row in rows:
                connection.execute(insert(table), {**self._cells(table, row), known_by.name: message_id})

    def _wait(self, wait: WaitSettings, call: Call, deadline: float) -> JsonValue:
        """Return the row the system has written for a message.

        Raises:
            DeferredError: it is not there yet, and the system may take longer.
            AdapterError: `adapter.system_timeout`; `adapter.record_ambiguous`, there are several.
        """
        while True:
            with self._database.transaction(_left(deadline), reads_only=True) as connection:
                table = self._database.table(connection, wait.table)
                columns = self._database.columns(table, (wait.message_id, *wait.ready))
                wanted = [call.message_id, *wait.ready.values()]
                statement = select(table).limit(2)
                for column, value in zip(columns, wanted, strict=True):
                    statement = statement.where(column == self._cell(column, value))
                rows = self._rows(connection, statement, {})
            if len(rows) > 1:
                raise AdapterError(
                    "adapter.record_ambiguous", f"several rows of {wait.table!r} for one message"
                )
            if rows:
                return rows[0]
            # One more look has to have its time.
            if deadline - time.monotonic() <= wait.poll_seconds + _LOOK_SECONDS:
                if wait.deferred_seconds is None:
                    raise AdapterError("adapter.system_timeout", f"no row of {wait.table!r} in time")
                raise DeferredError(
                    timedelta(seconds=wait.deferred_seconds), timedelta(seconds=wait.poll_seconds)
                )
            time.sleep(wait.poll_seconds)

    def _cells(self, table: Table, row: JsonObject) -> dict[str, object]:
        columns = self._database.columns(table, row)
        return {column.name: self._cell(column, row[column.name]) for column in columns}

    def _cell(self, column: Any, value: JsonValue) -> object:
        try:
            return to_cell(value, column.type, self._database.zone)
        except ValueError as error:
            raise AdapterError("adapter.mapping_failed", f"/{column.name}: {error}") from error


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise AdapterError("adapter.system_timeout", "not everything was done in time")
    return seconds


def _require_names(words: JsonObject, wanted: Iterable[str]) -> None:
    missing, more = sorted(set(wanted) - set(words)), sorted(set(words) - set(wanted))
    if missing or more:
        wrong = [f"/{name}: is missing" for name in missing] + [f"/{name}: is not asked for" for name in more]
        raise AdapterError("adapter.mapping_failed", "; ".join(wrong))


def _parameter(name: str, value: JsonValue) -> Any:
    """Return a parameter as the driver takes it; nothing that could mean more than a value."""
    if isinstance(value, list):
        if len(value) > _MOST_LIST_ELEMENTS:
            raise AdapterError(
                "adapter.mapping_failed", f"/{name}: has more than {_MOST_LIST_ELEMENTS} elements"
            )
        return [_parameter(name, each) for each in value]
    # A missing value would not match anything, or, worse, everything that has none.
    if isinstance(value, bool | str | int):
        return value
    raise AdapterError(
        "adapter.mapping_failed", f"/{name}: is neither text, a whole number nor true or false"
    )
