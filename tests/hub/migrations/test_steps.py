# SPDX-License-Identifier: Apache-2.0
"""The steps end in the declared tables, on both kinds of database, and lead back with what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

import hub.app  # noqa: F401 - every slice declares its tables
from hub.database import (
    BASE,
    current_revision,
    downgrade_database,
    head_revision,
    known_revisions,
    metadata,
    open_database,
    upgrade_database,
)
from hub.database.tables import APPEND_ONLY
from hub.errors import SettingsError
from tests.hub.migrations.rows import fill, rows_of, tables_in
from tests.hub.migrations.schemas import schema_of
from tests.migration import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.postgresql import PostgresServer

FIRST = known_revisions()[0]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The database without the hub's own opening, which would refuse older revisions."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def declared(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[Engine]:
    """A second database of the same kind, made from the declarations."""
    if engine.dialect.name == "sqlite":
        url = f"sqlite:///{tmp_path / 'declared.sqlite'}"
        opened = open_database(url)
        yield opened
        opened.dispose()
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with server.database() as url:
        opened = open_database(url)
        yield opened
        opened.dispose()


def fill_every_table(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in tables_in(engine):
            fill(connection, table)


def all_names(engine: Engine) -> list[str]:
    """Everything that can be lost: tables, and columns of tables that stay."""
    tables = tables_in(engine)
    return [table.name for table in tables] + [str(column) for table in tables for column in table.columns]


def go_to(database_url: str, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an empty database up to a revision, as the version whose head it was did."""
    with monkeypatch.context() as patch:
        patch.setattr("hub.database.migrating.head_revision", lambda: revision)
        patch.setattr("hub.database.migrating._give_rights", lambda _connection: None)
        upgrade_database(database_url)


def test_the_steps_are_one_line_numbered_without_gaps() -> None:
    files = sorted(path.name for path in VERSIONS.glob("m*.py"))
    assert [name[1:5] for name in files] == list(known_revisions())
    assert known_revisions() == tuple(f"{number:04}" for number in range(1, len(files) + 1))


def test_the_steps_end_in_the_declared_tables(database_url: str, engine: Engine, declared: Engine) -> None:
    assert upgrade_database(database_url) == known_revisions()
    migrated, made = schema_of(engine), schema_of(declared)
    # When this fails, a table was declared or changed without a step: see hub/migrations/__init__.py.
    assert (migrated - made, made - migrated) == (frozenset(), frozenset())


def test_every_table_goes_up_and_down_with_what_it_holds(
    database_url: str, engine: Engine, declared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_to(database_url, FIRST, monkeypatch)
    fill_every_table(engine)
    first, held = schema_of(engine), rows_of(engine)
    upgrade_database(database_url)
    assert schema_of(engine) == schema_of(declared)
    for name, rows in rows_of(engine).items():
        for before, after in zip(held.get(name, ()), rows, strict=True):
            assert before.items() <= after.items(), name
    with engine.begin() as connection:
        for table in tables_in(engine):
            if table.name not in held:
                fill(connection, table)
    downgrade_database(database_url, FIRST, discard=all_names(engine))
    assert schema_of(engine) == first
    assert rows_of(engine) == held
    assert upgrade_database(database_url) == known_revisions()[1:]
    assert schema_of(engine) == schema_of(declared)


def test_each_step_leads_back_to_where_it_came_from(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = []
    for revision in known_revisions():
        go_to(database_url, revision, monkeypatch)
        schemas.append(schema_of(engine))
        if revision == FIRST:
            fill_every_table(engine)
    for before, schema in zip(known_revisions()[-2::-1], schemas[-2::-1], strict=True):
        downgrade_database(database_url, before, discard=all_names(engine))
        assert schema_of(engine) == schema
        assert current_revision(database_url) == before


def test_nothing_that_holds_anything_is_lost_unless_it_was_named(database_url: str, engine: Engine) -> None:
    open_database(database_url).dispose()
    names = [table.name for table in tables_in(engine)]
    fill_every_table(engine)
    before, held = schema_of(engine), rows_of(engine)
    with pytest.raises(SettingsError, match=r"database_losing_data") as refused:
        downgrade_database(database_url, BASE)
    assert all(f"{name} (1)" in str(refused.value) for name in names)
    with pytest.raises(SettingsError, match=r"database_losing_data.*: log_entries \(1\)$"):
        downgrade_database(database_url, BASE, discard=[name for name in names if name != "log_entries"])
    assert (schema_of(engine), rows_of(engine)) == (before, held)
    assert current_revision(database_url) == head_revision()
    downgrade_database(database_url, BASE, discard=names)
    assert tables_in(engine) == []
    assert current_revision(database_url) is None


def test_what_holds_nothing_may_go_unnamed(database_url: str, engine: Engine) -> None:
    open_database(database_url).dispose()
    downgrade_database(database_url, BASE)
    assert tables_in(engine) == []
    # And what is empty is fresh.
    open_database(database_url).dispose()
    assert current_revision(database_url) == head_revision()


def test_append_only_tables_are_so_after_every_way_up(database_url: str, engine: Engine) -> None:
    upgrade_database(database_url)
    fill_every_table(engine)
    for name, table in metadata.tables.items():
        if table.info.get(APPEND_ONLY):
            column = table.columns.keys()[0]
            for statement in (f"DELETE FROM {name}", f"UPDATE {name} SET {column} = {column}"):  # noqa: S608 - a table's name
                with (
                    engine.connect() as connection,
                    pytest.raises(DBAPIError, match=f"{name} is append-only"),
                ):
                    connection.execute(text(statement))


def without_a_revision(url: str, engine: Engine) -> None:
    """Make the database of the version before there were revisions."""
    with pytest.MonkeyPatch.context() as patch:
        go_to(url, FIRST, patch)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))


def with_half_its_tables(url: str, engine: Engine) -> None:
    """Make the database of a still older version, which lacked a table."""
    without_a_revision(url, engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE readings"))


@pytest.mark.parametrize("made", [without_a_revision, with_half_its_tables])
def test_a_database_from_before_there_were_revisions_is_upgraded_with_its_rows(
    database_url: str, engine: Engine, declared: Engine, made: Callable[[str, Engine], None]
) -> None:
    made(database_url, engine)
    fill_every_table(engine)
    held = rows_of(engine)
    with pytest.raises(SettingsError, match=r"database_outdated.*no revision.*heliograph database upgrade"):
        open_database(database_url)
    upgrade_database(database_url)
    assert schema_of(engine) == schema_of(declared)
    assert {name: rows for name, rows in rows_of(engine).items() if name in held}.keys() == held.keys()
    open_database(database_url).dispose()
