# SPDX-License-Identifier: Apache-2.0
"""The command line: `heliograph COMMAND --help` explains each command with an example.

Commands import what they need when they run, so that the command line answers at once.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hub.errors import HubError

app = typer.Typer(
    name="heliograph",
    help="Government data exchange: certificates travel between departments instead of people.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def main() -> None:
    """Run the command line; a refusal is one line with its code and cure, and exit code 1."""
    from hub.errors import HubError

    _add_commands()
    try:
        app()
    except HubError as error:
        refuse(error)


@cache
def _add_commands() -> None:
    """Put the command line together, once in a process."""
    from hub.cli import (
        adapterpreview,  # noqa: F401 - it adds to `adapters`
        adapters,
        administration,
        alarms,
        certificates,
        database,
        deadletters,
        delivering,
        evidence,
        exporting,  # noqa: F401 - it adds to `log`
        keys,
        log,
        logaudit,
        loghealth,
        logproofs,
        messages,
        opening,
        renewing,
        rollover,
        serving,
        simulating,
        status,
        trust,
        vault,
        verifying,
        versiontesting,
    )

    serving.add_to(app)
    delivering.add_to(app)
    status.add_to(app)
    verifying.add_to(app)
    opening.add_to(app)
    app.command("roll-over")(rollover.roll_over)
    app.command()(simulating.simulate)
    adapters.app.command("test-version")(versiontesting.put_to_test)
    app.add_typer(adapters.app, name="adapters")
    app.add_typer(evidence.app, name="evidence")
    app.add_typer(messages.app, name="messages")
    app.add_typer(alarms.app, name="alarms")
    app.add_typer(deadletters.app, name="dead-letters")
    app.add_typer(database.app, name="database")
    app.add_typer(keys.app, name="keys")
    app.add_typer(administration.accounts, name="accounts")
    administration.registry.add_typer(certificates.app, name="certificates")
    app.add_typer(administration.registry, name="registry")
    logaudit.add_to(log.app)
    loghealth.add_to(log.app)
    renewing.add_to(log.app)
    logproofs.add_to(log.app)
    app.add_typer(log.app, name="log")
    app.add_typer(trust.app, name="trust")
    app.add_typer(vault.app, name="vault")


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def refuse(error: HubError, exit_code: int = 1) -> NoReturn:
    """Say why a command refuses, in both languages, and end it."""
    from hub.errors import Language
    from hub.findings import finding_to_json, printable, tell

    finding = error.finding
    if "--json" in sys.argv:
        told: dict[str, Any] = {"code": error.code, "detail": error.detail, "culprit": error.culprit.value}
        print_json(told | ({"finding": finding_to_json(finding)} if finding else {}))
        sys.exit(exit_code)
    cure = finding.cure if finding else error.kind.cure
    typer.echo(f"{error.code}: {error.kind.message[Language.EN]}", err=True)
    if error.detail:
        typer.echo(f"  {printable(error.detail)}", err=True)
    typer.echo(f"  {printable(cure[Language.EN])}", err=True)
    typer.echo(f"  {printable(error.kind.message[Language.ZH] + cure[Language.ZH])}", err=True)
    if finding:
        typer.echo(f"  {tell(finding, Language.ZH)}", err=True)
    sys.exit(exit_code)
