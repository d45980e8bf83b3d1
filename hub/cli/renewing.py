# SPDX-License-Identifier: Apache-2.0
"""`heliograph log renew`: renewing evidence before what it rests on weakens."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import AsJson, print_json
from hub.cli.administration import Config, beside_hub


def add_to(app: typer.Typer) -> None:
    """Add the command to `heliograph log`."""
    app.command("renew")(renew)


def renew(
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only say what is due.")] = False,
    hash_tree: Annotated[
        str | None,
        typer.Option(help="Also cover every container anew with this digest: sha384 or sha512."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Renew the evidence records that are due; the hub does so by itself, this does it now.

    A hash-tree renewal reads every container again; those whose key was destroyed keep the chain they have.

    Example: heliograph log renew --dry-run
    Example: heliograph log renew --hash-tree sha512
    """
    from rich.progress import Progress

    from hub.clock import format_instant
    from hub.messagelog import EvidenceRenewal

    if hash_tree not in {None, "sha384", "sha512"}:
        raise typer.BadParameter("sha384 or sha512", param_hint="--hash-tree")
    with beside_hub(config) as hub:
        renewal: EvidenceRenewal = hub.renewal
        due = renewal.due()
        told: dict[str, object] = {
            "time_stamps_due": due.time_stamps,
            "hash_trees_due": due.batches,
            "first_ends_at": due.ends_at and format_instant(due.ends_at),
        }
        if not is_dry:
            with Progress(disable=as_json, transient=True) as progress:
                task = progress.add_task("Time stamps 时间戳", total=due.time_stamps)
                told["time_stamps_renewed"] = renewal.renew_time_stamps(
                    lambda done: progress.update(task, completed=done)
                )
                if hash_tree is not None:
                    trees = progress.add_task("Hash trees 哈希树", total=None)
                    done = renewal.renew_hash_trees(
                        hash_tree, lambda at, of: progress.update(trees, completed=at, total=of)
                    )
                    told |= {"rehashed": done.objects, "erased": done.erased, "damaged": done.damaged}
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        typer.echo(f"{name.replace('_', ' ')}: {value if value is not None else '-'}")
