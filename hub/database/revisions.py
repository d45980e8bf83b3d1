# SPDX-License-Identifier: Apache-2.0
"""Which version of the tables a database has, and which ones this program knows.

The steps from one to the next are the files of `hub/migrations/versions`, run by Alembic. They are found by
their folder and not imported: they describe what was.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NewType

from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, delete, insert, inspect, select

from hub.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

Revision = NewType("Revision", str)
"""Names a version of the tables: four digits, counted from 0001."""

BASE = Revision("base")
"""The state without any table."""

_FOLDER = Path(__file__).parents[1] / "migrations"

# Declared as Alembic declares it, which makes it itself where it is missing; it is no slice's table.
version_table = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@cache
def steps() -> ScriptDirectory:
    """Return the known steps."""
    return ScriptDirectory(str(_FOLDER))


@cache
def head_revision() -> Revision:
    """Return the revision whose tables this program declares."""
    found = steps().get_current_head()
    if found is None:
        raise RuntimeError("there are no migrations")
    return Revision(found)


@cache
def known_revisions() -> tuple[Revision, ...]:
    """Return every revision this program knows, oldest first."""
    return tuple(Revision(each.revision) for each in steps().walk_revisions())[::-1]


def revision_of(connection: Connection) -> Revision | None:
    """Return the revision a database says it has; none where nobody wrote one down."""
    if not inspect(connection).has_table(version_table.name):
        return None
    found = connection.execute(select(version_table.c.version_num)).scalar_one_or_none()
    return None if found is None else Revision(found)


def stamp(connection: Connection, revision: Revision) -> None:
    """Write down which revision the tables have."""
    version_table.create(connection, checkfirst=True)
    connection.execute(delete(version_table))
    connection.execute(insert(version_table).values(version_num=revision))


def require_known(revision: Revision) -> None:
    """Refuse a revision of another program's.

    Raises:
        SettingsError: `settings.database_newer`.
    """
    if revision not in known_revisions():
        raise SettingsError(
            "settings.database_newer",
            f"the database has revision {revision}; this version knows up to {head_revision()}",
        )
