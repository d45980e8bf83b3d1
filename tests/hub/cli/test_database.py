# SPDX-License-Identifier: Apache-2.0
"""`heliograph database`: what it says of a database, and how it takes one up and down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

import hub.app  # noqa: F401 - every slice declares its tables
from hub.cli.database import app
from hub.database import head_revision, known_revisions, metadata
from hub.errors import SettingsError

HEAD = head_revision()


def heliograph(*arguments: str, code: int = 0) -> str:
    """Run a command, by itself: the whole command line would be put together anew for each."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, SettingsError):
        assert code == 1
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.output


def as_json(*arguments: str, code: int = 0) -> Any:
    return json.loads(heliograph(*arguments, "--json", code=code))


@pytest.fixture
def holding_a_key(database_url: str) -> str:
    """A database whose only row is in a table that is there from the first revision on."""
    heliograph("create", database_url)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO vault_keys VALUES ('2026-03_P10Y_1', '2026-03-01T00:00:00Z')"))
    engine.dispose()
    return database_url


def test_a_database_goes_up_and_says_where_it_is(database_url: str) -> None:
    assert as_json("current", database_url) == {
        "revision": None,
        "head": HEAD,
        "known": list(known_revisions()),
    }
    assert "none" in heliograph("current", database_url)
    assert as_json("upgrade", database_url)["steps"] == list(known_revisions())
    assert HEAD in heliograph("current", database_url)
    assert as_json("upgrade", database_url) == {"before": HEAD, "revision": HEAD, "steps": []}
    assert HEAD in heliograph("upgrade", database_url)


def test_going_down_names_what_would_be_lost_and_does_it_when_that_is_named(holding_a_key: str) -> None:
    refused = heliograph("downgrade", holding_a_key, "base", code=1)
    assert "settings.database_losing_data" in refused
    assert "vault_keys (1)" in refused
    assert as_json("current", holding_a_key)["revision"] == HEAD
    done = as_json("downgrade", holding_a_key, "base", "--discard", "vault_keys")
    assert done["steps"] == [*known_revisions()[-2::-1], "base"]
    assert as_json("current", holding_a_key)["revision"] is None


def test_an_unknown_revision_is_refused(holding_a_key: str) -> None:
    assert "settings.revision_unknown" in heliograph("downgrade", holding_a_key, "0", code=1)


def test_a_database_that_is_whole_is_found_so(database_url: str) -> None:
    heliograph("create", database_url)
    assert as_json("check", database_url) == {"revision": HEAD, "differences": []}
    heliograph("downgrade", database_url, "base")
    heliograph("upgrade", database_url)
    assert as_json("check", database_url)["differences"] == []
    assert HEAD in heliograph("check", database_url)


BROKEN = {
    "DROP INDEX exchanges_by_arrival": "exchanges_by_arrival",
    "DROP TABLE readings": "readings",
    "ALTER TABLE alarms DROP COLUMN detail": "alarms.detail",
    "ALTER TABLE alarms ADD COLUMN more TEXT": "alarms.more",
}
UNPROTECTED = {
    "sqlite": ["DROP TRIGGER log_entries_no_update"],
    "postgresql": [
        "DROP TRIGGER log_entries_append_only ON log_entries",
        "ALTER TABLE log_entries DISABLE TRIGGER ALL",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ],
}


@pytest.mark.parametrize("statement", BROKEN)
def test_what_is_not_as_declared_is_found(database_url: str, statement: str) -> None:
    heliograph("create", database_url)
    break_(database_url, statement)
    assert BROKEN[statement] in heliograph("check", database_url, code=1)
    assert any(BROKEN[statement] in each for each in as_json("check", database_url, code=1)["differences"])


def test_a_table_that_is_no_longer_append_only_is_found(database_url: str) -> None:
    for statement in UNPROTECTED[database_url.partition("+")[0].partition(":")[0]]:
        heliograph("create", database_url)
        assert as_json("check", database_url)["differences"] == []
        break_(database_url, statement)
        assert any("log_entries" in each for each in as_json("check", database_url, code=1)["differences"])
        heliograph("downgrade", database_url, "base")


def test_a_check_of_an_older_database_is_a_refusal(database_url: str) -> None:
    assert "settings.database_outdated" in heliograph("check", database_url, code=1)


def break_(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_every_table_is_made(database_url: str) -> None:
    assert as_json("create", database_url)["tables"] == sorted(metadata.tables)
