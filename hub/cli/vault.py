# SPDX-License-Identifier: Apache-2.0
"""`heliograph vault`: the keys, archives and erasures of what was kept, beside the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub

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
    from hub.clock import format_instant

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
