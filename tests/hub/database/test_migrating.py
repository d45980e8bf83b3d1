# SPDX-License-Identifier: Apache-2.0
"""Who may change the tables when, and what a change that fails leaves; the steps are tests/hub/migrations."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

import hub.app  # noqa: F401 - every slice declares its tables
from hub.database import (
    BASE,
    Revision,
    ServingClaim,
    current_revision,
    downgrade_database,
    grants,
    head_revision,
    known_revisions,
    open_database,
    upgrade_database,
)
from hub.errors import SettingsError
from tests.postgresql import on_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgresql import PostgresServer


@pytest.fixture
def serving_role(database_url: str) -> Iterator[str]:
    role = f"serving_{secrets.token_hex(4)}"
    owner = create_engine(database_url)
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    yield role
    with owner.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
    owner.dispose()


def test_nobody_changes_the_tables_of_a_hub_that_serves(database_url: str) -> None:
    engine = open_database(database_url)
    claim = ServingClaim(engine)
    claim.take()
    for change in (upgrade_database, lambda url: downgrade_database(url, BASE)):
        with pytest.raises(SettingsError, match=r"settings\.database_in_use"):
            change(database_url)
    claim.release()
    engine.dispose()
    assert upgrade_database(database_url) == ()


def test_a_change_that_fails_leaves_everything_as_it_was(database_url: str) -> None:
    def fail(_revision: Revision) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade_database(database_url, on_step=fail)
    assert current_revision(database_url) is None
    assert upgrade_database(database_url) == known_revisions()
    with pytest.raises(KeyboardInterrupt):
        downgrade_database(database_url, BASE, on_step=fail)
    assert current_revision(database_url) == head_revision()
    open_database(database_url).dispose()


@pytest.mark.parametrize("revision", ["9999", "", "head", "-1"])
def test_a_revision_nobody_knows_is_refused(database_url: str, revision: str) -> None:
    open_database(database_url).dispose()
    with pytest.raises(SettingsError, match=r"settings\.revision_unknown"):
        downgrade_database(database_url, Revision(revision))


def test_an_empty_database_cannot_go_down(database_url: str) -> None:
    with pytest.raises(SettingsError, match=r"settings\.revision_unknown"):
        downgrade_database(database_url, BASE)


@pytest.mark.parametrize("url", ["nonsense", "oracle://nobody@/x", "sqlite:////nowhere/at/all.sqlite"])
def test_a_database_that_cannot_be_reached_is_a_refusal(url: str) -> None:
    for use in (current_revision, upgrade_database):
        with pytest.raises(SettingsError, match=r"settings\.database_unusable"):
            use(url)


@on_postgresql
def test_a_role_that_serves_keeps_its_rights_over_an_upgrade(
    database_url: str, serving_role: str, postgresql: PostgresServer
) -> None:
    upgrade_database(database_url)
    owner = create_engine(database_url)
    with owner.begin() as connection:
        for statement in grants(serving_role):
            connection.exec_driver_sql(statement)
        # As if an upgrade had just made this table.
        connection.execute(text(f"REVOKE ALL ON readings, alarms FROM {serving_role}"))
    upgrade_database(database_url)
    serving = open_database(postgresql.url(str(owner.url.database), serving_role))
    with serving.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM readings")).scalar_one() == 0
        assert connection.execute(text("DELETE FROM alarms")).rowcount == 0
    for statement in ("DELETE FROM readings", "UPDATE alembic_version SET version_num = '0'"):
        with (
            serving.connect() as connection,
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            connection.execute(text(statement))
    serving.dispose()
    owner.dispose()


@on_postgresql
def test_a_role_that_only_serves_cannot_change_the_tables(
    database_url: str, serving_role: str, postgresql: PostgresServer
) -> None:
    upgrade_database(database_url)
    owner = create_engine(database_url)
    with owner.begin() as connection:
        for statement in grants(serving_role):
            connection.exec_driver_sql(statement)
    with pytest.raises(SettingsError, match=r"settings\.database_unusable"):
        downgrade_database(postgresql.url(str(owner.url.database), serving_role), BASE)
    assert current_revision(database_url) == head_revision()
    owner.dispose()
