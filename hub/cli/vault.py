# SPDX-License-Identifier: Apache-2.0
"""`heliograph vault`: the keys, archives and erasures of what was kept, beside the database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub
from hub.clock import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.app import Hub
    from hub.vault import ArchiveRow, ErasableKey

app = typer.Typer(
    help="What was kept: encrypted, archived, erased when its time is over.", no_args_is_help=True
)


@app.command("new-key")
def new_key(
    place: Annotated[str, typer.Argument(help="The master key's file, or its URI in a token (pkcs11:...).")],
    passphrase: Annotated[
        str,
        typer.Option(help="Where the passphrase or PIN is: env:NAME, file:PATH, credential:NAME or fd:N."),
    ] = "env:HELIOGRAPH_VAULT_PASSPHRASE",  # noqa: S107 (where it is, not what it is)
    module: Annotated[Path | None, typer.Option(help="The PKCS#11 library, for a key in a token.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a master key: AES-256, in an encrypted file or inside a token, which it never leaves.

    Example: heliograph vault new-key keys/vault.key.pem --passphrase credential:vault-passphrase
    """
    import os

    from hub.custody import generate_wrapping_key, read_key_place, read_secret
    from hub.errors import SettingsError

    secret = read_secret(passphrase, folder=Path(), environment=os.environ)
    try:
        where = read_key_place(place, Path())
    except ValueError as exc:
        raise SettingsError("settings.invalid", str(exc)) from exc
    key = generate_wrapping_key(where, secret, module=module)
    if as_json:
        print_json({"key": str(where), "fingerprint": key.fingerprint})
    else:
        typer.echo(f"{where}: master key {key.fingerprint}. Keep a copy where the database's copies are not.")


@app.command("keys")
def list_keys(config: Config = None, as_json: AsJson = False) -> None:
    """List the data keys: what they encrypt, until when it is kept, under which master key they are wrapped.

    Example: heliograph vault keys
    """
    with beside_hub(config) as hub:
        rows = [
            {
                "key": str(key_id),
                "kept_until": format_instant(key_id.retention_ends_at) if key_id.retention_ends_at else None,
                "master": hub.vault.folder.master_of(key_id),
            }
            for key_id in hub.vault.folder.key_ids()
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['key']:<24} until {row['kept_until'] or 'for ever':<24} master {row['master']}")


@app.command()
def rewrap(config: Config = None, as_json: AsJson = False) -> None:
    """Wrap every data key under the next master key; interrupted, it goes on where it was.

    Set next_vault_key and start the hub again, so that it opens both; run this; then make the next key
    vault_key, and start the hub once more. No container is touched.

    Example: heliograph vault rewrap --config hub.yaml
    """
    from rich.progress import track

    with beside_hub(config) as hub:
        folder = hub.vault.folder
        key_ids = folder.key_ids()
        changed = sum(
            folder.rewrap(each) for each in track(key_ids, "Wrapping", disable=as_json, transient=True)
        )
        master = folder.masters[0].fingerprint
    if as_json:
        print_json({"master": master, "keys": len(key_ids), "rewrapped": changed})
    else:
        typer.echo(f"All {len(key_ids)} data keys are wrapped under {master}; {changed} were not before.")


