# SPDX-License-Identifier: Apache-2.0
"""`heliograph database`: what the owner of a database's tables does once, and at every upgrade."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from hub.database import Revision

app = typer.Typer(help="The database's tables, their version, and who may do what.", no_args_is_help=True)

_Url = Annotated[str, typer.Argument(help="The database as its owner opens it, an SQLAlchemy URL.")]


@app.command("create")
def create_tables(
    url: _Url,
    as_json: AsJson = False,
) -> None:
    """Make the tables in an empty database, as the role that shall own them.

    A hub makes them itself where its role may. Passwords belong into ~/.pgpass, not on the command line.

    Example: heliograph database create postgresql+psycopg://heliograph_owner@/heliograph
    """
    import hub.app  # noqa: F401 - every slice declares its tables
    from hub.database import metadata, open_database

    open_database(url).dispose()
    names = sorted(metadata.tables)
    if as_json:
        print_json({"tables": names})
        return
    typer.echo(f"All {len(names)} tables are there. 全部{len(names)}个数据表已就绪。")


@app.command("current")
def show_current(url: _Url, as_json: AsJson = False) -> None:
    """Show which revision a database's tables have, and which ones this version knows.

    Example: heliograph database current sqlite:////var/lib/heliograph/hub.sqlite
    """
    from hub.database import current_revision, head_revision, known_revisions

    found, head = current_revision(url), head_revision()
    if as_json:
        print_json({"revision": found, "head": head, "known": list(known_revisions())})
        return
    typer.echo(f"Revision of the database 数据库版本号: {found or 'none 无'}")
    typer.echo(f"This version needs 本版本需要: {head}")
    if found != head:
        typer.echo(f"Known revisions 已知版本号: {', '.join(known_revisions())}")


@app.command("check")
def check(url: _Url, as_json: AsJson = False) -> None:
    """Compare a database with the tables this version declares; exits with 1 when anything differs.

    Missing tables, columns and indexes are named, and append-only tables whose triggers are missing or off:
    there the database no longer refuses to change what was logged. What the tables hold is for
    `heliograph log audit` to judge.

    Example: heliograph database check sqlite:////var/lib/heliograph/hub.sqlite
    """
    import hub.app  # noqa: F401 - every slice declares its tables
    from hub.database import check_database, head_revision

    differences = check_database(url)
    if as_json:
        print_json({"revision": head_revision(), "differences": list(differences)})
    else:
        for line in differences:
            typer.echo(line, err=True)
        if not differences:
            typer.echo(f"As revision {head_revision()} says. 与数据库版本号{head_revision()}一致。")
    if differences:
        raise typer.Exit(1)


@app.command("upgrade")
def upgrade(url: _Url, as_json: AsJson = False) -> None:
    """Take a database of an older version to this one's tables, with everything in it.

    Stop every hub process and back the database up first. It happens whole or not at all. Roles that were
    given rights by `heliograph database grants` get those to new tables.

    Example: heliograph database upgrade postgresql+psycopg://heliograph_owner@/heliograph
    """
    import hub.app  # noqa: F401 - every slice declares its tables
    from hub.cli.progress import portions
    from hub.database import current_revision, head_revision, known_revisions, upgrade_database

    known, before = known_revisions(), current_revision(url)
    total = len(known) - (known.index(before) + 1 if before in known else 0)
    with portions("Upgrading 升级", is_quiet=as_json) as told:
        done = upgrade_database(url, on_step=_counting(told, total))
    if as_json:
        print_json({"before": before, "revision": head_revision(), "steps": list(done)})
        return
    typer.echo(f"The database has revision {head_revision()}. 数据库版本号为{head_revision()}。")


@app.command("downgrade")
def downgrade(
    url: _Url,
    revision: Annotated[str, typer.Argument(help="The revision to go back to; `base` leaves no table.")],
    discard: Annotated[
        list[str] | None,
        typer.Option(help="A table, or table.column, that may be lost with all in it; once for each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a database back to the tables of an older version, before that version is installed again.

    Refused when a table or column would be lost that holds anything, unless each is named: what an
    append-only table holds is evidence, and no backup of an older version has it.

    Example: heliograph database downgrade sqlite:////var/lib/heliograph/hub.sqlite 0001 --discard deliveries
    """
    import hub.app  # noqa: F401 - every slice declares its tables
    from hub.cli.progress import portions
    from hub.database import Revision, current_revision, downgrade_database, known_revisions

    to, known, before = Revision(revision), known_revisions(), current_revision(url)
    total = known.index(before) - (known.index(to) if to in known else -1) if before in known else 0
    with portions("Going back 退回", is_quiet=as_json) as told:
        done = downgrade_database(url, to, discard=discard or (), on_step=_counting(told, total))
    if as_json:
        print_json({"before": before, "revision": to, "steps": list(done)})
        return
    typer.echo(f"The database has revision {to}. 数据库版本号为{to}。")


def _counting(told: Callable[[int, int], None], total: int) -> Callable[[Revision], None]:
    """Turn the revisions a change goes through into a bar's portions."""
    done = count(1)
    return lambda _revision: told(next(done), total)


@app.command("grants")
def print_grants(
    role: Annotated[str, typer.Option(help="The role the hub serves as.")],
    as_json: AsJson = False,
) -> None:
    """Print the SQL that gives a role what a serving hub needs, and takes everything else away.

    On append-only tables that is adding and reading: the role can change nothing that was logged, nor take
    away the triggers that refuse it. Run it as the owner of the tables.

    Example: heliograph database grants --role heliograph_hub | psql -U heliograph_owner heliograph
    """
    import hub.app  # noqa: F401 - every slice declares its tables
    from hub.database import grants

    try:
        statements = grants(role)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--role") from None
    if as_json:
        print_json({"statements": list(statements)})
        return
    for statement in statements:
        typer.echo(f"{statement};")
