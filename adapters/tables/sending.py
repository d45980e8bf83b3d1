# SPDX-License-Identifier: Apache-2.0
"""The department's table as an intake sees it: rows that wait, rows taken, and what is written back.

Every method is one transaction of the department's database, and leaves nothing half done there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, and_, delete, func, insert, or_, select, update

from adapters.tables.cells import to_cell, to_json
from hub.clock import format_instant
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

    from adapters.ports import JsonObject, JsonValue
    from adapters.tables.database import Database
    from adapters.tables.intakesettings import (
        CleanUpSettings,
        FlagSettings,
        TableIntakeSettings,
        WatermarkSettings,
    )


@dataclass(frozen=True)
class WaitingRow:
    """A row that shall be sent.

    Attributes:
        key: its key columns.
        content: all of it, but what says how far it has come.
        place: where it stands in the watermark's order; None with a flag.
    """

    key: JsonObject
    content: JsonObject
    place: JsonValue = None


@dataclass(frozen=True)
class Outcome:
    """What became of a row.

    Attributes:
        words: the answer in the department's words; None where there is none.
    """

    message_id: str
    is_processed: bool
    code: str | None = None
    detail: str = ""
    words: JsonObject | None = None


class SendingTable:
    """One table whose rows are sent.

    Args:
        settings: what the description says of it.
        database: where it is.
        own_name: of this gateway, in the column `taken_by`.
    """

    def __init__(self, settings: TableIntakeSettings, database: Database, own_name: str) -> None:
        self._settings = settings
        self._database = database
        self._own_name = own_name

    def claim(self, flag: FlagSettings, note: Callable[[Sequence[WaitingRow]], None]) -> list[WaitingRow]:
        """Take the next rows that wait.

        Args:
            flag: the column that says so.
            note: writes down which will be taken, before they are.
        """
        with self._transaction() as connection:
            table = self._table(connection)
            [column] = self._database.columns(table, (flag.column,))
            statement = select(table).where(column == self._flag(column, flag.waiting))
            statement = statement.order_by(*self._key(table)).limit(self._settings.batch_rows)
            rows = self._read(connection, table, self._locked(connection, statement))
            note(rows)
            return [row for row in rows if self._mark(connection, row.key, flag.waiting, flag.taken)]

    def taken_again(self, flag: FlagSettings, key: JsonObject) -> WaitingRow | None:
        """Return a row this gateway took and did not come to send; None when it is no longer its own."""
        with self._transaction() as connection:
            table = self._table(connection)
            statement = select(table).where(*self._is(table, key))
            for name, value in self._marks(flag, flag.taken).items():
                [column] = self._database.columns(table, (name,))
                statement = statement.where(column == self._flag(column, value))
            rows = self._read(connection, table, statement)
            return rows[0] if rows else None

    def release(self, flag: FlagSettings, key: JsonObject) -> None:
        """Let a taken row wait again."""
        with self._transaction() as connection:
            self._mark(connection, key, flag.taken, flag.waiting)

    def after(
        self, mark: WatermarkSettings, from_place: JsonValue, beyond: WaitingRow | None
    ) -> list[WaitingRow]:
        """Return the next rows in the watermark's order.

        Args:
            mark: the column that only grows.
            from_place: where to begin; None at the beginning of the table.
            beyond: the row after which to go on; None for the first rows.
        """
        with self._database.transaction(self._settings.timeout_seconds, reads_only=True) as connection:
            table = self._table(connection)
            [column] = self._database.columns(table, (mark.column,))
            statement = select(table).where(column.is_not(None))
            if beyond is not None:
                order = {mark.column: beyond.place, **beyond.key}
                statement = statement.where(self._follows(table, order))
            elif from_place is not None:
                cell: Any = self._cell(column, from_place)
                back = timedelta(seconds=mark.overlap) if isinstance(cell, datetime) else mark.overlap
                statement = statement.where(self._sorted(column) > self._sorted_cell(column, cell - back))
            elif mark.start is not None:
                start = self._sorted_cell(column, self._cell(column, mark.start))
                statement = statement.where(self._sorted(column) > start)
            statement = statement.order_by(self._sorted(column), *self._key(table)).limit(
                self._settings.batch_rows
            )
            return self._read(connection, table, statement, place=mark.column)

    def settle(
        self, key: JsonObject, outcome: Outcome, words: Callable[[JsonObject], JsonObject] | None
    ) -> None:
        """Write back what became of a row, once.

        Args:
            key: the row's.
            outcome: what became of it.
            words: makes of the row, as it is now, the answer in the department's words.
        """
        settings = self._settings
        with self._transaction() as connection:
            table = self._table(connection)
            if settings.result is not None:
                rows = self._read(connection, table, select(table).where(*self._is(table, key)))
                row = rows[0].content if rows else key
                self._write_result(connection, row, outcome, {} if words is None else words(row))
            if settings.flag is not None:
                flag = settings.flag
                end = flag.done if outcome.is_processed else flag.refused
                self._mark(connection, key, flag.taken, end)

    def clean_up(self, flag: FlagSettings, rule: CleanUpSettings, now: datetime) -> int:
        """Delete the oldest rows that are done and may go; return how many went."""
        with self._transaction() as connection:
            table = self._table(connection)
            [column, at] = self._database.columns(table, (flag.column, rule.column))
            is_done = column == self._flag(column, flag.done)
            before = self._cell(at, (now - timedelta(days=rule.after_days)).isoformat())
            statement = (
                select(*self._key(table)).where(is_done, at < before).order_by(at).limit(rule.batch_rows)
            )
            keys = connection.execute(statement).all()
            if not keys and rule.most_rows is not None:
                count = connection.scalar(select(func.count()).select_from(table).where(is_done)) or 0
                more = min(count - rule.most_rows, rule.batch_rows)
                if more > 0:
                    oldest = select(*self._key(table)).where(is_done).order_by(at).limit(more)
                    keys = connection.execute(oldest).all()
            for cells in keys:
                same = [each == cell for each, cell in zip(self._key(table), cells, strict=True)]
                connection.execute(delete(table).where(*same, is_done))
            return len(keys)

    def look_at_columns(self) -> None:
        """Find out whether the table is there as described.

        Raises:
            AdapterError: `adapter.configuration_invalid`, naming what is missing.
        """
        settings = self._settings
        with self._database.transaction(settings.timeout_seconds, reads_only=True) as connection:
            table = self._table(connection)
            self._key(table)
            if settings.result is not None:
                result = settings.result
                target = self._database.table(connection, result.table)
                own = (result.message_id, result.state, result.code, result.detail, result.at, *result.key)
                self._database.columns(target, [name for name in own if name is not None])
                self._database.columns(table, result.key.values())

    def _transaction(self) -> Any:
        return self._database.transaction(self._settings.timeout_seconds)

    def _table(self, connection: Connection) -> Table:
        return self._database.table(connection, self._settings.table)

    def _key(self, table: Table) -> list[Column[Any]]:
        if self._settings.key:
            return self._database.columns(table, self._settings.key)
        columns = list(table.primary_key.columns)
        if not columns:
            detail = f"table {self._settings.table!r} has no primary key: name the columns of one under key"
            raise AdapterError("adapter.configuration_invalid", detail)
        return columns

    def _read(
        self, connection: Connection, table: Table, statement: Select[Any], *, place: str | None = None
    ) -> list[WaitingRow]:
        flag = self._settings.flag
        left_out = set() if flag is None else {flag.column, flag.taken_by}
        names = list(table.columns.keys())
        rows = []
        for cells in connection.execute(statement).all():
            values = dict(zip(names, cells, strict=True))
            whole = self._database.row(names, cells)
            # Keys and places go back into statements, so blanks are not trimmed from them.
            zone = self._database.zone
            key = {column.name: to_json(values[column.name], zone) for column in self._key(table)}
            content = {name: value for name, value in whole.items() if name not in left_out}
            rows.append(WaitingRow(key, content, None if place is None else to_json(values[place], zone)))
        return rows

    def _locked(self, connection: Connection, statement: Select[Any]) -> Select[Any]:
        match connection.dialect.name:
            case "postgresql" | "oracle":
                return statement.with_for_update(skip_locked=True)
            case "mysql" | "mariadb":
                # Earlier versions have no SKIP LOCKED; without a lock an old state of the row would be read.
                return statement.with_for_update()
        return statement

    def _marks(self, flag: FlagSettings, value: JsonValue) -> dict[str, JsonValue]:
        if flag.taken_by is None or value != flag.taken:
            return {flag.column: value}
        return {flag.column: value, flag.taken_by: self._own_name}

    def _mark(self, connection: Connection, key: JsonObject, before: JsonValue, after: JsonValue) -> bool:
        """Set a row's flag if it is still what it was; tell whether it was."""
        flag = self._settings.flag
        assert flag is not None  # noqa: S101 - only called with a flag
        table = self._table(connection)
        statement = update(table).where(*self._is(table, key))
        for name, value in self._marks(flag, before).items():
            [column] = self._database.columns(table, (name,))
            statement = statement.where(column == self._flag(column, value))
        cells = {
            column.name: self._flag(column, value)
            for name, value in self._marks(flag, after).items()
            for column in self._database.columns(table, (name,))
        }
        return bool(connection.execute(statement.values(cells)).rowcount == 1)

    def _write_result(
        self, connection: Connection, row: JsonObject, outcome: Outcome, words: JsonObject
    ) -> None:
        result = self._settings.result
        assert result is not None  # noqa: S101 - only called with a result
        table = self._database.table(connection, result.table)
        [known_by] = self._database.columns(table, (result.message_id,))
        message_id = self._cell(known_by, outcome.message_id)
        if connection.scalar(select(func.count()).select_from(table).where(known_by == message_id)):
            return
        facts: dict[str | None, JsonValue] = {
            result.state: "processed" if outcome.is_processed else "refused",
            result.code: outcome.code,
            result.detail: outcome.detail or None,
            result.at: format_instant(self._database.now()),
        }
        named: dict[str, JsonValue] = {name: value for name, value in facts.items() if name is not None}
        named |= {target: row.get(source) for target, source in result.key.items()}
        named |= {**words, result.message_id: outcome.message_id}
        columns = self._database.columns(table, named)
        cells = {column.name: self._fitting(column, named[column.name]) for column in columns}
        connection.execute(insert(table), cells)

    def _fitting(self, column: Column[Any], value: JsonValue) -> object:
        """Return a cell; what the gateway says of a refusal is cut to the column rather than lost."""
        result, length = self._settings.result, getattr(column.type, "length", None)
        if result is not None and column.name == result.detail and isinstance(value, str) and length:
            value = value[:length]
        return self._cell(column, value)

    def _is(self, table: Table, key: Mapping[str, JsonValue]) -> list[ColumnElement[bool]]:
        return [column == self._cell(column, key[column.name]) for column in self._key(table)]

    def _follows(self, table: Table, order: Mapping[str, JsonValue]) -> ColumnElement[bool]:
        """Return the condition of coming after a row, column by column."""
        columns = self._database.columns(table, order)
        cells = [self._sorted_cell(column, self._cell(column, order[column.name])) for column in columns]
        sorts = [self._sorted(column) for column in columns]
        alternatives = []
        for number, sort in enumerate(sorts):
            same = [sorts[before] == cells[before] for before in range(number)]
            alternatives.append(and_(*same, sort > cells[number]))
        return or_(*alternatives)

    def _sorted(self, column: Column[Any]) -> ColumnElement[Any]:
        """Return what a column is ordered by: SQLite keeps instants as texts, with a fraction or without."""
        return func.strftime("%Y-%m-%d %H:%M:%f", column) if self._is_text(column) else column

    def _sorted_cell(self, column: Column[Any], cell: Any) -> object:
        if not self._is_text(column):
            return cell
        return f"{cell:%Y-%m-%d %H:%M:%S}.{cell.microsecond // 1000:03}"

    def _is_text(self, column: Column[Any]) -> bool:
        return self._database.dialect == "sqlite" and isinstance(column.type, DateTime)

    def _flag(self, column: Column[Any], value: JsonValue) -> object:
        """Return a flag's value as its column has it: many a flag is a number kept as text."""
        is_text = column.type.python_type is str
        return self._cell(column, str(value) if is_text and not isinstance(value, bool) else value)

    def _cell(self, column: Column[Any], value: JsonValue) -> object:
        try:
            return to_cell(value, column.type, self._database.zone)
        except ValueError as error:
            raise AdapterError("adapter.mapping_failed", f"/{column.name}: {error}") from error


def key_text(key: JsonObject) -> str:
    """Return a row's key as text that is the same for the same row."""
    return json.dumps(key, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
