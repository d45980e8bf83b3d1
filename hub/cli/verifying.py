# SPDX-License-Identifier: Apache-2.0
"""`heliograph verify`: check a container or a sealed document offline."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.trust import TrustLists, Use, UsePolicy


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
    file: Annotated[Path, typer.Argument(help="An .asice container or a signed PDF.", exists=True)],
    trust_list: ListsOption = None,
    trust_list_signer: SignerOption = None,
    unsafe_unsigned_list: UnsignedOption = None,
    revocation: Annotated[
        Path | None, typer.Option(help="Folder of .crl and .ocsp files kept with the evidence.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Judge certificates at this instant (UTC) instead of now.")
    ] = None,
    also_allow: Annotated[
        list[str] | None,
        typer.Option(help="Id of an algorithm that is off by default, such as ml-dsa-65; may be repeated."),
    ] = None,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Check a file offline and say step by step what holds; exit code 0 only when everything does.

    Example: heliograph verify response.asice --trust-list trust-lists/ --trust-list-signer signer.pem
    --revocation revocation/
    """
    from hub.clock import SystemClock
    from hub.errors import Language
    from hub.evidence.verification import verify_file
    from hub.verifier import render_report, report_to_json

    trust_lists = chosen_trust_lists(trust_list, trust_list_signer, unsafe_unsigned_list)
    now = _utc(at) if at else SystemClock().now()
    report = verify_file(file, trust_lists, revocation, at=now, policies=_policies(also_allow or ()))
    if as_json:
        print_json(report_to_json(report))
    else:
        typer.echo(render_report(report, Language(language)))
    raise typer.Exit(0 if report.is_valid else 1)


def chosen_trust_lists(folder: Path | None, signer: Path | None, unsigned: Path | None) -> TrustLists:
    """Read the trust lists a command was given.

    Raises:
        TrustError: they cannot be used.
    """
    from hub.trust import refusal
    from hub.trustlist import read_pinned, read_trust_lists, read_unsafe_unsigned_list

    if unsigned is not None and folder is None:
        return read_unsafe_unsigned_list(unsigned)
    if folder is None or unsigned is not None:
        raise typer.BadParameter("give either --trust-list or --unsafe-unsigned-list")
    if signer is None:
        raise refusal("list_signer_not_pinned", problem="--trust-list-signer is missing")
    return read_trust_lists(folder, read_pinned(signer))


def _policies(also_allowed: Sequence[str]) -> Mapping[Use, UsePolicy]:
    from hub.trust import algorithm_named, known_algorithm, policies_allowing

    try:
        return policies_allowing([algorithm_named(known_algorithm(each)) for each in also_allowed])
    except ValueError as error:
        raise typer.BadParameter(f"--also-allow {error}") from error


def _utc(instant: datetime) -> datetime:
    from datetime import UTC

    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
