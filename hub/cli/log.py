# SPDX-License-Identifier: Apache-2.0
"""`heliograph log`: the message log, looked after beside the database by who may read the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub

app = typer.Typer(help="The message log.", no_args_is_help=True)


@app.command("stamps")
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
