# SPDX-License-Identifier: Apache-2.0
"""`heliograph messages`: what has passed the hub."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub

app = typer.Typer(help="See what has passed the hub.", no_args_is_help=True)

_DEFAULT_HUB = "http://127.0.0.1:8443"


@app.command("list")
def list_messages(
    hub: HubUrl = _DEFAULT_HUB,
    most: Annotated[int, typer.Option(help="How many at most, the latest first.")] = 20,
    conversation: Annotated[str | None, typer.Option(help="Only those of one conversation.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the latest messages you may see.

    Example: heliograph messages list --most 50
    """
    query = f"conversation={conversation}" if conversation else f"most={most}"
    rows = call_hub(hub, "GET", f"/api/v1/messages?{query}").json()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['received_at']}  {row['id']}  {row['state']:<12} {row['code'] or '':<32} {row['service']}"
        )


@app.command()
def show(message_id: str, hub: HubUrl = _DEFAULT_HUB, as_json: AsJson = False) -> None:
    """Show where one message stands and which log entries speak of it.

    Example: heliograph messages show 019a7c1e-...
    """
    record = call_hub(hub, "GET", f"/api/v1/messages/{message_id}").json()
    proofs = call_hub(hub, "GET", f"/api/v1/log/proofs/{message_id}").json()
    if as_json:
        print_json({"message": record, "proofs": proofs})
        return
    for name, value in record.items():
        typer.echo(f"{name:<16} {value if value is not None else ''}")
    for proof in proofs:
        typer.echo(f"log entry {proof['index']:<6} {proof['entry']}")
