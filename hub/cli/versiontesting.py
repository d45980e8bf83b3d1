# SPDX-License-Identifier: Apache-2.0
"""`heliograph adapters test-version`: the contract test of a registered version, made by its gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.cli.adapters import Gateway, Number, Service, TokenFile, open_console

_MOST_SAMPLES = 200


def put_to_test(
    service: Service,
    number: Number,
    token_file: TokenFile,
    gateway: Gateway = "http://127.0.0.1:8600",
    requests: Annotated[
        Path | None,
        typer.Option(
            help="Folder of questions (*.json) about records your system has.", exists=True, file_okay=False
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    *,
    may_act: Annotated[
        bool, typer.Option("--may-act", help="Send one-way messages and events too: the system acts on them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have a gateway put one version of an adapter to its contract's test, and note what that gave.

    Where the console's settings say `needs_test`, only a version that passed can be activated. Exit code 0:
    passed; 1: not passed.

    Example: heliograph adapters test-version 13510108MB1A00003J/register/disability-certificate 3
    --token-file zhou.token --requests samples/
    """
    from hub.errors import Language

    if language not in set(Language):
        raise typer.BadParameter("zh-CN or en", param_hint="--language")
    body = {"samples": [] if requests is None else _samples(requests), "may_act": may_act}
    path = f"/adapters/{service}/versions/{number}/test"
    found = open_console(gateway, token_file).call("POST", path, body=body)
    if as_json:
        print_json(found)
    else:
        _show(found, language)
    raise typer.Exit(0 if found["passed"] else 1)


def _samples(folder: Path) -> list[Any]:
    from hub.errors import AdapterError

    files = [file for file in sorted(folder.glob("*.json")) if not file.name.endswith(".answer.json")]
    try:
        return [json.loads(file.read_bytes()) for file in files[:_MOST_SAMPLES]]
    except (OSError, ValueError) as exc:
        raise AdapterError("adapter.configuration_invalid", f"{folder}: {type(exc).__name__}") from exc


def _show(found: dict[str, Any], language: str) -> None:
    from hub.findings import printable

    words = ("通过", "未通过") if language == "zh-CN" else ("passed", "failed")
    for case in found["cases"]:
        facts = printable(" ".join(filter(None, (case["code"], case["detail"]))))
        told = f"  {words[0] if case['passed'] else words[1]}  {printable(case['title'][language])}"
        typer.echo(f"{told}  {case['seconds']:.2f} s  {facts}".rstrip())
        if case["advice"][language]:
            typer.echo(f"          {printable(case['advice'][language])}")
    typer.echo(words[0] if found["passed"] else words[1])
