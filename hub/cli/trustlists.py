# SPDX-License-Identifier: Apache-2.0
"""`heliograph trust list`: what its versions say, and how the next one is published."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import SubsystemId
    from hub.trustlist import Difference, SignedTrustList, TrustListHistory

lists = typer.Typer(help="The trust list: its versions, and their publication.", no_args_is_help=True)

_PASSPHRASE = "HELIOGRAPH_SIGNING_PASSPHRASE"  # noqa: S105 - the variable's name
_DEFAULT_HUB = "http://127.0.0.1:8443"

Lists = Annotated[Path, typer.Argument(help="Folder of versions, or one version.", exists=True)]
Signer = Annotated[
    Path, typer.Option(help="PEM certificate of who signs the list; get it from them.", exists=True)
]


@lists.command()
def show(
    versions: Lists,
    signer: Signer,
    sequence: Annotated[int | None, typer.Option(help="Which version; the newest by default.")] = None,
    *,
    draft: Annotated[bool, typer.Option("--draft", help="As a draft, to be edited and published.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who is approved by a version whose signature and history hold.

    Example: heliograph trust list show trust-lists/ --signer signer.pem
    """
    import json

    from hub.trustlist import encode_document, write_draft

    version = _pick(_read(versions, signer), sequence)
    if draft:
        typer.echo(write_draft(version.document), nl=False)
    elif as_json:
        print_json(json.loads(encode_document(version.document)))
    else:
        typer.echo("\n".join(_lines(version)))


@lists.command()
def verify(versions: Lists, signer: Signer, as_json: AsJson = False) -> None:
    """Check that every version follows the one before it, from the pinned signer on.

    Example: heliograph trust list verify trust-lists/ --signer signer.pem
    """
    from hub.trustlist import describe_version

    history = _read(versions, signer)
    described = [describe_version(version) for version in history.versions]
    if as_json:
        print_json(described)
        return
    for each in described:
        typer.echo(f"{each['sequence']:>6}  {each['issued_at']} .. {each['next_update']}  {each['sha256']}")
    typer.echo("Every version was signed by who may sign it, and follows the one before it.")
    if not history.is_complete:
        typer.echo(
            f"The versions before {history.versions[0].sequence} are not here; nothing from then is judged."
        )


