# SPDX-License-Identifier: Apache-2.0
"""`heliograph messages`: what has passed the hub."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub
from hub.cli.progress import portions
from hub.client import HubUrl, call_hub

app = typer.Typer(help="See what has passed the hub.", no_args_is_help=True)

_SEARCH = "/api/v1/messages?"
_DEFAULT_HUB = "http://127.0.0.1:8443"


@app.command("list")
def list_messages(
    hub: HubUrl = _DEFAULT_HUB,
    most: Annotated[int, typer.Option(help="How many at most, the latest first.")] = 20,
    message: Annotated[str | None, typer.Option(help="The message with this id.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Only those of one conversation.")] = None,
    sender: Annotated[str | None, typer.Option(help="Only those a subsystem sent.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only those a subsystem received.")] = None,
    service: Annotated[str | None, typer.Option(help="Only those to one service.")] = None,
    state: Annotated[str | None, typer.Option(help="in_progress, processed or refused.")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on, UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this instant, UTC.")] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="A business key, NAME:VALUE; may be given several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the latest messages you may see, or those that are looked for.

    A search by business key (case, item, and what the contracts promote) is written down with your name.

    Example: heliograph messages list --key case:2026-0117 --since 2026-03-01T00:00:00.000Z
    """
    wanted = {
        "id": message,
        "conversation": conversation,
        "sender": sender,
        "recipient": recipient,
        "service": service,
        "state": state,
        "since": since,
        "until": until,
    }
    rows, is_whole = _search(hub, {name: value for name, value in wanted.items() if value}, key or [], most)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['received_at']}  {row['id']}  {row['state']:<12} {row['code'] or '':<32} {row['service']}"
        )
    if not is_whole:
        typer.echo(
            "There are more: give --most, or narrow the search. 还有更多，请加大--most或缩小范围。", err=True
        )


def _search(
    hub: str, wanted: dict[str, str], keys: list[str], most: int
) -> tuple[list[dict[str, Any]], bool]:
    """Follow the pages until there are enough messages; return also whether that is all of them."""
    rows: list[dict[str, Any]] = []
    path = _SEARCH + urlencode([*wanted.items(), *(("key", key) for key in keys), ("most", min(most, 500))])
    while True:
        response = call_hub(hub, "GET", path)
        rows += response.json()
        following = response.links.get("next", {}).get("url")
        if following is None or len(rows) >= most:
            return rows[:most], following is None and len(rows) <= most
        path = following


@app.command()
def readings(
    hub: HubUrl = _DEFAULT_HUB,
    message: Annotated[str | None, typer.Option(help="Only readings of this message.")] = None,
    account: Annotated[str | None, typer.Option(help="Only readings by this account.")] = None,
    most: Annotated[int, typer.Option(help="How many at most, the latest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who searched by business keys, read containers or took evidence away; for auditors.

    Example: heliograph messages readings --message 019a7c1e-...
    """
    wanted = {"message": message, "account": account, "most": most}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    rows = call_hub(hub, "GET", f"/api/v1/readings?{query}").json()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        about = row["message_id"] or "no message found"
        typer.echo(f"{row['at']}  {row['what']:<10} {row['detail']:<20} {about}  {row['account']}")


@app.command()
def reindex(config: Config = None, as_json: AsJson = False) -> None:
    """Compute the business keys of all messages anew, after search_key or a contract changed.

    It may run beside the hub, once that has been started with the new key, and be repeated at any time.
    Messages whose containers were erased are found by no business key afterwards.

    Example: heliograph messages reindex
    """
    from hub.errors import ExchangeError

    with beside_hub(config) as opened:
        if opened.reindexer is None:
            raise ExchangeError("exchange.search_unavailable", "no search_key is set")
        with portions("messages", is_quiet=as_json) as told:
            done = opened.reindexer.run(told)
    if as_json:
        print_json({"messages": done.messages, "unreadable": done.unreadable})
    else:
        typer.echo(f"{done.messages} messages, {done.unreadable} of them erased or unreadable.")


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
