# SPDX-License-Identifier: Apache-2.0
"""Taking a database from one revision to another, with everything in it, or leaving it as it was.

All steps of a change are one transaction, on both kinds of database, and nobody serves meanwhile. Going down
takes tables and columns away; what they hold may be evidence, and append-only triggers do not speak up when a
table is dropped. So it is tried first, what would be lost is counted, and anything the operator did not name
is a refusal.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import column, func, inspect, select, table
from sqlalchemy.exc import OperationalError, ProgrammingError

from hub.database.engine import WRITING, connect_to
from hub.database.opening import first_line
from hub.database.revisions import (
    BASE,
    Revision,
    head_revision,
    known_revisions,
    require_known,
    revision_of,
    steps,
    version_table,
)
from hub.database.rights import grants_to_use, roles_that_serve
from hub.database.serving import ServingClaim
from hub.database.tables import metadata
from hub.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Connection, Engine

    OnStep = Callable[[Revision], None]


def current_revision(url: str) -> Revision | None:
    """Return the revision a database has; none where none was written down.

    Raises:
        SettingsError: `settings.database_unusable`.
    """
    with opened(url) as engine, engine.connect() as connection:
        return revision_of(connection)


def upgrade_database(url: str, *, on_step: OnStep | None = None) -> tuple[Revision, ...]:
    """Take a database to the head; returns the revisions it went through, none when it was there.

    Roles that serve keep their rights, and get those to new tables.

    Args:
        url: as the owner of the tables opens it.
        on_step: told each revision as it is reached; nothing counts before all were.

    Raises:
        SettingsError: `settings.database_newer`; `settings.database_in_use`: somebody serves from it;
            `settings.database_unusable`.
    """
    with _alone(url) as connection:
        before = revision_of(connection)
        if before is not None:
            require_known(before)
        done = _run(connection, steps()._upgrade_revs, head_revision(), on_step)  # noqa: SLF001 - as Alembic's commands do
        _give_rights(connection)
        return done


def downgrade_database(
    url: str, to: Revision, *, discard: Collection[str] = (), on_step: OnStep | None = None
) -> tuple[Revision, ...]:
    """Take a database back to an older revision; returns the revisions it went through.

    Args:
        url: as the owner of the tables opens it.
        to: a revision this program knows, or `BASE`.
        discard: the tables (`deliveries`) and columns (`exchanges.topic`) that may be lost with all in them.
        on_step: told each revision as it is left for the one before.

    Raises:
        SettingsError: `settings.database_losing_data`: something would be lost that is not in `discard`;
            `settings.revision_unknown`; `settings.database_newer`; `settings.database_in_use`;
            `settings.database_unusable`.
    """
    _require_older(to)
    with _alone(url) as connection:
        before = revision_of(connection)
        if before is None:
            raise SettingsError("settings.revision_unknown", "the database has none to go down from")
        require_known(before)
        if to != BASE and to > before:
            raise SettingsError("settings.revision_unknown", f"{to} is newer than the database's {before}")
        lost = _lost_by(connection, to)
        kept_back = {name: rows for name, rows in lost.items() if name not in discard}
        if kept_back:
            told = ", ".join(f"{name} ({rows})" for name, rows in sorted(kept_back.items()))
            raise SettingsError("settings.database_losing_data", told)
        return _run(connection, steps()._downgrade_revs, to, on_step)  # noqa: SLF001 - as Alembic's commands do


def _require_older(to: Revision) -> None:
    if to not in {BASE, *known_revisions()}:
        known = ", ".join((BASE, *known_revisions()))
        raise SettingsError("settings.revision_unknown", f"{to} is none of {known}")


def _run(
    connection: Connection, planned: Callable[[Any, Any], Any], to: Revision, on_step: OnStep | None
) -> tuple[Revision, ...]:
    done: list[Revision] = []

    def note(step: Any, **_more: object) -> None:
        reached = Revision(step.up_revision_id if step.is_upgrade else (step.down_revision_ids or (BASE,))[0])
        done.append(reached)
        if on_step is not None:
            on_step(reached)

    options = {"fn": lambda found, _context: planned(to, found), "on_version_apply": (note,)}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context):
        context.run_migrations()
    return tuple(done)


def _lost_by(connection: Connection, to: Revision) -> dict[str, int]:
    """Say which tables and columns going down takes away that hold anything, and how many rows it is."""
    before = _columns(connection)
    with connection.begin_nested() as trial:
        _run(connection, steps()._downgrade_revs, to, None)  # noqa: SLF001 - as Alembic's commands do
        after = _columns(connection)
        trial.rollback()
    lost: dict[str, int] = {}
    for name, columns in before.items():
        if name not in after:
            lost[name] = connection.execute(select(func.count()).select_from(table(name))).scalar_one()
            continue
        for each in columns - after[name]:
            found = select(func.count()).select_from(table(name)).where(column(each).is_not(None))
            lost[f"{name}.{each}"] = connection.execute(found).scalar_one()
    return {name: rows for name, rows in lost.items() if rows}


def _columns(connection: Connection) -> dict[str, set[str]]:
    found = inspect(connection)
    names = set(found.get_table_names()) - {version_table.name}
    return {name: {each["name"] for each in found.get_columns(name)} for name in names}


def _give_rights(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for role in roles_that_serve(connection):
            for statement in grants_to_use(role, metadata):
                connection.exec_driver_sql(statement)


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Connect to a database of whatever revision, and say what goes wrong in the hub's words."""
    engine = connect_to(url)
    try:
        yield engine
    except (OperationalError, ProgrammingError) as exc:
        raise SettingsError("settings.database_unusable", first_line(exc)) from exc
    except CommandError as exc:
        raise SettingsError("settings.database_newer", str(exc)) from exc
    finally:
        engine.dispose()


@contextmanager
def _alone(url: str) -> Iterator[Connection]:
    """Open a transaction in a database nobody serves from, and keep it so until the transaction ends."""
    with opened(url) as engine:
        # Whether it can be reached is said by this slice's words, not by those of what a claim is made with.
        engine.connect().close()
        claim = ServingClaim(engine)
        claim.take()
        try:
            with engine.connect().execution_options(**WRITING) as connection, connection.begin():
                others = len(claim.living(connection) - {claim.number})
                if others:
                    raise SettingsError("settings.database_in_use", f"{others} processes serve from it")
                yield connection
        finally:
            claim.release()
