# SPDX-License-Identifier: Apache-2.0
"""`heliograph accounts`, `registry` and `log`: done beside the database, by who may read the settings."""

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
log = typer.Typer(help="The message log.", no_args_is_help=True)

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


@log.command("stamps")
def list_stamps(
    most: Annotated[int, typer.Option(help="How many at most, the latest first.")] = 20,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the time stamps of the log's checkpoints, and the checkpoints that wait for one.

    Example: heliograph log stamps
    """
    from hub.clock import format_instant

    with beside_hub(config) as hub:
        waiting = [{"size": each.size, "since": format_instant(each.since)} for each in hub.stamps.waiting()]
        stamped = [
            {
                "size": each.size,
                "stamped_at": format_instant(each.stamped_at),
                "authority": each.authority,
            }
            for each in hub.stamps.last_stamps(most)
        ]
    if as_json:
        print_json({"waiting": waiting, "stamped": stamped})
        return
    for row in waiting:
        typer.echo(f"{row['size']:>10}  waits since {row['since']}")
    for row in stamped:
        typer.echo(f"{row['size']:>10}  {row['stamped_at']}  {row['authority']}")
    if not waiting and not stamped:
        typer.echo("No checkpoint was signed yet. 尚未签署检查点。")


@log.command()
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Compute the whole log again from its entries and compare it with everything stored and signed.

    Example: heliograph log check
    """
    with beside_hub(config) as hub:
        size = hub.log.check()
        checkpoint = hub.log.checkpoint()
    if as_json:
        print_json({"size": size, "checkpoint": checkpoint.note})
    else:
        typer.echo(f"The log holds {size} entries, and all are as they were signed.\n\n{checkpoint.note}")
