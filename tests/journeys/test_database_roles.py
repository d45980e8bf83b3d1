# SPDX-License-Identifier: Apache-2.0
"""A hub that serves as a role without the right to change what was logged: it works, and the role cannot."""

from __future__ import annotations

import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from hub.database import metadata, open_database
from hub.database.tables import APPEND_ONLY
from hub.envelope import Kind
from hub.errors import SettingsError
from tests.journeys.world import running_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.world import World
    from tests.pki import ServedPki
    from tests.postgresql import PostgresServer


@dataclass(frozen=True)
class Roles:
    """A database with its two roles."""

    owner: str
    serving: str
    owner_url: str
    serving_url: str

    def attack(self, *statements: str) -> None:
        """Run statements as the serving role, past the hub's own code, in one transaction."""
        url = make_url(self.serving_url)
        with psycopg.connect(
            dbname=url.database, user=url.username, host=str(url.query["host"])
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def heliograph(*arguments: str) -> str:
    command = [sys.executable, "-m", "hub.cli", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def two_roles(server: PostgresServer) -> Iterator[Roles]:
    """Set up a database as docs/users/operator.md says."""
    suffix = secrets.token_hex(4)
    owner, serving = f"owner_{suffix}", f'serving "{suffix}"'
    name = server.create_database()
    with psycopg.connect(
        dbname=name, user="postgres", host=str(server.folder), autocommit=True
    ) as connection:
        for role in (owner, serving):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(owner))
        )
    quoted = serving.replace('"', "%22").replace(" ", "%20")
    roles = Roles(owner, serving, server.url(name, owner), server.url(name, quoted))
    try:
        with pytest.raises(SettingsError, match=r"settings\.database_unusable.*permission denied"):
            open_database(roles.serving_url)
        heliograph("database", "create", roles.owner_url)
        with psycopg.connect(dbname=name, user=owner, host=str(server.folder)) as connection:
            connection.execute(heliograph("database", "grants", "--role", serving).encode())
        yield roles
    finally:
        server.drop_database(name)
        with psycopg.connect(
            dbname="postgres", user="postgres", host=str(server.folder), autocommit=True
        ) as connection:
            for role in (owner, serving):
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture(scope="module")
def roles(postgresql: PostgresServer) -> Iterator[Roles]:
    with two_roles(postgresql) as made:
        yield made


