# SPDX-License-Identifier: Apache-2.0
"""`heliograph keys`: make private keys, ask for certificates, take the answers over, see what runs out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from enum import StrEnum

    from cryptography import x509

    from hub.custody import CheckedAnswer, KeyHolder, KeyPlace, Secret
    from hub.trust import Validator

    _Choice = TypeVar("_Choice", bound=StrEnum)

app = typer.Typer(help="Private keys and their certificates.", no_args_is_help=True)

_PASSPHRASE = "env:HELIOGRAPH_KEY_PASSPHRASE"  # noqa: S105 (where it is, not what it is)

Key = Annotated[str, typer.Argument(help="The key's file, or its URI in a token (pkcs11:...).")]
Passphrase = Annotated[
    str,
    typer.Option(help="Where the passphrase or PIN is: env:NAME, file:PATH, credential:NAME or fd:N."),
]
Module = Annotated[Path | None, typer.Option(help="The PKCS#11 library, for a key in a token.")]
Chain = Annotated[Path, typer.Argument(help="PEM file of the certificates.")]


@app.command()
def generate(
    key: Key,
    algorithm: Annotated[
        str, typer.Option(help="p256, p384, p521, rsa3072, rsa4096, ed25519 or ml-dsa-44, -65, -87.")
    ] = "p256",
    passphrase: Passphrase = _PASSPHRASE,
    module: Module = None,
    as_json: AsJson = False,
) -> None:
    """Make a private key: in an encrypted file, or inside a token, which it never leaves.

    Example: heliograph keys generate hub-2027.key.pem --algorithm p384 --passphrase fd:3
    """
    from hub.custody import KeyAlgorithm, generate_key

    place, kind = _place(key), _chosen(KeyAlgorithm, algorithm)
    holder = generate_key(place, kind, _secret(passphrase), module=module)
    facts = {"key": str(place), "algorithm": kind.value, "fingerprint": _fingerprint(holder)}
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"{facts['key']}: {facts['algorithm']}, SHA-256 of the public key {facts['fingerprint']}")


@app.command()
def request(
    key: Key,
    organization: Annotated[str, typer.Option(help="The member's full name, as registered.")],
    common_name: Annotated[str, typer.Option(help="What the certificate is for.")],
    out: Annotated[Path, typer.Option(help="Where the request is written (PKCS#10, PEM).")],
    member: Annotated[str | None, typer.Option(help="Unified social credit code.")] = None,
    use: Annotated[
        str, typer.Option(help="envelope, encryption, seal, tls-client, tls-server, timestamp.")
    ] = "envelope",
    passphrase: Passphrase = _PASSPHRASE,
    module: Module = None,
) -> None:
    """Write a request for a certificate, signed by the key; send it to the authority.

    Example: heliograph keys request hub.key.pem --organization 成华区数据局 --member 11510108MB1A00001J
    --common-name 报文签名 --out hub.request.pem
    """
    from hub.custody import Subject, open_holder, request_certificate, write_private_file
    from hub.errors import SettingsError
    from hub.trust import Use

    subject = Subject(organization=organization, common_name=common_name, member=member)
    holder = open_holder(_place(key), _secret(passphrase), module=module)
    content = request_certificate(holder, subject, _chosen(Use, use))
    try:
        write_private_file(out, content, mode=0o644)
    except OSError as exc:
        raise SettingsError("settings.invalid", f"{out} cannot be written, or is there already") from exc
    typer.echo(f"{out}: send it to the authority; the private key stays where it is.")


@app.command("import")
def import_answer(
    key: Key,
    answer: Annotated[Path, typer.Argument(help="What the authority sent: PEM, DER or PKCS#7.")],
    chain: Annotated[Path, typer.Option(help="The file the settings name; the old one is kept.")],
    use: Annotated[str | None, typer.Option(help="By default what the request asks for.")] = None,
    request_file: Annotated[
        Path | None, typer.Option("--request", help="The request, to compare with it.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Whom the certificate has to name.")] = None,
    trust_list: Annotated[
        Path | None, typer.Option(help="Check the chain by it, too: a container, or a folder of them.")
    ] = None,
    trust_list_signer: Annotated[Path | None, typer.Option(help="Whose trust list that is (PEM).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only.")] = False,
    passphrase: Passphrase = _PASSPHRASE,
    module: Module = None,
    as_json: AsJson = False,
) -> None:
    """Check what the authority sent, put it in order, and take it over.

    Example: heliograph keys import hub.key.pem answer.p7b --chain hub.chain.pem --request hub.request.pem
    """
    from hub.clock import SystemClock
    from hub.custody import (
        Expectation,
        check_answer,
        open_holder,
        read_certificates,
        read_request,
        use_of,
        write_chain,
    )
    from hub.identifiers import MemberId
    from hub.trust import Use

    holder = open_holder(_place(key), _secret(passphrase), module=module)
    asked = read_request(_read(request_file)) if request_file else None
    expected = Expectation(
        public_key=holder.public_key,
        use=_chosen(Use, use) if use else (use_of(asked) if asked else None) or Use.ENVELOPE,
        at=SystemClock().now(),
        member=MemberId(member) if member else None,
        request=asked,
        validator=_validator(trust_list, trust_list_signer),
    )
    checked = check_answer(read_certificates(_read(answer)), expected)
    if not dry_run:
        write_chain(chain, checked)
    _tell(checked, chain, is_imported=not dry_run, as_json=as_json)


@app.command()
def undo(chain: Chain, as_json: AsJson = False) -> None:
    """Put the certificates back that were there before the last import.

    Example: heliograph keys undo hub.chain.pem
    """
    from hub.custody import undo_chain

    _show(undo_chain(chain), as_json=as_json)


@app.command()
def show(chain: Chain, as_json: AsJson = False) -> None:
    """Show the certificates of a file, with the days they have left.

    Example: heliograph keys show hub.chain.pem
    """
    from hub.custody import read_chain

    _show(read_chain(chain), as_json=as_json)


@app.command("list")
def list_keys(
    folder: Annotated[Path, typer.Argument(help="Folder with files NAME.key.pem or NAME.key.uri.")],
    as_json: AsJson = False,
) -> None:
    """List the keys of a folder, with the days their certificates have left.

    Example: heliograph keys list data/keys
    """
    from hub.clock import SystemClock
    from hub.keystore import describe_key, stored_keys

    now = SystemClock().now()
    rows = [describe_key(key, now) for key in stored_keys(folder)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        certificate = row["certificate"]
        state = f"{certificate['days_left']} days left" if certificate else "no certificate"
        typer.echo(f"{row['name']:<24} {state:<18} {row['subject'] or ''}")
    if not rows:
        typer.echo("There is no key. 没有密钥。")


def _chosen(kind: type[_Choice], text: str) -> _Choice:
    from hub.errors import SettingsError

    try:
        return kind(text)
    except ValueError as exc:
        raise SettingsError("settings.invalid", f"{text} is none of {', '.join(kind)}") from exc


def _place(key: str) -> KeyPlace:
    from hub.custody import read_key_place
    from hub.errors import SettingsError

    try:
        return read_key_place(key, Path())
    except ValueError as exc:
        raise SettingsError("settings.invalid", str(exc)) from exc


def _secret(reference: str) -> Secret:
    import os

    from hub.custody import read_secret

    return read_secret(reference, folder=Path(), environment=os.environ)


def _read(path: Path) -> bytes:
    from hub.errors import SettingsError

    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError("settings.invalid", f"{path} cannot be read") from exc


def _validator(trust_list: Path | None, signer: Path | None) -> Validator | None:
    from hub.errors import SettingsError
    from hub.trust import OnlineRevocation, Validator
    from hub.trustlist import read_pinned, read_trust_lists

    if (trust_list is None) != (signer is None):
        raise SettingsError("settings.invalid", "--trust-list and --trust-list-signer go together")
    if trust_list is None or signer is None:
        return None
    return Validator(read_trust_lists(trust_list, read_pinned(signer)), OnlineRevocation())


def _fingerprint(holder: KeyHolder) -> str:
    import hashlib

    from hub.custody import public_bytes

    return hashlib.sha256(public_bytes(holder.public_key)).hexdigest()


def _described(chain: tuple[x509.Certificate, ...]) -> list[dict[str, Any]]:
    from hub.clock import SystemClock
    from hub.keystore import describe_certificate

    return [describe_certificate(each, SystemClock().now()) for each in chain]


def _show(chain: tuple[x509.Certificate, ...], *, as_json: bool) -> None:
    rows = _described(chain)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['subject']}\n  issued by {row['issuer']}, serial {row['serial']}")
        typer.echo(f"  {row['valid_from']} to {row['valid_until']}: {row['days_left']} days left")
        typer.echo(f"  SHA-256 {row['fingerprint']}")


def _tell(checked: CheckedAnswer, chain: Path, *, is_imported: bool, as_json: bool) -> None:
    if as_json:
        rows = _described(checked.chain)
        print_json({"is_imported": is_imported, "certificates": rows, "warnings": list(checked.warnings)})
        return
    _show(checked.chain, as_json=False)
    for warning in checked.warnings:
        typer.echo(f"Warning: {warning}.")
    typer.echo(f"Written to {chain}." if is_imported else "Checked only; nothing was written.")
