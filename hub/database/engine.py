# SPDX-License-Identifier: Apache-2.0
"""Connections to the database: how their transactions begin, and what they promise."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hub.database.savepoints import install_savepoints
from hub.errors import SettingsError

WRITING = {"heliograph_is_writing": True}
"""Execution options of the connections that write: their transactions wait for all others that do."""

# Any number will do, as long as no other lock of the hub has it.
_WRITER_LOCK = 7_516_192_768
# A process that stands still, with its machine or in a debugger, must not hold up the others for ever.
_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', '60s', true), "
    f"pg_advisory_xact_lock({_WRITER_LOCK})"
)
# A server that went away without a word is noticed after half a minute, not after hours.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_READERS = 12
_MORE_READERS = 12


def is_writing(connection: Connection) -> bool:
    """Say whether a transaction is open that may write: nobody else writes until it ends."""
    return connection.in_transaction() and _is_for_writing(connection)


def patience(url: URL) -> dict[str, int]:
    """Return how long a PostgreSQL connection waits for what, as far as its URL does not say."""
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}


def connect_to(url: str) -> Engine:
    """Return an engine whose transactions keep the promises; which tables are there is not looked at.

    Raises:
        SettingsError: `settings.database_unusable`: the URL is not of a database we know.
    """
    try:
        if not url.startswith("postgresql"):
            engine = create_engine(url, hide_parameters=True)
        else:
            engine = create_engine(
                url,
                # What a statement was given may be a secret or a person's; errors go into the log.
                hide_parameters=True,
                # A unit's statements see what was committed when each began; with any stricter level a writer
                # that had waited for the lock would see the log as it was before the wait.
                isolation_level="READ COMMITTED",
                pool_size=_READERS,
                max_overflow=_MORE_READERS,
                connect_args=patience(make_url(url)),
                # The server may have been restarted since a connection was used last.
                pool_pre_ping=True,
            )
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        # What is wrong with it would be told with it, and a password stands in it.
        detail = "database_url is not of a database we know"
        raise SettingsError("settings.database_unusable", detail) from None
    install_savepoints(engine)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _configure_postgresql)
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself, or savepoints break.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer asks for the write lock at once: a transaction that has read before it asks cannot get it any
    # more when another process wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_for_writing(connection) else "BEGIN")


def _configure_postgresql(connection: Any, _record: object) -> None:
    connection.execute("SET lock_timeout = '30s'")
    # Whoever set it off, for a role or a database, did not mean this one. Stricter ones are left alone.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
    )
    connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    # Taken before anything is read or locked, so writers can neither miss what another one wrote nor wait for
    # each other in a circle. The lock goes with the transaction, and with the process that held it.
    if _is_for_writing(connection):
        connection.exec_driver_sql(_LOCK)


def _is_for_writing(connection: Connection) -> bool:
    options = connection.get_execution_options()
    return all(options.get(name) for name in WRITING)
