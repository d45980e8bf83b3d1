# SPDX-License-Identifier: Apache-2.0
"""Whether a database is as its revision says: tables, columns, indexes, and what keeps tables append-only.

A restore, a repair by hand or an import may lose a trigger without anybody noticing; then the database no
longer refuses to change what was logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from hub.database.migrating import opened
from hub.database.revisions import head_revision, revision_of, version_table
from hub.database.tables import APPEND_ONLY, REFUSE_CHANGE, metadata
from hub.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_SQLITE = "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
# Enabled for sessions as ours are: "O", or always: "A".
_POSTGRESQL = """\
SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgname = c.relname || '_append_only' AND t.tgenabled IN ('O', 'A') AND p.proname = 'refuse_change'
AND btrim(p.prosrc) = btrim(%(body)s) AND c.relnamespace = 'public'::regnamespace
AND pg_get_triggerdef(t.oid) LIKE '%% BEFORE DELETE OR UPDATE OR TRUNCATE ON %% FOR EACH STATEMENT EXECUTE %%'
"""


def check_database(url: str) -> tuple[str, ...]:
    """Compare a database with the declared tables; returns a line for each difference.

    Raises:
        SettingsError: `settings.database_outdated`: it is not at this version's revision;
            `settings.database_unusable`.
    """
    with opened(url) as engine, engine.connect() as connection:
        found = revision_of(connection)
        if found != head_revision():
            detail = f"it has {f'revision {found}' if found else 'no revision'} and needs {head_revision()}"
            raise SettingsError("settings.database_outdated", detail)
        return (*_in_tables(connection), *_in_triggers(connection))


def _in_tables(connection: Connection) -> Iterator[str]:
    def is_ours(name: str | None, kind: str, parents: Any) -> bool:
        table = name if kind == "table" else parents.get("table_name")
        # Other tables than the hub's are nobody's business here.
        return table in metadata.tables if kind != "schema" else name is None

    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - large, and no process that serves compares

    options = {"include_name": is_ours, "version_table": version_table.name}
    for difference in compare_metadata(MigrationContext.configure(connection, opts=options), metadata):
        for each in difference if isinstance(difference, list) else [difference]:
            yield _told(each)


def _told(difference: tuple[Any, ...]) -> str:
    # From the database's side: what would have to be added is missing.
    action, *rest = difference
    word = {"add": "missing", "remove": "unknown"}.get(action.partition("_")[0], "different")
    if action.endswith("_column"):
        _schema, table, column = rest
        return f"{word} column {table}.{column.name}"
    if word == "different":
        return f"different column {rest[1]}.{rest[2]} ({action})"
    kind = action.partition("_")[2].replace("_", " ")
    return f"{word} {kind} {getattr(rest[0], 'name', rest[0])}"


def _in_triggers(connection: Connection) -> Iterator[str]:
    protected = _protected(connection)
    for name, table in sorted(metadata.tables.items()):
        if table.info.get(APPEND_ONLY) and name not in protected:
            yield f"table {name} is not append-only: its triggers are missing, off or changed"


def _protected(connection: Connection) -> set[str]:
    if connection.dialect.name == "postgresql":
        return set(connection.exec_driver_sql(_POSTGRESQL, {"body": REFUSE_CHANGE}).scalars())
    there = set(connection.exec_driver_sql(_SQLITE).scalars())
    return {name for name, triggers in _as_made().items() if triggers <= there}


def _as_made() -> dict[str, set[str]]:
    """Return the triggers of each append-only table as SQLite itself writes them down."""
    made: dict[str, set[str]] = {}
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        before: set[str] = set()
        for name, table in metadata.tables.items():
            if table.info.get(APPEND_ONLY):
                table.create(connection)
                now = set(connection.exec_driver_sql(_SQLITE).scalars())
                made[name], before = now - before, now
    engine.dispose()
    return made
