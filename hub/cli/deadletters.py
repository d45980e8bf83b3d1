# SPDX-License-Identifier: Apache-2.0
"""`heliograph dead-letters`: messages that could not be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(help="Messages that could not be delivered. Nothing is ever removed.", no_args_is_help=True)

_DEFAULT_HUB = "http://127.0.0.1:8443"
_AT_A_TIME = 200

Service = Annotated[str | None, typer.Option(help="Only for this service.")]
Code = Annotated[str | None, typer.Option(help="Only for this reason, such as exchange.undeliverable.")]
Recipient = Annotated[str | None, typer.Option(help="Only for this subsystem.")]
Sender = Annotated[str | None, typer.Option(help="Only from this subsystem.")]
Message = Annotated[str | None, typer.Option(help="Only this message.")]
Since = Annotated[str | None, typer.Option(help="Only what ended then or later: 2026-11-23T08:00:00.000Z.")]
Until = Annotated[str | None, typer.Option(help="Only what ended before then.")]
Numbers = Annotated[list[int] | None, typer.Argument(help="The dead letters' numbers.")]


@app.command("list")
def list_letters(
    service: Service = None,
    code: Code = None,
    recipient: Recipient = None,
    sender: Sender = None,
    message: Message = None,
    since: Since = None,
    until: Until = None,
    most: Annotated[int, typer.Option(help="How many at most, the youngest first.")] = 100,
    closed: Annotated[bool, typer.Option("--closed", help="Those that were closed, instead.")] = False,
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """List dead letters: why, what cures it, how often it was tried.

    Example: heliograph dead-letters list --code exchange.undeliverable
    """
    search = _search(service, code, recipient, sender, message, since, until)
    query = search | {"most": str(most), "closed": str(closed).lower()}
    page = call_hub(hub, "GET", f"/api/v1/dead-letters?{urlencode(query)}").json()
    if as_json:
        print_json(page)
        return
    for row in page["letters"]:
        typer.echo(f"{row['number']:>7}  {row['ended_at']}  {row['code']}  {row['attempts']} attempts")
        typer.echo(f"         {row['id']}  {row['sender']} -> {row['service']}")
        if row["closed_by"]:
            typer.echo(f"         closed by {row['closed_by']}: {row['closed_reason']}")
        for language in ("en", "zh-CN"):
            typer.echo(f"         {row['cure'][language]}")
    typer.echo(f"{len(page['letters'])} of {page['total']} dead letters. 共 {page['total']} 件死信。")


@app.command()
def replay(
    numbers: Numbers = None,
    service: Service = None,
    code: Code = None,
    recipient: Recipient = None,
    sender: Sender = None,
    message: Message = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and stop.")] = False,
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Have dead letters delivered once more, from the start: single ones, or all that a search finds.

    Interrupted, run it again: what was replayed is dead no more.

    Example: heliograph dead-letters replay --service 11510108MB1A00002M/employment/echo --dry-run
    """
    from rich.progress import Progress

    search = _search(service, code, recipient, sender, message, since, until)
    chosen = _chosen(hub, numbers, search)
    path, done, skipped = "preview" if dry_run else "replay", 0, []
    with Progress(transient=True, disable=as_json) as progress:
        task = progress.add_task("Looking" if dry_run else "Replaying", total=len(chosen))
        for start in range(0, len(chosen), _AT_A_TIME):
            some = chosen[start : start + _AT_A_TIME]
            answer = call_hub(hub, "POST", f"/api/v1/dead-letters/{path}", body={"numbers": some}).json()
            done += len(answer["can"]) if dry_run else answer["replayed"]
            skipped += answer["cannot" if dry_run else "skipped"]
            progress.update(task, advance=len(some))
    if as_json:
        print_json({"would_replay" if dry_run else "replayed": done, "skipped": skipped})
        return
    for each in skipped:
        typer.echo(f"{each['number']:>7}  {each['code']}")
    verb = "would be" if dry_run else "will be"
    typer.echo(f"{done} {verb} delivered once more, {len(skipped)} not. 重新投递 {done} 件。")


@app.command()
def close(
    numbers: Annotated[list[int], typer.Argument(help="The dead letters' numbers.")],
    reason: Annotated[str, typer.Option(help="Why, for good; no personal data.")],
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Leave dead letters as they are, with a reason; they stay on record.

    Example: heliograph dead-letters close 17 18 --reason "sent again on paper"
    """
    body = {"numbers": numbers, "reason": reason}
    answer = call_hub(hub, "POST", "/api/v1/dead-letters/close", body=body).json()
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Closed: {answer['closed']}. 已关闭 {answer['closed']} 件。")


def _search(
    service: str | None,
    code: str | None,
    recipient: str | None,
    sender: str | None,
    message: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, str]:
    options = {
        "service": service,
        "code": code,
        "recipient": recipient,
        "sender": sender,
        "message": message,
        "since": since,
        "until": until,
    }
    return {name: value for name, value in options.items() if value is not None}


def _chosen(hub: str, numbers: list[int] | None, search: dict[str, str]) -> list[int]:
    """Return the numbers that were given, or all that the search finds."""
    if numbers:
        return numbers
    if not search:
        raise typer.BadParameter("name dead letters, or at least one option to search by")
    return [row["number"] for row in _all_found(hub, search)]


def _all_found(hub: str, search: dict[str, str]) -> Iterator[dict[str, Any]]:
    cursor: int | None = None
    while True:
        query = search | {"most": "1000"} | ({} if cursor is None else {"cursor": str(cursor)})
        page = call_hub(hub, "GET", f"/api/v1/dead-letters?{urlencode(query)}").json()
        yield from page["letters"]
        cursor = page["cursor"]
        if cursor is None:
            return
