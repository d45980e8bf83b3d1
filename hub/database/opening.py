# SPDX-License-Identifier: Apache-2.0
"""Opening a database: only the tables this program declares are worked on, and nobody else's are touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError, ProgrammingError

from hub.database.engine import WRITING, connect_to
from hub.database.revisions import head_revision, require_known, revision_of, stamp
from hub.database.tables import metadata
from hub.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData


def open_database(url: str, tables: MetaData = metadata) -> Engine:
    """Open a database; an empty one gets its tables, one of another version is refused.

    SQLite runs in WAL mode with a full flush on every commit, PostgreSQL with synchronous commits: an
    acknowledged write survives a power cut. Several processes may open the same database at once.

    Args:
        url: an SQLAlchemy URL, for example `sqlite:////var/lib/heliograph/hub.sqlite` or
            `postgresql+psycopg://heliograph@/heliograph?host=/run/postgresql`.
        tables: what has to be in it; other tables than the hub's have no revisions and are made when missing.

    Raises:
        SettingsError: `settings.database_unusable`: it cannot be opened, or it is empty and this role may not
            create tables. `settings.database_outdated`, `settings.database_newer`: an older or a newer
            version made its tables. `settings.database_incomplete`: tables are missing.
    """
    engine = connect_to(url)
    try:
        if tables is metadata:
            _require_head(engine)
        else:
            _create_missing(engine, tables)
    except (OperationalError, ProgrammingError) as exc:
        engine.dispose()
        raise SettingsError("settings.database_unusable", first_line(exc)) from exc
    except SettingsError:
        engine.dispose()
        raise
    return engine


def first_line(error: OperationalError | ProgrammingError) -> str:
    """Return what the database's driver says, without the statement."""
    return str(error.orig).partition("\n")[0]


def _require_head(engine: Engine) -> None:
    # A look first: who only serves need not be allowed to create tables, nor wait for who writes just now.
    with engine.connect() as connection:
        if _is_ready(connection):
            return
    with engine.connect().execution_options(**WRITING) as connection, connection.begin():
        # Another process may have made the tables meanwhile.
        if not _is_ready(connection):
            metadata.create_all(connection)
            stamp(connection, head_revision())


def _is_ready(connection: Connection) -> bool:
    """Say whether the declared tables are there; false where there are none, and refuse anything between."""
    found = set(inspect(connection).get_table_names())
    revision = revision_of(connection)
    missing = sorted(set(metadata.tables) - found)
    if revision is None:
        if len(missing) < len(metadata.tables):
            raise _outdated(connection, "no revision")
        return False
    require_known(revision)
    if revision != head_revision():
        raise _outdated(connection, f"revision {revision}")
    if missing:
        raise SettingsError("settings.database_incomplete", ", ".join(missing))
    return True


def _outdated(connection: Connection, has: str) -> SettingsError:
    url = connection.engine.url.render_as_string(hide_password=True)
    detail = f"it has {has} and needs {head_revision()}: heliograph database upgrade {url}"
    return SettingsError("settings.database_outdated", detail)


def _create_missing(engine: Engine, tables: MetaData) -> None:
    if set(inspect(engine).get_table_names()) >= set(tables.tables):
        return
    with engine.connect().execution_options(**WRITING) as connection, connection.begin():
        tables.create_all(connection)
