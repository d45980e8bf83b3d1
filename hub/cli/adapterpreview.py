# SPDX-License-Identifier: Apache-2.0
"""`heliograph adapters preview`: mappings tried on samples; and what an administrator signs in with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.cli.adapters import app, read_text

if TYPE_CHECKING:
    from adapters.register import Side


@app.command()
def preview(
    file: Annotated[Path, typer.Argument(help="A YAML file with the description of one service.")],
    contracts: Annotated[Path, typer.Option(help="The folder of contracts.")] = Path("contracts"),
    request: Annotated[Path | None, typer.Option(help="A request.json of the contract.")] = None,
    answer: Annotated[Path | None, typer.Option(help="What the system answered, as JSON.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Try a description's mappings on samples: what production would give, field by field.

    Runs here and asks nobody. Ends with exit code 1 when a result would be refused.

    Example: heliograph adapters preview services.yaml --answer sample.json
    """
    from adapters.descriptions import parse_description
    from adapters.register import preview as try_out
    from adapters.register.rules import split
    from hub.contracts import load_contracts
    from hub.errors import AdapterError
    from hub.identifiers import ContractId

    text = read_text(file)
    [canonical, *others] = split(text).values()
    named = parse_description(canonical, at=str(file)).get("contract")
    known = load_contracts(contracts)
    contract = known.get(ContractId(named)) if isinstance(named, str) else None
    if contract is None or others:
        raise AdapterError(
            "adapter.configuration_invalid", f"{file}: one service, with a contract of {contracts}"
        )
    tried = try_out(
        text,
        contract=contract,
        sample_request=None if request is None else _read_json(request),
        sample_answer=None if answer is None else _read_json(answer),
    )
    if as_json:
        print_json(tried.as_json())
    else:
        _show("request 请求", tried.request)
        _show("answer 应答", tried.answer)
    raise typer.Exit(0 if tried.is_sound else 1)


@app.command()
def password(
    out: Annotated[Path, typer.Argument(help="The file that is written; it must not be there yet.")],
) -> None:
    """Make what a gateway keeps of an administrator's password; asks for the password twice.

    Example: heliograph adapters password zhou.argon2
    """
    from adapters.console.passwords import SHORTEST_PASSWORD, hash_password
    from hub.custody import write_private_file
    from hub.errors import SettingsError

    typed = typer.prompt(
        f"Password, at least {SHORTEST_PASSWORD} characters 口令", hide_input=True, confirmation_prompt=True
    )
    try:
        kept = hash_password(typed)
    except ValueError as error:
        raise SettingsError("settings.invalid", str(error)) from error
    write_private_file(out, kept.encode("ascii"))
    typer.echo(f"{out}: name it in the gateway's configuration as password: file:{out.name}")


@app.command()
def token(
    out: Annotated[Path, typer.Argument(help="The file the token is written to; not there yet.")],
) -> None:
    """Make a token for programs, and beside it the digest that the gateway keeps.

    Example: heliograph adapters token zhou.token
    """
    from adapters.console.administrators import generate_token
    from hub.custody import write_private_file

    secret, digest = generate_token()
    kept = out.with_name(f"{out.name}.sha256")
    write_private_file(out, secret.encode("ascii"))
    write_private_file(kept, digest.encode("ascii"))
    typer.echo(f"{out}: for the program alone. {kept}: for the gateway, as digest: file:{kept.name}")


def _read_json(file: Path) -> Any:
    from hub.errors import AdapterError

    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError("adapter.configuration_invalid", f"{file}: {type(error).__name__}") from error


def _show(title: str, side: Side) -> None:
    from hub.errors import Language

    typer.secho(title, bold=True)
    for unmapped in side.unmapped:
        typer.echo(f"  {unmapped}: required, and nothing fills it 必填而未映射")
    if not side.is_tried:
        typer.echo("  no sample 无样例")
        return
    for each in side.fields:
        mark = "✗" if each.problem else "✓" if each.has_value else "–"
        typer.echo(f"  {mark} {each.pointer} ← {each.expression or 'constant'}")
        if each.problem:
            typer.echo(f"      {each.problem}")
    for loss in side.lossy:
        typer.echo(f"  {loss.pointer or loss.into}: {loss.reason.value} 信息有损")
    for unread in side.unread:
        typer.echo(f"  {unread}: not read 未读取")
    for violation in side.violations:
        typer.echo(f"  {violation.describe(Language.EN)} {violation.describe(Language.ZH)}")
    if side.refusal is not None:
        typer.echo(f"  {side.refusal.code}: {side.refusal.detail}")
    else:
        typer.echo(json.dumps(side.result, ensure_ascii=False, indent=2))
