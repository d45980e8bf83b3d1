# SPDX-License-Identifier: Apache-2.0
"""`heliograph database`: what the owner of a PostgreSQL database does once, and after every upgrade."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import AsJson, print_json

app = typer.Typer(help="The database's tables, and who may do what to them.", no_args_is_help=True)


@app.command("create")
def create_tables(
    url: Annotated[str, typer.Argument(help="The database as its owner opens it, an SQLAlchemy URL.")],
    as_json: AsJson = False,
) -> None:
    """Make the tables that are missing, as the role that shall own them.

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
