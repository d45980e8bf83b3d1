# SPDX-License-Identifier: Apache-2.0
"""`heliograph verify`: check bundles, containers, sealed documents and log proofs offline."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.verifyingmany import Question, exchange_progress, verify_many

ListsOption = Annotated[
    Path | None, typer.Option(help="Folder of signed trust lists, or the one of that day.", exists=True)
]
SignerOption = Annotated[
    Path | None, typer.Option(help="PEM certificate of who signs the list; get it from them.", exists=True)
]
UnsignedOption = Annotated[
    Path | None, typer.Option(help="Development only: a trust list that nobody signed.", exists=True)
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Evidence bundles, .asice containers, signed PDFs, .tlog-proof files, or folders of them.",
            exists=True,
        ),
    ],
    trust_list: ListsOption = None,
    trust_list_signer: SignerOption = None,
    unsafe_unsigned_list: UnsignedOption = None,
    revocation: Annotated[
        Path | None, typer.Option(help="Folder of .crl and .ocsp files kept with the evidence.")
    ] = None,
    log_policy: Annotated[
        Path | None,
        typer.Option(help="C2SP tlog-policy: the log and the witnesses you trust; for bundles and proofs."),
    ] = None,
    leaf: Annotated[
        Path | None, typer.Option(help="The log entry a .tlog-proof file is for.", exists=True)
    ] = None,
    hub: Annotated[
        str | None, typer.Option(help="Subsystem that must have signed a bundle's receipts.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Judge certificates at this instant (UTC) instead of now.")
    ] = None,
    also_allow: Annotated[
        list[str] | None,
        typer.Option(help="Id of an algorithm that is off by default, such as ml-dsa-65; may be repeated."),
    ] = None,
    processes: Annotated[int, typer.Option(help="How many at a time, for many files.", min=1, max=64)] = 1,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Check files offline and say step by step what holds; exit code 0 only when everything does.

    Of many files, what is valid is one line, and `--json` prints one report a line.

    Example: heliograph verify bundle.zip --trust-list-signer signer.pem --log-policy policy.txt

    Example: heliograph verify response.asice --trust-list trust-lists/ --trust-list-signer signer.pem
    --revocation revocation/
    """
    from hub.clock import SystemClock
    from hub.errors import Language
    from hub.verifier import render_report, report_to_json

    question = Question(
        lists=(trust_list, trust_list_signer, unsafe_unsigned_list),
        revocation=revocation,
        log_policy=log_policy,
        leaf=leaf,
        hub=hub,
        at=_utc(at) if at else SystemClock().now(),
        also_allowed=tuple(also_allow or ()),
        language=Language(language),
    )
    question.check()
    if len(files) > 1 or files[0].is_dir():
        raise typer.Exit(0 if verify_many(files, question, processes, as_json=as_json) else 1)
    with exchange_progress() as tell_progress:
        report = question.verifier(tell_progress)(files[0])
    if as_json:
        print_json(report_to_json(report))
    else:
        typer.echo(render_report(report, Language(language)))
    raise typer.Exit(0 if report.is_valid else 1)


def _utc(instant: datetime) -> datetime:
    from datetime import UTC

    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
