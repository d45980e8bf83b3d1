# SPDX-License-Identifier: Apache-2.0
"""`heliograph evidence`: ask another department for evidence, and fetch the answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub
from hub.errors import ExchangeError

app = typer.Typer(help="Ask other departments for evidence.", no_args_is_help=True)

_DEFAULT_HUB = "http://127.0.0.1:8443"
_POLL_SECONDS = 0.2
_FINAL = {"delivered", "failed"}


@app.command()
def request(
    service: Annotated[str, typer.Option(help="The service to ask, <USCC>/<subsystem>/<service>.")],
    data: Annotated[str, typer.Option(help="The question as JSON, in the words of the service's contract.")],
    item: Annotated[str, typer.Option(help="Code of the power item or procedure it is needed for.")],
    case: Annotated[str, typer.Option(help="Number of the case.")],
    legal_basis: Annotated[str, typer.Option(help="The provision that allows it.")],
    post: Annotated[str, typer.Option(help="The function in which you ask.")],
    hub: HubUrl = _DEFAULT_HUB,
    wait_seconds: Annotated[float, typer.Option(help="How long to wait for the answer.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Ask for evidence; your department's gateway signs and sends the request.

    Example: heliograph evidence request --service 11510108MB1A00002M/employment/disability-employment-proof
    --data '{"employer": "91510108MA6C00001C", "year": 2026}' --item 000788002000 --case C-2026-17
    --legal-basis "..." --post "fund clerk"
    """
    body = {
        "service": service,
        "request": _json_object(data),
        "purpose": {"item": item, "case": case, "legal_basis": legal_basis, "post": post},
    }
    shown = call_hub(hub, "POST", "/api/v1/evidence/requests", body=body).json()
    deadline = time.monotonic() + wait_seconds
    while shown["state"] not in _FINAL and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        shown = call_hub(hub, "GET", f"/api/v1/evidence/requests/{shown['id']}").json()
    _show(shown, as_json=as_json)
    raise typer.Exit(0 if shown["state"] == "delivered" else 1)


@app.command()
def status(request_id: str, hub: HubUrl = _DEFAULT_HUB, as_json: AsJson = False) -> None:
    """Show where a request stands.

    Example: heliograph evidence status 019a7c1e-...
    """
    _show(call_hub(hub, "GET", f"/api/v1/evidence/requests/{request_id}").json(), as_json=as_json)


@app.command()
def fetch(
    request_id: str,
    folder: Annotated[Path, typer.Option(help="Where to put the files.")] = Path(),
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Fetch the signed request, the answer, the receipt, and the documents of a request.

    Example: heliograph evidence fetch 019a7c1e-... --folder proof/
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part, name in (
        ("request", "request.asice"),
        ("answer", "response.asice"),
        ("receipt", "receipt.asice"),
    ):
        path = f"/api/v1/evidence/requests/{request_id}/containers/{part}"
        written.append(_write(folder / name, call_hub(hub, "GET", path).content))
    written += _write_documents(folder, hub, request_id)
    if as_json:
        print_json(written)
    else:
        typer.echo("\n".join(written))


def _write_documents(folder: Path, hub: str, request_id: str) -> list[str]:
    from hub.envelope import open_envelope

    answer = open_envelope((folder / "response.asice").read_bytes())
    names = [entry.name for entry in answer.header.payload]
    return [
        _write(
            folder / name,
            call_hub(hub, "GET", f"/api/v1/evidence/requests/{request_id}/documents/{name}").content,
        )
        for name in names
    ]


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ExchangeError("exchange.request_invalid", f"--data is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ExchangeError("exchange.request_invalid", "--data is not a JSON object")
    return value


def _show(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    typer.echo(f"{shown['id']}  {shown['state']}")
    if shown["code"]:
        typer.echo(f"  {shown['code']}: {shown['detail'] or ''}")
