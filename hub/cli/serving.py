# SPDX-License-Identifier: Apache-2.0
"""`heliograph serve`, `heliograph gateway` and `heliograph demo`: processes that run."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.settings import Settings

_LAST_ANSWERS_SECONDS = 5
"""Gateways wait for drafts in open requests; a hub that is stopped does not wait for them in turn."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(gateway)
    app.command()(demo)


def serve(
    config: Annotated[
        Path | None, typer.Option(help="The hub's YAML file; see docs/configuration.md.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes serve; several need PostgreSQL.")
    ] = 1,
    *,
    no_delivery: Annotated[
        bool, typer.Option("--no-delivery", help="Leave the outbox to `heliograph worker` processes.")
    ] = False,
) -> None:
    """Run the hub until it is stopped; it delivers what is in the outbox too.

    Several processes listen on one socket; one that ends is replaced. SIGTERM ends all cleanly.

    Example: heliograph serve --config hub.yaml --workers 4
    """
    from hub.custody import guard_memory
    from hub.settings import load_settings
    from hub.telemetry import configure_logging

    configure_logging("hub")
    guard_memory()
    settings = load_settings(config)
    if workers == 1:
        _serve(settings, delivers=not no_delivery)
    else:
        _serve_as_one_of(workers, settings, delivers=not no_delivery)


def _serve_as_one_of(workers: int, settings: Settings, *, delivers: bool) -> None:
    """Become the supervisor of so many processes, and each of them."""
    from hub.cli.supervising import supervise
    from hub.errors import SettingsError
    from hub.telemetry import share_metrics

    if not settings.database.startswith("postgresql"):
        raise SettingsError("settings.workers_need_postgresql", settings.database.partition(":")[0])
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as exc:
        raise SettingsError("settings.address_unusable", f"{settings.host}:{settings.port}: {exc}") from exc
    share_metrics(settings.data_folder / "metrics")
    # Loaded once for all: the copies share its memory, and one that is replaced serves at once.
    import hub.app  # noqa: F401

    _serve(settings, delivers=delivers, listening=listening, when_ready=supervise(workers))


def _serve(
    settings: Settings,
    *,
    delivers: bool,
    listening: socket.socket | None = None,
    when_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve with this process, on a socket that listens already or on one of its own."""
    import uvicorn

    from hub.app import build_app, build_hub
    from hub.wire import server_config

    hub = build_hub(settings)
    hub.start()
    scheme = "http" if hub.connections is None else "https"
    typer.echo(f"The hub listens on {scheme}://{settings.host}:{settings.port}")
    serving = server_config(
        build_app(hub, delivers=delivers),
        host=settings.host,
        port=settings.port,
        tls=None if hub.connections is None else hub.connections.server,
        limits=settings.limits,
        last_answers_seconds=_LAST_ANSWERS_SECONDS,
    )
    when_ready()
    uvicorn.Server(serving).run(None if listening is None else [listening])


def gateway(
    config: Annotated[Path, typer.Argument(help="The gateway's YAML file; see docs/configuration.md.")],
) -> None:
    """Run a department's gateway until it is stopped.

    Example: heliograph gateway labour-bureau.yaml
    """
    import uvicorn

    from adapters.server import GatewayProcess, build_gateway_app
    from adapters.settings import load_gateway_settings
    from hub.custody import guard_memory
    from hub.telemetry import configure_logging
    from hub.wire import server_config

    configure_logging("gateway")
    guard_memory()
    settings = load_gateway_settings(config)
    process = GatewayProcess(settings)
    scheme = "http" if process.connections is None else "https"
    typer.echo(f"The gateway of {settings.member} listens on {scheme}://{settings.host}:{settings.port}")
    serving = server_config(
        build_gateway_app(process),
        host=settings.host,
        port=settings.port,
        tls=None if process.connections is None else process.connections.server,
        limits=settings.limits,
    )
    uvicorn.Server(serving).run()


def demo(
    folder: Annotated[
        Path, typer.Option(help="Where the demonstration keeps its keys, data and results.")
    ] = Path("var/demo"),
    *,
    keep_serving: Annotated[
        bool, typer.Option("--serve", help="Keep hub, gateways and stand-ins running afterwards.")
    ] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Let them speak TLS, with certificates on both sides.")
    ] = False,
) -> None:
    """Let a disability-employment proof cross from the labour bureau to the federation.

    Sets up a development PKI, a hub, three departments' gateways and stand-ins of their legacy systems, all
    on loopback; asks for a proof as a caseworker; verifies what came; and leaves the files for a sceptic.

    Example: heliograph demo --serve
    """
    from hub.demo import run_demo

    run_demo(folder, keep_serving=keep_serving, tls=tls)
