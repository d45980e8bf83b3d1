# SPDX-License-Identifier: Apache-2.0
"""`heliograph log audit`: the whole log read again and held to everything that was signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub
from hub.cli.progress import portions

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.messagelog import AuditReport


def add_to(app: typer.Typer) -> None:
    """Add the command to `heliograph log`."""
    app.command()(audit)


def audit(
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint kept elsewhere; may be given several times.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="A copy of the log's tiles: its folder, or its address ending in /log.")
    ] = None,
    from_witness: Annotated[
        bool, typer.Option("--from-witness", help="Ask every witness of witness_policy what it cosigned.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole log and name everything that was changed, the first bad entry first.

    Nothing is written into the database. The exit code is 1 when anything is wrong. Without a checkpoint kept
    outside the database, a log rewritten with the stolen key cannot be told from the true one.

    Example: heliograph log audit --checkpoint kept-in-march.txt --mirror https://mirror.example/log
    """
    from hub.messagelog import Mirror, Source, open_claim, open_shelf, report_as_json

    with beside_hub(config) as hub:
        keys, origin = hub.log.verifiers, hub.log.origin
        copy = Mirror(open_shelf(mirror), keys, origin) if mirror else None
        kept = [
            open_claim(path.read_text(encoding="utf-8"), keys, origin, Source.KEPT, str(path))
            for path in checkpoint or ()
        ]
        kept += [copy.claim] if copy else []
        with portions("entries", is_quiet=as_json) as told:
            report = hub.audit.run(kept=kept, mirror=copy, progress=told)
        if from_witness:
            report = _ask_witnesses(hub, config, report)
        hub.audit_notes.write(report, hub.pipeline.clock.now())
    if as_json:
        print_json(report_as_json(report))
    else:
        _tell(report)
    raise typer.Exit(0 if report.holds else 1)


def _ask_witnesses(hub: Hub, config: Path | None, report: AuditReport) -> AuditReport:
    """Add what the witnesses know; one that cannot be asked is named and leaves the report as it was."""
    from hub.errors import LogError, SettingsError
    from hub.messagelog import ask_witness, read_witness_policy, with_findings
    from hub.settings import load_settings

    path = load_settings(config).witness_policy
    if path is None:
        raise SettingsError("settings.invalid", "witness_policy is not set: there is no witness to ask")
    for witness in read_witness_policy(path).witnesses:
        try:
            report = with_findings(report, ask_witness(hub.log, witness), "witness")
        except LogError as exc:
            typer.echo(f"{witness.name}: {exc.code}: {exc.detail}", err=True)
    return report


def _tell(report: AuditReport) -> None:
    from hub.errors import Language
    from hub.findings import printable
    from hub.messagelog import conclude, describe_place, tampering_kinds

    kinds = tampering_kinds()
    for finding in report.findings:
        kind = kinds[finding.kind]
        message = f" ({finding.message_id})" if finding.message_id else ""
        for language in (Language.ZH, Language.EN):
            typer.echo(f"{kind.name[language]}: {describe_place(finding, language)}{printable(message)}")
            typer.echo(f"  {kind.meaning[language]}")
            typer.echo(f"  {kind.cure[language]}")
        typer.echo(f"  {printable(finding.detail)}\n")
    if report.unlisted:
        typer.echo(f"{report.unlisted} further findings are not listed. 另有{report.unlisted}项未列出。")
    for language in (Language.ZH, Language.EN):
        typer.echo(conclude(report, language))
