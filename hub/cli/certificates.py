# SPDX-License-Identifier: Apache-2.0
"""`heliograph registry certificates`: which certificates speak for a member, registered by an administrator.

Done beside the database, by who may read the hub's settings; the running hub takes it over within a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub

app = typer.Typer(help="Certificates that are registered for members.", no_args_is_help=True)

_BY = "command line"


@app.command("list")
def list_certificates(
    member: Annotated[str | None, typer.Option(help="USCC: only this member's.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the registered certificates, retired ones too.

    Example: heliograph registry certificates list --member 11510108MB1A00002M
    """
    from hub.identifiers import MemberId
    from hub.registry import view_registration

    with beside_hub(config) as hub:
        found = hub.certificates.registrations(MemberId(member) if member else None)
        rows = [view_registration(each) for each in found]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = f"retired {row['retired_at']}: {row['retired_because']}" if row["retired_at"] else "counts"
        typer.echo(f"{row['fingerprint']}  {row['member']}  {row['valid_from']}  {row['valid_to']}  {state}")
        typer.echo(f"  {row['subject']}, registered {row['registered_at']} by {row['registered_by']}")


@app.command()
def register(
    chain: Annotated[Path, typer.Argument(help="PEM: the member's certificate, then its issuers.")],
    member: Annotated[str, typer.Option(help="USCC of the member it shall speak for.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Register a member's certificate; from its first one on, no other speaks for the member.

    So register first the one that the member signs with today.

    Example: heliograph registry certificates register labour.chain.pem --member 11510108MB1A00002M
    """
    from cryptography import x509

    from hub.errors import RegistryError
    from hub.identifiers import MemberId
    from hub.registry import view_registration
    from hub.trust import Use

    try:
        certificates = x509.load_pem_x509_certificates(chain.read_bytes())
    except (OSError, ValueError) as error:
        detail = f"chain: {chain} holds no readable PEM certificates"
        raise RegistryError("registry.entry_invalid", detail) from error
    with beside_hub(config) as hub:
        made = hub.certificates.register(certificates, MemberId(member), Use.ENVELOPE, by=_BY)
        counting = [
            each.entry.id
            for each in hub.certificates.registrations(MemberId(member))
            if each.retired_at is None
        ]
    if as_json:
        print_json(view_registration(made))
    else:
        typer.echo(f"Registered {made.entry.id}.")
        typer.echo(f"Certificates that count for {member}: {len(counting)}; no other speaks for it.")


@app.command()
def retire(
    fingerprint: Annotated[str, typer.Argument(help="SHA-256 of the certificate, hexadecimal.")],
    because: Annotated[str, typer.Option(help="Why; senders who still use it read this.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Retire a certificate for good: from now on nothing signed with it is accepted.

    Example: heliograph registry certificates retire 0f1e2d... --because "key compromised"
    """
    from hub.registry import view_registration

    with beside_hub(config) as hub:
        made = hub.certificates.retire(fingerprint, because, by=_BY)
    if as_json:
        print_json(view_registration(made))
    else:
        typer.echo(f"Retired {made.entry.id}.")
