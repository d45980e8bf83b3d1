# SPDX-License-Identifier: Apache-2.0
"""`heliograph log export`: the evidence of messages in one file, fetched from the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from hub.cli import AsJson, print_json
from hub.cli.log import app
from hub.client import HubUrl, stream_hub

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_HUB = "http://127.0.0.1:8443"
_COUNT_HEADER = "Heliograph-Messages"
# A member of a message, by its local header (APPNOTE 4.3.7); it only moves the progress bar.
_MESSAGE = re.compile(rb"PK\x03\x04.{26}messages/([0-9a-f-]{36})/", re.DOTALL)
_LONGEST_MATCH = 75


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")],
    message: Annotated[str | None, typer.Option(help="Id of one request.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation.")] = None,
    case: Annotated[str | None, typer.Option(help="Number of a case.")] = None,
    since: Annotated[
        str | None, typer.Option(help="First instant of arrival, such as 2026-03-01T00:00:00.000Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="First instant after the period.")] = None,
    hub: HubUrl = _DEFAULT_HUB,
    as_json: AsJson = False,
) -> None:
    """Fetch the evidence of a message, a conversation, a case or a period as one ZIP file.

    Example: heliograph log export --case CBJ-2026-000017 --out evidence.zip
    """
    asked = {"message": message, "conversation": conversation, "case": case, "since": since, "until": until}
    fetched = fetch_bundle(hub, {name: value for name, value in asked.items() if value is not None}, out)
    if as_json:
        print_json({"file": str(out), **fetched})
        return
    typer.echo(
        f"{out}: {fetched['messages']} messages, {fetched['bytes']} bytes, {fetched['missing']} missing"
    )
    if fetched["missing"]:
        typer.echo(
            "What is missing, and why, stands in bundle.json and on the summary. 缺少的证据见包内摘要。"
        )


def fetch_bundle(hub: str, asked: Mapping[str, str], out: Path) -> dict[str, int]:
    """Fetch a bundle, look whether it is whole, and only then give it its name.

    Args:
        hub: where it answers.
        asked: the query.
        out: the file to write.

    Returns:
        How many messages are in it, how many bytes it has, and how many pieces it says are missing.

    Raises:
        BundleError: `bundle.incomplete`: the connection was cut off.
        HubError: as `stream_hub`.
    """
    import os
    import tempfile

    if out.exists():
        raise typer.BadParameter(f"{out} exists already", param_hint="--out")
    # Made for its owner alone; what is half there has a name nobody takes for evidence.
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _download(hub, asked, file)
            file.flush()
            os.fsync(file.fileno())
        fetched = {**_look_at(partial), "bytes": partial.stat().st_size}
        # Unlike a renaming, a link never replaces what is there.
        out.hardlink_to(partial)
    finally:
        partial.unlink()
    return fetched


def _download(hub: str, asked: Mapping[str, str], file: BinaryIO) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    size = TextColumn("{task.fields[megabytes]:.1f} MB")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), size)
    with (
        stream_hub(hub, "/api/v1/evidence-bundles", asked) as response,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        total = int(response.headers.get(_COUNT_HEADER, 0))
        task = progress.add_task("messages 报文", total=total, megabytes=0.0)
        seen: set[bytes] = set()
        tail = b""
        for chunk in response.iter_bytes():
            file.write(chunk)
            seen.update(_MESSAGE.findall(tail + chunk))
            tail = chunk[-_LONGEST_MATCH:]
            progress.update(task, completed=len(seen), megabytes=file.tell() / 1e6)


def _look_at(file: Path) -> dict[str, int]:
    """Read the index of what was fetched; a ZIP file's directory comes last, so this tells a cut one."""
    import json
    import zipfile

    from hub.bundles import INDEX_NAME
    from hub.errors import BundleError

    try:
        with zipfile.ZipFile(file) as bundle:
            index = json.loads(bundle.read(INDEX_NAME))
    except (zipfile.BadZipFile, KeyError, ValueError) as exc:
        raise BundleError("bundle.incomplete", "what came is no whole ZIP file") from exc
    return {"messages": len(index["messages"]), "missing": len(index["missing"])}