@app.command()
def due(
    at: Annotated[str | None, typer.Option(help="An instant such as 2036-04-01T00:00:00.000Z.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what may be erased because its retention is over, now or at another instant.

    Example: heliograph vault due --at 2036-04-01T00:00:00.000Z
    """
    from hub.clock import SystemClock
    from hub.errors import SettingsError

    try:
        instant = parse_instant(at) if at else SystemClock().now()
    except ValueError as exc:
        raise SettingsError("settings.invalid", f"--at: {exc}") from exc
    with beside_hub(config) as hub:
        rows = [_erasable_row(each) for each in hub.eraser.due(instant)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        held = f"held by {row['holds']}" if row["holds"] else "may be erased"
        typer.echo(f"{row['key']:<24} {row['containers']:>9} containers  since {row['kept_until']}  {held}")
    if not rows:
        typer.echo("Nothing is due. 没有到期内容。")


@app.command()
def erase(
    key: Annotated[str, typer.Argument(help="The data key, such as 2026-03_P10Y_1; see `vault due`.")],
    reason: Annotated[str, typer.Option(help="Why, for good: the rule or decision; no personal data.")],
    *,
    before_its_time: Annotated[
        bool,
        typer.Option(
            "--before-its-time",
            help="Although retention is not over; needs an administrator's token in HELIOGRAPH_TOKEN.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be erased, and stop.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Erase what a month's messages of one retention period say, for good, by destroying their key.

    Digests, log entries and proofs stay; the erasure itself goes into the log. Interrupted, run it again.

    Example: heliograph vault erase 2026-03_P10Y_1 --reason "retention over, plan 2036-04"
    """
    import hashlib

    from hub.errors import VaultError
    from hub.vault import KeyId

    try:
        key_id = KeyId.parse(key)
    except ValueError as exc:
        raise VaultError("vault.key_unknown", str(exc)) from exc
    with beside_hub(config) as hub:
        by = _administrator(hub) if before_its_time else _person()
        erasable = hub.eraser.look_at(key_id)
        if dry_run:
            row = _erasable_row(erasable)
            if as_json:
                print_json(row)
            else:
                typer.echo(f"{row['containers']} containers, {row['bytes']} octets, would be erased.")
            return
        with _progress("Erasing", erasable.containers, is_hidden=as_json) as told:
            erasure = hub.eraser.erase(
                key_id, reason=reason, by=by, before_its_time=before_its_time, told=told
            )
    digest = hashlib.sha256(erasure.record).hexdigest()
    if as_json:
        print_json({"key": key, "erased_at": erasure.erased_at, "record_sha256": digest})
    else:
        typer.echo(f"{key} was destroyed at {erasure.erased_at}. The log has the record's SHA-256: {digest}")
        typer.echo("Copies of its file in backups of the key folder still open it: docs/users/operator.md.")


@app.command()
def hold(
    subject: Annotated[str, typer.Argument(help="A case number, a conversation's id, or a data key.")],
    reason: Annotated[str, typer.Option(help="Why, and by which decision.")],
    config: Config = None,
) -> None:
    """Stop erasure of everything of a case, of a conversation, or under a key, until it is released.

    Example: heliograph vault hold C-2026-17 --reason "court order 2026-118"
    """
    with beside_hub(config) as hub:
        placed = hub.eraser.holds.place(subject, reason=reason, by=_person())
        keys = sorted(map(str, hub.eraser.holds.keys_of(placed)))
    typer.echo(f"Held as a {placed.kind}: {', '.join(keys) or 'nothing of it is here yet'}.")


@app.command()
def release(
    subject: Annotated[str, typer.Argument(help="What `vault hold` was given.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    config: Config = None,
) -> None:
    """Release every hold on a case, a conversation or a key.

    Example: heliograph vault release C-2026-17 --reason "proceedings closed"
    """
    with beside_hub(config) as hub:
        released = hub.eraser.holds.release(subject, reason=reason, by=_person())
    typer.echo(f"Released: {len(released)}.")


@app.command("holds")
def list_holds(config: Config = None, as_json: AsJson = False) -> None:
    """List the holds in force, and the keys they protect.

    Example: heliograph vault holds
    """
    with beside_hub(config) as hub:
        rows = [
            {
                "kind": hold.kind.value,
                "subject": hold.subject,
                "reason": hold.reason,
                "by": hold.placed_by,
                "since": format_instant(hold.placed_at),
                "keys": sorted(map(str, hub.eraser.holds.keys_of(hold))),
            }
            for hold in hub.eraser.holds.active()
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['since']}  {row['kind']:<12} {row['subject']}  {row['reason']}  ({row['by']})")
    if not rows:
        typer.echo("Nothing is held. 没有冻结。")


def _erasable_row(erasable: ErasableKey) -> dict[str, Any]:
    end = erasable.retention_ends_at
    return {
        "key": str(erasable.key_id),
        "containers": erasable.containers,
        "bytes": erasable.size,
        "kept_until": format_instant(end) if end else None,
        "holds": len(erasable.holds),
    }


def _person() -> str:
    import getpass

    return f"command line, {getpass.getuser()}"


def _administrator(hub: Hub) -> str:
    import os

    from hub.accounts import Role

    principal = hub.accounts.authenticate(os.environ.get("HELIOGRAPH_TOKEN", ""))
    principal.require(Role.ADMINISTRATOR)
    return f"administrator, {principal.subject}"


@contextmanager
def _progress(what: str, total: int, *, is_hidden: bool) -> Iterator[Callable[[int], None]]:
    from rich.progress import Progress

    with Progress(disable=is_hidden, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


@app.command()
def archive(
    month: Annotated[str, typer.Option(help="Which month, UTC, such as 2026-03; it is over.")],
    to: Annotated[
        str | None, typer.Option(help="A path, file:///path or s3://bucket/prefix; else the settings say.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Move a month's containers, encrypted as they are, into signed archives; interrupted, run it again.

    Nothing leaves the database before its archive was read back and opened.

    Example: heliograph vault archive --month 2026-03 --to s3://archives/hub
    """
    from hub.errors import SettingsError
    from hub.settings import load_settings

    place = to or load_settings(config).archives
    if place is None:
        raise SettingsError("settings.invalid", "archives: no place is set; give --to")
    with beside_hub(config) as hub:
        total = hub.archiver.count(month)
        with _progress("Archiving", total, is_hidden=as_json) as told:
            rows = hub.archiver.archive_month(month, place, told=told)
    if as_json:
        print_json([{"path": row.path, "place": row.place, "containers": row.containers} for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.path}: {row.containers} containers")
    if not rows:
        typer.echo("Nothing was left to archive. 没有待归档内容。")


@app.command()
def verify(
    which: Annotated[str, typer.Argument(help="all, or an archive: its file, path or URL.")] = "all",
    *,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Open nothing: digests, sizes and the signature only.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check archives: whole, signed by the log's key, as the database says, and every container opens.

    Example: heliograph vault verify all
    """
    import sys

    from rich.progress import track

    with beside_hub(config) as hub:
        rows = [row for row in hub.archiver.rows() if which == "all" or _names(which, row)]
        files = hub.archiver.files() if which == "all" else ()
        if which != "all" and not rows:
            reports = [hub.archiver.verify_elsewhere(which, with_key=not without_keys)]
        else:
            reports = [
                hub.archiver.verify(row, with_key=not without_keys)
                for row in track(rows, "Verifying", disable=as_json, transient=True)
            ]
            reports += [
                hub.archiver.verify_file(file, with_key=not without_keys)
                for file in track(files, "Verifying large ones", disable=as_json, transient=True)
            ]
    if as_json:
        print_json([{**asdict(report), "is_valid": report.problem is None} for report in reports])
    for report in () if as_json else reports:
        opened = "opened" if report.opened else "not opened"
        typer.echo(f"{report.path}  {report.containers} containers, {opened}: {report.problem or 'valid'}")
    if not reports and not as_json:
        typer.echo("There is no archive. 没有归档。")
    if any(report.problem for report in reports):
        sys.exit(1)


def _names(which: str, row: ArchiveRow) -> bool:
    return which in {row.path, row.sha256, f"{row.place.rstrip('/')}/{row.path}"}
