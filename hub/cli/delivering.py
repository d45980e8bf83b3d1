# SPDX-License-Identifier: Apache-2.0
"""`heliograph worker`: a process that delivers what is in the outbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(worker)


def worker(
    config: Annotated[
        Path | None, typer.Option(help="The hub's YAML file; see docs/configuration.md.")
    ] = None,
    status_port: Annotated[
        int | None, typer.Option(help="Where it shows /healthz, /readyz and /metrics; nowhere without it.")
    ] = None,
) -> None:
    """Deliver what is in the outbox until it is stopped, beside hubs that serve; needs PostgreSQL.

    Any number may run. Killed at any moment, it loses nothing: another one takes up what it was at.

    Example: heliograph worker --config hub.yaml
    """
    import asyncio
    import signal

    from hub.app import build_hub, deliver
    from hub.custody import guard_memory
    from hub.settings import load_settings
    from hub.telemetry import configure_logging

    configure_logging("worker")
    guard_memory()
    # The port of the file is the hub's, which may run on the same machine and counts for itself.
    hub = build_hub(load_settings(config).model_copy(update={"status_port": status_port}))
    hub.start()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, hub.worker.stop)
        typer.echo("The worker delivers.")
        await deliver(hub)

    asyncio.run(run())
