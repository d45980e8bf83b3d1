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

APPEND_ONLY = "append_only"
"""Key in a table's `info`: whether its rows are never changed or removed."""


def keep_append_only(table: Table) -> None:
    """Have the database itself refuse to change or remove a row of `table`.

    The triggers are made together with the table. SQLite's `INSERT OR REPLACE` removes rows without asking
    the delete trigger, so a row whose key is taken is refused before it is inserted.
    """
    table.info[APPEND_ONLY] = True
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