@pytest.fixture(scope="module")
def limited(pki: ServedPki, roles: Roles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hub that serves as the limited role, with one message exchanged, sealed in a checkpoint."""
    folder: Path = tmp_path_factory.mktemp("limited")
    environment = {"HELIOGRAPH_DATABASE_URL": roles.serving_url}
    with running_world(folder, pki, environment=environment) as world:
        assert world.send(world.request().raw).envelope.header.kind is Kind.RESPONSE
        world.hub.log.checkpoint()
        yield world


def test_a_hub_serves_under_the_limited_role(limited: World) -> None:
    with limited.hub.engine.connect() as connection:
        assert str(connection.execute(text("SELECT current_user")).scalar_one()).startswith("serving")
    request = limited.request()
    assert limited.send(request.raw).status == 200
    again = limited.send(request.raw)
    assert again.fault is not None
    assert again.fault.code == "exchange.duplicate_message"
    limited.hub.log.checkpoint()
    assert limited.hub.log.check() == limited.hub.log.size() >= 5


APPEND_ONLY_TABLES = sorted(name for name, table in metadata.tables.items() if table.info.get(APPEND_ONLY))


def test_the_log_is_append_only() -> None:
    assert {"log_entries", "log_nodes", "log_checkpoints"} <= set(APPEND_ONLY_TABLES)


ON_ANY_TABLE = {
    "an update": "UPDATE {table} SET {column} = {column}",
    "a deletion": "DELETE FROM {table}",
    "a truncation": "TRUNCATE {table}",
    "an upsert": (
        "INSERT INTO {table} SELECT * FROM {table} "
        "ON CONFLICT ({keys}) DO UPDATE SET {column} = EXCLUDED.{column}"
    ),
    "a merge": "MERGE INTO {table} t USING {table} s ON t.{key} = s.{key} WHEN MATCHED THEN DELETE",
    "a lock for updating": "SELECT * FROM {table} FOR UPDATE",
    "an exclusive lock": "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "triggers off": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "a trigger dropped": "DROP TRIGGER {table}_append_only ON {table}",
    "a trigger of one's own": (
        "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    ),
    "a rule": "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "a column added": "ALTER TABLE {table} ADD COLUMN mine text",
    "a column dropped": "ALTER TABLE {table} DROP COLUMN {column}",
    "another name": "ALTER TABLE {table} RENAME TO mine",
    "the table dropped": "DROP TABLE {table} CASCADE",
    "another owner": "ALTER TABLE {table} OWNER TO CURRENT_USER",
}


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("way", ON_ANY_TABLE)
def test_the_serving_role_cannot_change_an_append_only_table(roles: Roles, way: str) -> None:
    for table in APPEND_ONLY_TABLES:
        columns = metadata.tables[table].columns
        keys = [column.name for column in columns if column.primary_key]
        column = next((column.name for column in columns if not column.primary_key), keys[0])
        statement = ON_ANY_TABLE[way].format(table=table, key=keys[0], keys=", ".join(keys), column=column)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roles.attack(statement)


@pytest.mark.usefixtures("limited")
def test_the_serving_role_cannot_give_itself_a_right(roles: Roles) -> None:
    # PostgreSQL grants nothing, and only warns.
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        roles.attack("GRANT ALL ON log_entries TO CURRENT_USER", "DELETE FROM log_entries")


BEYOND_A_TABLE = {
    "triggers off for the session": ("SET session_replication_role = replica",),
    "the triggers' function replaced": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ),
    "the triggers' function dropped": ("DROP FUNCTION refuse_change() CASCADE",),
    "a function of one's own": ("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
    "a table of one's own": ("CREATE TABLE public.mine (a int)",),
    "a schema of one's own": ("CREATE SCHEMA mine",),
    "the schema dropped": ("DROP SCHEMA public CASCADE",),
    "a program": ("COPY log_entries TO PROGRAM 'cat'",),
    "a file": ("COPY log_entries FROM '/etc/hostname'",),
    "a setting of the server": ("ALTER SYSTEM SET fsync = off",),
    "a role": ("CREATE ROLE mine SUPERUSER",),
    "a catalogue": ("UPDATE pg_trigger SET tgenabled = 'D'",),
}


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("way", BEYOND_A_TABLE)
def test_the_serving_role_cannot_get_round_the_tables(roles: Roles, way: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ActiveSqlTransaction)):
        roles.attack(*BEYOND_A_TABLE[way])


@pytest.mark.usefixtures("limited")
def test_the_serving_role_cannot_become_the_owner(roles: Roles) -> None:
    for statement in (f"SET ROLE {roles.owner}", f"SET SESSION AUTHORIZATION {roles.owner}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roles.attack(statement)


@pytest.mark.usefixtures("limited")
def test_a_copy_can_add_rows_but_not_replace_one(roles: Roles) -> None:
    # Whoever may append may append nonsense: `heliograph log audit` names it.
    with pytest.raises(psycopg.errors.UniqueViolation):
        roles.attack("INSERT INTO log_entries SELECT * FROM log_entries WHERE leaf_index = 0")


@pytest.mark.usefixtures("limited")
def test_even_the_owner_is_refused_until_the_triggers_are_gone(roles: Roles) -> None:
    engine = open_database(roles.owner_url)
    for table in APPEND_ONLY_TABLES:
        with (
            engine.connect() as connection,
            pytest.raises(Exception, match=f"{table} is append-only"),
        ):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - a table's name
    engine.dispose()
