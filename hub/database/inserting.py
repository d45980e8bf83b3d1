# SPDX-License-Identifier: Apache-2.0
"""Many rows at once: one statement and one answer, however many there are.

PostgreSQL executes a statement with a list of rows once for every row. As arrays, one for each column, they
take one execution.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Dialect, Table


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows.

    Args:
        connection: inside a unit of the writer.
        table: where to.
        rows: at least one; values in the order of the table's columns, as the driver takes them: numbers,
            texts, bytes and None.
    """
    statement = _statement(table, connection.dialect)
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        connection.exec_driver_sql(statement, columns)
    else:
        connection.exec_driver_sql(statement, list(rows))


@cache
def _statement(table: Table, dialect: Dialect) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if dialect.name == "postgresql":
        arrays = ", ".join(f"%s::{column.type.compile(dialect)}[]" for column in table.columns)
        return f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays})'  # noqa: S608 - our own names
    places = ", ".join("?" for _ in table.columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'  # noqa: S608 - our own names