@lists.command()
def diff(
    versions: Annotated[Path, typer.Argument(help="Folder of versions.", exists=True)],
    signer: Signer,
    before: Annotated[int | None, typer.Option(help="The last but one by default.")] = None,
    after: Annotated[int | None, typer.Option(help="The newest by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what one version changed against another.

    Example: heliograph trust list diff trust-lists/ --signer signer.pem --before 3 --after 5
    """
    from hub.trustlist import differences

    history = _read(versions, signer)
    newer = _pick(history, after)
    older = history.find(newer.sequence - 1) if before is None else history.require(before)
    _show_differences(differences(older.document if older else None, newer.document), as_json=as_json)


@lists.command()
def publish(
    draft: Annotated[Path, typer.Argument(help="JSON or YAML file of who is to be approved.", exists=True)],
    folder: Annotated[Path, typer.Option("--lists", help="Folder of the versions; the new one goes there.")],
    signer: Signer,
    key: Annotated[Path, typer.Option(help="Encrypted PKCS#8 key that signs.", exists=True)],
    chain: Annotated[
        Path | None, typer.Option(help="PEM certificate of the key; --signer by default.", exists=True)
    ] = None,
    operator: Annotated[
        str | None, typer.Option(help="For the first version: the subsystem that publishes the list.")
    ] = None,
    valid_days: Annotated[int, typer.Option(help="After how many days the next version is due.", min=1)] = 90,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, sign nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a draft changes, sign it as the next version, and put it into the folder.

    The passphrase of the key comes from HELIOGRAPH_SIGNING_PASSPHRASE.

    Example: heliograph trust list publish draft.yaml --lists trust-lists/ --signer signer.pem
    --key signer.key.pem
    """
    from hub.clock import SystemClock
    from hub.custody import load_signing_key
    from hub.errors import SettingsError
    from hub.trustlist import (
        FolderStore,
        check_history,
        describe_version,
        differences,
        open_trust_list,
        read_draft,
        read_pinned,
        sign_next,
    )

    content, pinned, store = read_draft(draft), read_pinned(signer), FolderStore(folder)
    containers = store.read()
    history = check_history(map(open_trust_list, containers), pinned) if containers else None
    _show_differences(differences(history.current.document if history else None, content), as_json=as_json)
    if dry_run:
        return
    if not yes:
        typer.confirm("Sign this as the next version?", abort=True, err=True)
    passphrase = os.environ.get(_PASSPHRASE)
    if not passphrase:
        raise SettingsError("settings.secret_missing", _PASSPHRASE)
    now = SystemClock().now()
    version = sign_next(
        content,
        history,
        pinned=pinned,
        operator=_operator(history, operator),
        key=load_signing_key(key, chain or signer, passphrase.encode("utf-8")),
        issued_at=now,
        next_update=now + timedelta(days=valid_days),
    )
    store.append(version, by="publish", at=now)
    if as_json:
        print_json(describe_version(version))
    else:
        typer.echo(f"Version {version.sequence} is signed. SHA-256 {version.sha256}")


@lists.command()
def submit(
    version: Annotated[Path, typer.Argument(help="Container of the next version.", exists=True)],
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Hand a version to the hub, as an administrator; it is in force at once.

    Example: heliograph trust list submit trust-lists/trust-list-000002.asice
    """
    answer = call_hub(hub, "POST", "/api/v1/trust-lists", content=version.read_bytes())
    shown = answer.json()
    if as_json:
        print_json(shown)
    else:
        state = "is in force" if answer.status_code == 201 else "was in force already"
        typer.echo(f"Version {shown['sequence']} {state}. SHA-256 {shown['sha256']}")


@lists.command("import-etsi")
def import_etsi_list(
    file: Annotated[Path, typer.Argument(help="Trusted list of ETSI TS 119 612, XML.", exists=True)],
    operator: Annotated[
        Path, typer.Option(help="PEM certificate of its scheme operator; get it from them.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Where to write the draft.")],
    use: Annotated[
        list[str] | None,
        typer.Option(
            help="What its authorities may issue for: envelope, seal (both unless told), encryption."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a draft of who a national trusted list approves, for people to review, and say what is not in it.

    Example: heliograph trust list import-etsi national.xml --operator operator.pem --out draft.json
    """
    from hub.clock import SystemClock
    from hub.trust import Use
    from hub.trustlist import read_pinned
    from hub.trustlist.etsi import import_etsi, read_etsi_list, signed_list, write_import

    usual = [Use.ENVELOPE.value, Use.SEAL.value]
    uses = list(dict.fromkeys(use or usual))
    if not set(uses) <= {*usual, Use.ENCRYPTION.value}:
        raise typer.BadParameter("--use is envelope, seal or encryption")
    listed = read_etsi_list(signed_list(file.read_bytes(), read_pinned(operator)))
    made = import_etsi(listed, uses=[Use(each) for each in uses], now=SystemClock().now())
    out.write_text(write_import(made), encoding="utf-8")
    counts = {
        "authorities": len(made.authorities),
        "time_stamping_authorities": len(made.time_stamping),
        "ocsp_responders": len(made.ocsp_responders),
    }
    told = [
        {"service": each.service, "reason": each.reason, "dropped": each.is_dropped} for each in made.unmapped
    ]
    if as_json:
        print_json({"source": made.source, **counts, "unmapped": told})
        return
    typer.echo(f"{made.source}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
    for each in made.unmapped:
        typer.echo(f"  {'NOT in the draft' if each.is_dropped else 'note'}  {each.service}: {each.reason}")
    typer.echo(f"{out} names nobody who may sign yet. Review it, add signers, then publish it.")


def _read(versions: Path, signer: Path) -> TrustListHistory:
    from hub.trustlist import read_pinned, read_trust_lists

    return read_trust_lists(versions, read_pinned(signer))


def _pick(history: TrustListHistory, sequence: int | None) -> SignedTrustList:
    return history.current if sequence is None else history.require(sequence)


def _operator(history: TrustListHistory | None, named: str | None) -> SubsystemId:
    from hub.identifiers import SubsystemId, is_subsystem_id

    if named is None and history is not None:
        return history.current.operator
    if named is None or not is_subsystem_id(named):
        raise typer.BadParameter("the first version needs --operator <USCC>/<subsystem>")
    return SubsystemId(named)


def _show_differences(found: list[Difference], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "step": each.step,
                "place": each.place,
                "entry": each.entry,
                "fields": {name: list(values) for name, values in each.fields.items()},
            }
            for each in found
        ]
        print_json(rows)
    else:
        typer.echo("\n".join(map(str, found)) or "Nothing changes but the dates.")


def _lines(version: SignedTrustList) -> list[str]:
    from hub.clock import format_instant
    from hub.trust import describe

    document = version.document
    lines = [
        f"{document.name.zh} / {document.name.en}, version {document.sequence}",
        f"  in force from {format_instant(document.issued_at)}",
        f"  next update {format_instant(document.next_update)}",
        f"  published by {version.operator}, signed by {describe(version.signer)}",
        f"  SHA-256 {version.sha256}",
        *(f"  may sign the next version: {describe(each)}" for each in document.signers),
    ]
    for row in document.authorities:
        uses = "root" if row.is_anchor else ", ".join(row.uses) or "no use"
        lines.append(f"  authority  {row.name}: {uses}; {_span(row.approved_from, row.approved_until)}")
    for kind, rows in (
        ("time stamps", document.time_stamping_authorities),
        ("OCSP", document.ocsp_responders),
    ):
        lines += [f"  {kind}  {each.name}: {_span(each.approved_from, each.approved_until)}" for each in rows]
    return lines


def _span(begin: datetime, end: datetime | None) -> str:
    from hub.clock import format_instant

    return f"from {format_instant(begin)}" + (f" until {format_instant(end)}" if end else "")
