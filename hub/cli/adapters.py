# SPDX-License-Identifier: Apache-2.0
"""`heliograph adapters`: register adapters at a department's gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json, trying

if TYPE_CHECKING:
    from adapters.console.client import ConsoleClient

app = typer.Typer(
    help="Adapters: what speaks to a department's systems, tried, tested and registered.",
    no_args_is_help=True,
)
app.command("test")(trying.try_out)

_DEFAULT_GATEWAY = "http://127.0.0.1:8600"

Gateway = Annotated[
    str, typer.Option("--gateway", envvar="HELIOGRAPH_GATEWAY", help="Where the gateway's console answers.")
]
TokenFile = Annotated[
    Path,
    typer.Option(
        "--token-file", envvar="HELIOGRAPH_GATEWAY_TOKEN_FILE", help="A file with your token, yours alone."
    ),
]
Service = Annotated[str, typer.Argument(help="The service, <USCC>/<subsystem>/<service>.")]
Number = Annotated[int, typer.Argument(help="The version's number.")]
Descriptions = Annotated[Path, typer.Argument(help="A YAML file of descriptions, as git keeps it.")]
Whole = Annotated[
    bool, typer.Option("--whole", help="Registered services that the file leaves out are retired.")
]


def open_console(gateway: str, token_file: Path) -> ConsoleClient:
    """Return the console of a gateway as commands call it."""
    from adapters.console.client import ConsoleClient

    return ConsoleClient.open(gateway, token_file)


def read_text(file: Path) -> str:
    """Read a file of descriptions.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """
    from hub.errors import AdapterError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AdapterError("adapter.configuration_invalid", f"{file}: {type(error).__name__}") from error


@app.command()
def plan(
    file: Descriptions,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    *,
    whole: Whole = False,
    as_json: AsJson = False,
) -> None:
    """Show what a file of descriptions would change; changes nothing.

    Ends with exit code 2 when there is something to change, so that a pipeline can tell.

    Example: heliograph adapters plan services.yaml --gateway https://gateway:8600 --token-file token
    """
    made = _plan(open_console(gateway, token_file), read_text(file), whole=whole)
    if as_json:
        print_json(made)
    else:
        _show_plan(made)
    raise typer.Exit(0 if made["is_empty"] else 2)


@app.command()
def apply(
    file: Descriptions,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    note: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    *,
    whole: Whole = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for pipelines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a gateway's adapters as a file says: shows the difference first, then asks.

    Where another person has to approve, or a test has to be passed, the versions are proposed and wait.

    Example: heliograph adapters apply services.yaml --gateway https://gateway:8600 --token-file token
    """
    console, text = open_console(gateway, token_file), read_text(file)
    made = _plan(console, text, whole=whole)
    if not as_json:
        _show_plan(made)
    if not made["is_empty"] and not yes:
        typer.confirm("Apply this? 确认执行？", abort=True, err=as_json)
    bases = {change["service"]: change["base"] for change in made["changes"]}
    body = {"text": text, "note": note, "is_whole": whole, "bases": bases}
    done = {"versions": []} if made["is_empty"] else console.call("POST", "/adapters/apply", body=body)
    if as_json:
        print_json(done)
        return
    for version in done["versions"]:
        typer.echo(_line(version))


@app.command("list")
def list_services(
    token_file: TokenFile, gateway: Gateway = _DEFAULT_GATEWAY, *, as_json: AsJson = False
) -> None:
    """List a gateway's services, with what answers each of them.

    Example: heliograph adapters list --token-file token
    """
    services = open_console(gateway, token_file).call("GET", "/adapters")["services"]
    if as_json:
        print_json(services)
        return
    for each in services:
        version = "file" if each["version"] is None else f"version {each['version']}"
        answers = "answers nothing 未启用" if each["contract"] is None else f"{version}, {each['kind']}"
        typer.echo(f"{each['service']}  {each['contract'] or '–'}  {answers}")
        newest = each["newest"]
        if newest is not None and newest["number"] != each["version"]:
            typer.echo(f"    newest: {_line(newest)}")
        if each["problem"] is not None:
            typer.echo(f"    {each['problem']['code']}: {each['problem']['detail']}")
    if not services:
        typer.echo("No service is registered. 尚未登记服务。")


