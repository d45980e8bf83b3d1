# SPDX-License-Identifier: Apache-2.0
"""`heliograph log proof` and `heliograph log witnesses`: proofs to take away, and who vouches for whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.witness import WitnessedState


def add_to(app: typer.Typer) -> None:
    """Add the commands to `heliograph log`."""
    app.command("proof")(write_proof)
    app.command("witnesses")(show_witnesses)


def write_proof(
    what: Annotated[str, typer.Argument(help="An entry's number, or a message's id.")],
    out: Annotated[
        Path, typer.Option(help="Folder for entry-N.json, entry-N.tlog-proof and log-policy.txt.")
    ],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the entries of a message with a proof of each that is checked without the hub (C2SP tlog-proof).

    Each proof is against the largest checkpoint that the quorum of witnesses cosigned, or else the largest
    signed; what none covers yet is signed now.

    Example: heliograph log proof 019a7c1e-2f51-752f-9e5d-10370d8dab3e --out proofs
    """
    with beside_hub(config) as hub:
        indexes = _indexes(hub, what)
        last = hub.log.last_checkpoint()
        if last is None or last.checkpoint.size <= max(indexes):
            hub.log.checkpoint()
        files = {"log-policy.txt": hub.published.policy.encode().encode()}
        for index in indexes:
            files[f"entry-{index}.json"] = hub.published.entry(index)
            files[f"entry-{index}.tlog-proof"] = hub.published.proof(index).encode().encode()
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    if as_json:
        print_json({"entries": indexes, "files": [str(out / name) for name in files]})
        return
    for name in files:
        typer.echo(out / name)
    typer.echo("The policy is what this hub claims; compare its keys by another way before you rely on it.")


def show_witnesses(
    evidence: Annotated[
        Path | None, typer.Option(help="Folder to write the kept evidence against witnessed logs to.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show who witnesses this log, and which logs this hub witnesses, with what was kept against them.

    Example: heliograph log witnesses --evidence evidence
    """
    with beside_hub(config) as hub:
        policy, states = hub.published.policy, hub.published.witnesses()
        shown: dict[str, Any] = {
            "quorum": policy.quorum,
            "witnesses": [
                {
                    "name": state.name,
                    "vkey": witness.key.encode(),
                    "url": witness.url,
                    "size": state.size,
                    "cosigned_at": _instant(state.cosigned_at),
                }
                for witness, state in zip(policy.witnesses, states, strict=True)
            ],
            "witness_key": hub.witness.verifier.encode() if hub.witness else None,
        }
        witnessed = hub.witness.states() if hub.witness else ()
    shown["witnessed_logs"] = [_witnessed(state) for state in witnessed]
    shown["evidence_files"] = [] if evidence is None else _write_evidence(evidence, witnessed)
    if as_json:
        print_json(shown)
    else:
        _tell(shown)


def _indexes(hub: Hub, what: str) -> list[int]:
    from hub.errors import LogError
    from hub.identifiers import MessageId, is_message_id

    if is_message_id(what):
        indexes = [logged.position.index for logged in hub.log.entries_of(MessageId(what))]
    else:
        indexes = [int(what)] if what.isascii() and what.isdigit() else []
    if not indexes or max(indexes) >= hub.log.size():
        raise LogError("log.entry_unknown", f"{what[:80]} is no entry's number and no message's id here")
    return indexes


def _witnessed(state: WitnessedState) -> dict[str, Any]:
    return {
        "origin": state.origin,
        "size": state.size,
        "cosigned_at": _instant(state.cosigned_at),
        "evidence": [
            {
                "kind": each.kind.value,
                "size": each.size,
                "root": each.root.hex(),
                "known_size": each.known_size,
                "shown_at": _instant(each.shown_at),
            }
            for each in state.evidence
        ],
    }


def _write_evidence(folder: Path, states: tuple[WitnessedState, ...]) -> list[str]:
    """Write each refused checkpoint as it was sent; its name says of which log, which size, what is wrong."""
    from hashlib import sha256

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for state in states:
        log = sha256(state.origin.encode()).hexdigest()[:16]
        for each in state.evidence:
            file = folder / f"{log}-{each.size}-{each.root.hex()[:16]}-{each.kind.value}.txt"
            file.write_bytes(each.submission)
            written.append(str(file))
    return written


def _tell(shown: dict[str, Any]) -> None:
    from hub.findings import printable

    typer.echo(f"Witnesses of this log 本日志的见证方 (quorum 法定数: {printable(shown['quorum'])})")
    for row in shown["witnesses"]:
        state = f"{row['size']} at {row['cosigned_at']}" if row["cosigned_at"] else "nothing cosigned yet"
        typer.echo(f"  {printable(row['name']):<24} {state}\n    {row['vkey'][:100]}")
    if not shown["witnesses"]:
        typer.echo("  none 无")
    typer.echo("Logs that this hub witnesses 本平台见证的日志")
    for row in shown["witnessed_logs"]:
        state = f"{row['size']} at {row['cosigned_at']}" if row["cosigned_at"] else "nothing cosigned yet"
        typer.echo(f"  {printable(row['origin']):<40} {state}")
        for each in row["evidence"]:
            typer.echo(
                f"    {each['kind']:<8} {each['size']} entries with root {each['root'][:16]}..., "
                f"shown {each['shown_at']} when {each['known_size']} were known"
            )
    if not shown["witnessed_logs"]:
        typer.echo("  none 无")
    if shown["witness_key"]:
        typer.echo(f"This hub cosigns with 本平台的联署密钥\n  {shown['witness_key'][:100]}")
    for file in shown["evidence_files"]:
        typer.echo(file)


def _instant(at: object) -> str | None:
    from datetime import datetime

    from hub.clock import format_instant

    return format_instant(at) if isinstance(at, datetime) else None
