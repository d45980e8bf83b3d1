# SPDX-License-Identifier: Apache-2.0
"""`heliograph open`: the recipient opens a container only it can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.keys import Module, Passphrase


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("open")(open_container)


def open_container(
    file: Annotated[
        Path, typer.Argument(help="The container (.asice), as it was received or kept.", exists=True)
    ],
    key: Annotated[str, typer.Option(help="The decryption key's file, or its URI in a token (pkcs11:...).")],
    chain: Annotated[Path, typer.Option(help="PEM file of its certificate and the issuers.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the payloads; made when it is not there.")],
    passphrase: Passphrase = "env:HELIOGRAPH_KEY_PASSPHRASE",  # noqa: S107 (where it is, not what it is)
    module: Module = None,
    as_json: AsJson = False,
) -> None:
    """Open a container that is encrypted to your certificate, and write what is in it.

    Its signature and what its payloads are bound to are checked, its signer's certificate is not: `heliograph
    verify` does that, and needs no key.

    Example: heliograph open response.asice --key encryption.key.pem --chain encryption.chain.pem --out opened
    """
    from hub.custody import open_decryption_key, read_key_place, read_secret
    from hub.envelope import decrypt_payloads, open_envelope, verify_signature
    from hub.trust import ANY_ALGORITHM, describe

    envelope = open_envelope(file.read_bytes())
    signer = describe(verify_signature(envelope, ANY_ALGORITHM).chain[0])
    place = read_key_place(key, Path.cwd())
    secret = read_secret(passphrase, folder=Path.cwd(), environment=os.environ)
    held = open_decryption_key(place, chain, secret, module=module)
    written = _write(decrypt_payloads(envelope, [held]), out)
    if as_json:
        print_json({"id": envelope.header.id, "signed_by": signer, "files": [str(each) for each in written]})
        return
    typer.echo(f"{envelope.header.kind} {envelope.header.id}, signed by {signer}")
    for each in written:
        typer.echo(f"  {each}")


def _write(payloads: dict[str, bytes], folder: Path) -> list[Path]:
    """Write the payloads for their owner only; nothing that is there is overwritten."""
    from hub.custody import write_private_file
    from hub.errors import SettingsError

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for name, content in payloads.items():
        try:
            write_private_file(folder / name, content)
        except OSError as exc:
            raise SettingsError(
                "settings.invalid", f"{folder / name} cannot be written, or is there"
            ) from exc
        written.append(folder / name)
    return written
