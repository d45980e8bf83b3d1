# SPDX-License-Identifier: Apache-2.0
"""`heliograph roll-over`: a gateway's change to its next certificate, looked at, made, or undone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from adapters.server import GatewayProcess
    from hub.custody import RollOverState


def roll_over(
    config: Annotated[Path, typer.Argument(help="The gateway's YAML file; see docs/configuration.md.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Return to the certificate before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a gateway's next certificate with the hub and take it into use.

    A running gateway does so by itself within seconds after the files of `next` are there, and follows what
    this command does. Run it to see where things stand, to learn at once why something fails, or to go back.

    Example: heliograph roll-over labour-bureau.yaml --dry-run
    """
    from adapters.server import GatewayProcess
    from adapters.settings import load_gateway_settings
    from hub.errors import SettingsError

    settings = load_gateway_settings(config)
    if settings.next is None:
        raise SettingsError("settings.invalid", f"{config}: next: there is none")
    # The department's systems are not needed for it.
    settings = settings.model_copy(update={"services": [], "drafts": [], "console": None})
    process = GatewayProcess(settings, answers=False)
    try:
        if back:
            process.roll_over.resume()
            process.roll_over.go_back()
        elif not dry_run:
            process.roll_over.release()
            process.roll_over.step()
        state = process.roll_over.resume()
        process.validate_next()
        _report(process, state, as_json=as_json)
    finally:
        process.close()


def _report(process: GatewayProcess, state: RollOverState, *, as_json: bool) -> None:
    upcoming = process.roll_over.next_key()
    in_use = _described(process.gateway.key)
    following = None if upcoming is None else _described(upcoming)
    if as_json:
        print_json({"state": state.value, "in_use": in_use, "next": following})
        return
    typer.echo(_WORDS[state.value])
    typer.echo(f"in use  {in_use['fingerprint']}  {in_use['valid_from']} to {in_use['valid_to']}")
    if following is not None:
        typer.echo(
            f"next    {following['fingerprint']}  {following['valid_from']} to {following['valid_to']}"
        )


_WORDS = {
    "none": "There is no next certificate: the chain named under `next` is not there.",
    "found": "The next certificate is valid and not registered yet.",
    "registered": "The next certificate is registered and will sign from its first instant on.",
    "switched": "The next certificate signs.",
    "held": "The next certificate is registered; an operator went back to the one before.",
}


def _described(key: Any) -> dict[str, str]:
    from cryptography.hazmat.primitives import hashes

    from hub.clock import format_instant

    certificate = key.snapshot().certificate_chain[0]
    return {
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
        "subject": certificate.subject.rfc4514_string(),
        "valid_from": format_instant(certificate.not_valid_before_utc),
        "valid_to": format_instant(certificate.not_valid_after_utc),
    }
