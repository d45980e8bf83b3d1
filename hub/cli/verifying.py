# SPDX-License-Identifier: Apache-2.0
"""`heliograph verify`: check a container or a sealed document offline."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import AsJson, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    file: Annotated[Path, typer.Argument(help="An .asice container or a signed PDF.", exists=True)],
    trust_list: Annotated[Path, typer.Option(help="JSON file of the approved authorities.", exists=True)],
    revocation: Annotated[
        Path | None, typer.Option(help="Folder of .crl and .ocsp files kept with the evidence.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Judge certificates at this instant (UTC) instead of now.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Check a file offline and say step by step what holds; exit code 0 only when everything does.

    Example: heliograph verify response.asice --trust-list trust-list.json --revocation revocation/
    """
    from hub.clock import SystemClock
    from hub.errors import Language
    from hub.evidence.verification import render_report, report_to_json, verify_file
    from hub.trust import load_trust_list

    report = verify_file(
        file, load_trust_list(trust_list), revocation, at=_utc(at) if at else SystemClock().now()
    )
    if as_json:
        print_json(report_to_json(report))
    else:
        typer.echo(render_report(report, Language(language)))
    raise typer.Exit(0 if report.is_valid else 1)


def _utc(instant: datetime) -> datetime:
    from datetime import UTC

    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
