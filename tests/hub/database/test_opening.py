# SPDX-License-Identifier: Apache-2.0
"""A hub opens its own tables only: fresh ones are made, others are refused with what cures it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

import hub.app  # noqa: F401 - every slice declares its tables
from hub.database import (
    Revision,
    current_revision,
    downgrade_database,
    head_revision,
    metadata,
    open_database,
    upgrade_database,
)
from hub.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

FIRST_REVISION = Revision("0001")


def run(database_url: str, *statements: str) -> None:
    """Run statements past the hub's own code."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def names(database_url: str) -> set[str]:
    engine = create_engine(database_url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def refusal(database_url: str) -> SettingsError:
    with pytest.raises(SettingsError) as refused:
        open_database(database_url)
    return refused.value


def test_an_empty_database_gets_its_tables_and_their_revision(database_url: str) -> None:
    assert current_revision(database_url) is None
    open_database(database_url).dispose()
    assert names(database_url) == {*metadata.tables, "alembic_version"}
    assert current_revision(database_url) == head_revision()
    open_database(database_url).dispose()


def test_tables_of_somebody_else_are_left_alone(database_url: str) -> None:
    run(database_url, "CREATE TABLE neighbours (house INTEGER)")
    open_database(database_url).dispose()
    assert "neighbours" in names(database_url)
    assert current_revision(database_url) == head_revision()


def test_many_who_open_an_empty_database_at_once_make_its_tables_once(database_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for engine in pool.map(open_database, [database_url] * 8):
            engine.dispose()
    assert current_revision(database_url) == head_revision()


def test_an_older_database_is_refused_with_the_command_that_cures_it(database_url: str) -> None:
    open_database(database_url).dispose()
    downgrade_database(database_url, FIRST_REVISION)
    # As those are that were made before there were revisions.
    run(database_url, "DROP TABLE alembic_version")
    refused = refusal(database_url)
    assert refused.code == "settings.database_outdated"
    assert f"heliograph database upgrade {make_url(database_url)!r}" in str(refused)
    upgrade_database(database_url)
    open_database(database_url).dispose()


def test_a_refusal_shows_no_password(tmp_path: Path) -> None:
    secret = f"sqlite://heliograph:hidden@/{tmp_path / 'hub.sqlite'}"
    # SQLite has no passwords; whatever the kind, none is repeated.
    with pytest.raises(SettingsError) as refused:
        open_database(secret)
    assert "hidden" not in str(refused.value)


def test_a_newer_database_is_refused_by_whoever_opens_or_upgrades_it(database_url: str) -> None:
    open_database(database_url).dispose()
    run(database_url, "UPDATE alembic_version SET version_num = '9999'")
    refused = refusal(database_url)
    assert refused.code == "settings.database_newer"
    assert "9999" in str(refused)
    with pytest.raises(SettingsError, match=r"settings\.database_newer"):
        upgrade_database(database_url)


def test_a_table_that_is_gone_is_not_made_anew_as_if_it_had_been_empty(database_url: str) -> None:
    open_database(database_url).dispose()
    run(database_url, "DROP TABLE log_entries")
    refused = refusal(database_url)
    assert refused.code == "settings.database_incomplete"
    assert str(refused).endswith("log_entries")
    assert "log_entries" not in names(database_url)
