# SPDX-License-Identifier: Apache-2.0
"""Everything a database is made of, in words that can be compared: tables, keys, indexes, triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine, Inspector

_TRIGGERS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": (
        "SELECT pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal "
        "UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace"
    ),
}
_INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


def schema_of(engine: Engine) -> frozenset[str]:
    """Return a line for each thing there is; equal databases have equal lines."""
    with engine.connect() as connection:
        found = inspect(connection)
        lines = [line for name in found.get_table_names() for line in _table(found, name)]
        for statement in (_TRIGGERS, _INDEXES):
            lines += _words(connection, statement[connection.dialect.name])
        if connection.dialect.name == "sqlite":
            forms = connection.exec_driver_sql("SELECT name, strict, wr FROM pragma_table_list")
            lines += [f"form of {name}: strict {strict}, without rowid {wr}" for name, strict, wr in forms]
    return frozenset(lines)


def _words(connection: Connection, statement: str) -> Iterator[str]:
    for text in connection.exec_driver_sql(statement).scalars():
        yield " ".join(str(text).split())


def _table(found: Inspector, name: str) -> Iterator[str]:
    for column in found.get_columns(name):
        about: dict[str, Any] = dict(column)
        about["type"] = repr(column["type"])
        yield f"column {name}: {sorted(about.items(), key=lambda each: each[0])}"
    yield f"key of {name}: {found.get_pk_constraint(name)['constrained_columns']}"
    for unique in found.get_unique_constraints(name):
        yield f"unique in {name}: {unique['column_names']}"
    for foreign in found.get_foreign_keys(name):
        yield f"foreign key of {name}: {sorted(foreign.items(), key=lambda each: each[0])}"
    for check in found.get_check_constraints(name):
        yield f"check of {name}: {check['sqltext']}"
