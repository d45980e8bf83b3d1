# SPDX-License-Identifier: Apache-2.0
"""`heliograph alarms`: what needs an operator."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub

app = typer.Typer(help="What needs an operator.", no_args_is_help=True)

_DEFAULT_HUB = "http://127.0.0.1:8443"


@app.command("list")
def list_alarms(
    hub: HubUrl = _DEFAULT_HUB,
    most: Annotated[int, typer.Option(help="How many at most, the latest first.")] = 100,
    cleared: Annotated[bool, typer.Option("--cleared", help="Also those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the open alarms, with what cures them.

    Example: heliograph alarms list
    """
    rows = call_hub(hub, "GET", f"/api/v1/alarms?most={most}&cleared={str(cleared).lower()}").json()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "over" if row["cleared_at"] else "acknowledged" if row["acknowledged_by"] else "open"
        typer.echo(f"{row['id']:>5}  {row['raised_at']}  {row['severity']:<8}  {state:<12}  {row['code']}")
        typer.echo(f"       {row['subject']}: {row['detail']}")
        for language in ("en", "zh-CN"):
            typer.echo(f"       {row['message'][language]} {row['cure'][language]}")
    if not rows:
        typer.echo("No alarm is open. 当前没有未解除的告警。")


@app.command()
def acknowledge(
    alarm_id: Annotated[int, typer.Argument(help="The alarm's number.")],
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Note that you take care of an alarm; it stays open until its cause is gone.

    Example: heliograph alarms acknowledge 17
    """
    row = call_hub(hub, "POST", f"/api/v1/alarms/{alarm_id}/acknowledgement").json()
    if as_json:
        print_json(row)
    else:
        typer.echo(f"{row['code']}: acknowledged by {row['acknowledged_by']} at {row['acknowledged_at']}")
