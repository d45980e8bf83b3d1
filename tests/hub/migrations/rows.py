# SPDX-License-Identifier: Apache-2.0
"""A row for every table, whatever its columns: what goes up and down with the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Float, Integer, LargeBinary, MetaData, String, insert, select

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Engine, Table
    from sqlalchemy.engine import RowMapping

# Longer than 32 bits and than ASCII, so that a change of a type that cuts anything off shows.
_LARGE = 2**40 + 7


def tables_in(engine: Engine) -> list[Table]:
    """Return the hub's tables as they are in a database, whichever revision it has."""
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def fill(connection: Connection, table: Table) -> None:
    """Put a row into a table."""
    connection.execute(insert(table).values({column.name: _value(column) for column in table.columns}))


def rows_of(engine: Engine) -> dict[str, list[RowMapping]]:
    """Read every row of every table."""
    with engine.connect() as connection:
        return {table.name: list(connection.execute(select(table)).mappings()) for table in tables_in(engine)}


def _value(column: Column[Any]) -> object:
    match column.type:
        case Boolean():
            return True
        case BigInteger():
            return _LARGE
        case Integer():
            return 7
        case Float():
            return 0.5
        case LargeBinary():
            return bytes(range(32))
        case String(length=length):
            return f"{column.name}·值"[:length]
        case other:
            raise NotImplementedError(f"{column}: {other!r}")
