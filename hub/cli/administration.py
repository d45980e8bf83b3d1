# SPDX-License-Identifier: Apache-2.0
"""`heliograph accounts` and `registry`: done beside the database, by who may read the settings."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.accounts import Role
from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.app import Hub

accounts = typer.Typer(help="Access tokens for people and systems.", no_args_is_help=True)
registry = typer.Typer(help="Members, services and access rights.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="The hub's YAML file; see docs/configuration.md.")]


@contextmanager
def beside_hub(config: Path | None) -> Iterator[Hub]:
    """Open the hub's parts beside the process that serves."""
    from hub.app import build_hub
    from hub.settings import load_settings

    hub = build_hub(load_settings(config))
    try:
        yield hub
    finally:
        hub.writer.close()
        hub.engine.dispose()


@accounts.command()
def issue(
    subject: Annotated[str, typer.Argument(help="Name of the person or system.")],
    role: Annotated[list[Role], typer.Option(help="What the account may do; may be given several times.")],
    subsystem: Annotated[str | None, typer.Option(help="The subsystem the account acts for.")] = None,
    days: Annotated[int, typer.Option(help="How long the token is valid.")] = 90,
    config: Config = None,
) -> None:
    """Issue an access token; it is shown once, here.

    Example: heliograph accounts issue "Li Wei" --role caseworker --subsystem 13510108MB1A00003J/fund
    """
    from hub.accounts import Principal
    from hub.identifiers import SubsystemId

    principal = Principal(
        subject=subject,
        roles=frozenset(role),
        subsystem=SubsystemId(subsystem) if subsystem else None,
    )
    with beside_hub(config) as hub:
        typer.echo(hub.accounts.issue(principal, timedelta(days=days)).secret)


@registry.command("plan")
def plan_registry(
    file: Annotated[Path, typer.Argument(help="YAML file of members, services and rights.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what applying a registry file would change, without changing it.

    Example: heliograph registry plan registry.yaml
    """
    from hub.registry import load_registry_file

    with beside_hub(config) as hub:
        changes = [str(change) for change in hub.registry.plan(load_registry_file(file))]
    if as_json:
        print_json(changes)
    else:
        typer.echo("\n".join(changes) or "Nothing would change.")


@registry.command("apply")
def apply_registry(
    file: Annotated[Path, typer.Argument(help="YAML file of members, services and rights.")],
    config: Config = None,
) -> None:
    """Apply a registry file.

    Example: heliograph registry apply registry.yaml
    """
    from hub.registry import load_registry_file

    with beside_hub(config) as hub:
        changes = hub.registry.apply(load_registry_file(file), by="command line")
    typer.echo(f"{len(changes)} changes applied.")
