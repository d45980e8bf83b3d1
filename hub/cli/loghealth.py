# SPDX-License-Identifier: Apache-2.0
"""`heliograph log health`: how the log is, in a few lines."""

from __future__ import annotations

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub


def add_to(app: typer.Typer) -> None:
    """Add the command to `heliograph log`."""
    app.command()(health)


def health(config: Config = None, as_json: AsJson = False) -> None:
    """Show the log's size, checkpoints, time stamps and witnesses, its verifier key, and the last audit.

    Example: heliograph log health
    """
    from hub.messagelog import view_health

    with beside_hub(config) as hub:
        view = view_health(hub.log_health.state())
    if as_json:
        print_json(view.model_dump())
        return
    last, stamps, audit = view.last_checkpoint, view.stamps, view.audit
    typer.echo(f"verifier key 验证密钥   {view.verifier_key}")
    typer.echo(f"entries 条目           {view.size}")
    signed = f"{last.size}  {last.signed_at or ''}" if last else "none yet 尚无"
    typer.echo(f"checkpoint 检查点      {signed}")
    stamped = f"{stamps.size}  {stamps.stamped_at}" if stamps.size is not None else "none yet 尚无"
    typer.echo(f"time stamp 时间戳      {stamped}")
    if stamps.waiting:
        typer.echo(f"waiting 等待时间戳     {stamps.waiting} since {stamps.waiting_since}")
    for witness in view.witnesses:
        seen = f"{witness.size}  {witness.cosigned_at}" if witness.size is not None else "none yet 尚无"
        typer.echo(f"witness 见证           {seen}  {witness.name}")
    told = f"{audit.at}  {audit.size} entries, {audit.findings} findings" if audit else "never 从未"
    typer.echo(f"last audit 最近审计    {told}")