@app.command()
def show(
    service: Service,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    version: Annotated[int | None, typer.Option(help="Its text, instead of what answers now.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a service's description, its versions, and who did what.

    Example: heliograph adapters show 13510108MB1A00003J/register/disability-certificate --token-file token
    """
    console = open_console(gateway, token_file)
    if version is not None:
        found = console.call("GET", f"/adapters/{service}/versions/{version}")
        print_json(found) if as_json else typer.echo(found["text"], nl=False)
        return
    found = console.call("GET", f"/adapters/{service}")
    if as_json:
        print_json(found)
        return
    typer.echo(found["text"], nl=False)
    for each in found["versions"]:
        typer.echo(f"# {_line(each)}")
    for event in found["events"]:
        note = f": {event['note']}" if event["note"] else ""
        typer.echo(f"# {event['at']}  {event['kind']} {event['number']} by {event['by']}{note}")


@app.command()
def diff(
    service: Service,
    a: Annotated[int, typer.Argument(help="A version; 0 is the gateway's own file.")],
    b: Annotated[int, typer.Argument(help="The version it is compared with.")],
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
) -> None:
    """Compare two versions of a service's description.

    Example: heliograph adapters diff 13510108MB1A00003J/register/echo 1 2 --token-file token
    """
    query = {"a": a, "b": b}
    found = open_console(gateway, token_file).call("GET", f"/adapters/{service}/diff", query=query)
    _show_diff(found["diff"])


@app.command()
def approve(
    service: Service,
    number: Number,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    *,
    as_json: AsJson = False,
) -> None:
    """Agree to a version that somebody else has proposed.

    Example: heliograph adapters approve 13510108MB1A00003J/register/echo 2 --token-file token
    """
    _decide(gateway, token_file, f"/adapters/{service}/versions/{number}/approve", as_json=as_json)


@app.command()
def activate(
    service: Service,
    number: Number,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a version answer from now on; calls under way end on the one before.

    Example: heliograph adapters activate 13510108MB1A00003J/register/echo 2 --token-file token
    """
    at = f"/adapters/{service}/versions/{number}/activate"
    _decide(gateway, token_file, at, body={}, as_json=as_json)


@app.command()
def rollback(
    service: Service,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    *,
    as_json: AsJson = False,
) -> None:
    """Let the version answer again that answered before the present one.

    Example: heliograph adapters rollback 13510108MB1A00003J/register/echo --token-file token
    """
    _decide(gateway, token_file, f"/adapters/{service}/rollback", as_json=as_json)


@app.command()
def retire(
    service: Service,
    token_file: TokenFile,
    gateway: Gateway = _DEFAULT_GATEWAY,
    *,
    as_json: AsJson = False,
) -> None:
    """Take a service's version out; the gateway's own file answers again where it describes the service.

    Example: heliograph adapters retire 13510108MB1A00003J/register/echo --token-file token
    """
    _decide(gateway, token_file, f"/adapters/{service}/retire", as_json=as_json)


def _decide(
    gateway: str, token_file: Path, path: str, *, as_json: bool, body: dict[str, Any] | None = None
) -> None:
    version = open_console(gateway, token_file).call("POST", path, body=body)
    if as_json:
        print_json(version)
    else:
        typer.echo(_line(version))


def _plan(console: ConsoleClient, text: str, *, whole: bool) -> dict[str, Any]:
    made: dict[str, Any] = console.call("POST", "/adapters/plan", body={"text": text, "is_whole": whole})
    return made


def _show_plan(made: dict[str, Any]) -> None:
    for change in made["changes"]:
        typer.echo(f"{change['service']}: {change['kind']}")
        _show_diff(change["diff"])
    if made["is_empty"]:
        typer.echo("Nothing to change. 无需变更。")


def _show_diff(text: str) -> None:
    colours = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
    for line in text.splitlines():
        typer.secho(line, fg=colours.get(line[:1]))


def _line(version: dict[str, Any]) -> str:
    note = f": {version['note']}" if version["note"] else ""
    return (
        f"{version['service']} version {version['number']}: {version['state']}, "
        f"by {version['author']} at {version['saved_at']}{note}"
    )
