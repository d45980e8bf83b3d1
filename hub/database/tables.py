# SPDX-License-Identifier: Apache-2.0
"""Every table of the hub, and what makes some of them append-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Integer, MetaData, Table, event

if TYPE_CHECKING:
    from sqlalchemy import Connection

metadata = MetaData()
"""Every slice's `store.py` declares its tables here and is the only one to touch them."""

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""Type of a column of large numbers; SQLite makes only an INTEGER primary key the table's own order."""

REFUSE_CHANGE = " BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END "
"""Body of the function that PostgreSQL's triggers call."""

APPEND_ONLY = "append_only"
"""Key in a table's `info`: whether its rows are never changed or removed."""


def keep_append_only(table: Table) -> None:
    """Have the database itself refuse to change or remove a row of `table`.

    The triggers are made together with the table.
    """
    table.info[APPEND_ONLY] = True
    keys = [column.name for column in table.primary_key]

    def create(_table: Table, connection: Connection, **_options: object) -> None:
        make_append_only(connection, table.name, *keys)

    event.listen(table, "after_create", create)


def make_append_only(connection: Connection, name: str, *keys: str) -> None:
    """Make the triggers of an append-only table, as a migration does beside the table itself.

    SQLite's `INSERT OR REPLACE` removes rows without asking the delete trigger, so a row whose key is taken
    is refused before it is inserted. Databases in use were made by these very statements: another form of
    them is another function, and a migration of its own.

    Args:
        connection: in the transaction that made the table.
        name: the table's.
        keys: the columns of its primary key.
    """
    if connection.dialect.name == "sqlite":
        same = " AND ".join(f'"{key}" = NEW."{key}"' for key in keys)
        refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        taken = f'WHEN EXISTS (SELECT 1 FROM "{name}" WHERE {same})'  # noqa: S608 - names of our own tables
        for moment, condition in (("UPDATE", ""), ("DELETE", ""), ("INSERT", taken)):
            trigger = f'"{name}_no_{moment.lower()}" BEFORE {moment} ON "{name}" {condition}'
            connection.exec_driver_sql(f"CREATE TRIGGER {trigger} {refuse}")
        return
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $${REFUSE_CHANGE}$$"
    )
    connection.exec_driver_sql(
        f'CREATE TRIGGER "{name}_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "{name}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
