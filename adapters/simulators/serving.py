# SPDX-License-Identifier: Apache-2.0
"""All three stand-ins in one process.

Ports and the secrets the gateways need are written to two files of the folder when everything listens:
`ports.json` with `soap`, `rest` and `sftp`, and `environment.json` with the variables the demonstration's
adapter descriptions refer to. Both are new at every start.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh
import uvicorn

from adapters.simulators.rest import CertificateRegister
from adapters.simulators.sftp import FileExchange
from adapters.simulators.soap import EmploymentFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from starlette.applications import Starlette

    from hub.clock import Clock


@dataclass(frozen=True)
class Ports:
    """Where the stand-ins listen on 127.0.0.1; 0 asks for a free port."""

    soap: int = 0
    rest: int = 0
    sftp: int = 0


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it shares with the others."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        return nullcontext()


async def serve(
    folder: Path,
    ports: Ports,
    clock: Clock,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Mapping[str, int]], None] | None = None,
) -> None:
    """Run the three stand-ins until `stop` is set.

    Args:
        folder: for what they keep, and for `ports.json` and `environment.json`.
        ports: where to listen.
        clock: says which months have begun.
        stop: set from the same event loop.
        on_ready: told the ports when all three listen.
    """
    password, api_key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    exchange = FileExchange(folder, folder / "sftp", clock)
    exchange.prepare()
    soap_socket, rest_socket = _listening(ports.soap), _listening(ports.rest)
    soap = _server(EmploymentFile(folder, password, clock).app())
    rest = _server(CertificateRegister(folder, api_key, clock).app())
    acceptor = await exchange.listen(ports.sftp, host_key=host_key, client_key=client_key)
    used = {"soap": _port(soap_socket), "rest": _port(rest_socket), "sftp": acceptor.get_port()}
    environment = {
        "LABOUR_BUREAU_PORT": str(used["soap"]),
        "LABOUR_BUREAU_PASSWORD": password,
        "REGISTER_PORT": str(used["rest"]),
        "REGISTER_API_KEY": api_key,
        "SOCIAL_INSURANCE_PORT": str(used["sftp"]),
        "SOCIAL_INSURANCE_HOST_KEY": host_key.export_public_key().decode("ascii").strip(),
        "SOCIAL_INSURANCE_CLIENT_KEY": client_key.export_private_key("openssh").decode("ascii"),
    }
    _publish(folder / "environment.json", environment)
    tasks = [
        asyncio.create_task(soap.serve(sockets=[soap_socket])),
        asyncio.create_task(rest.serve(sockets=[rest_socket])),
        asyncio.create_task(exchange.watch()),
    ]
    # The sockets listen already, so whoever reads the ports can connect; the file comes last.
    _publish(folder / "ports.json", used)
    if on_ready is not None:
        on_ready(used)
    stopping = asyncio.create_task(stop.wait())
    try:
        # A stand-in that dies ends the process: a demonstration without it would only look like a timeout.
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await _close(tasks, [soap, rest], acceptor)


async def _close(
    tasks: list[asyncio.Task[None]], servers: list[_Server], acceptor: asyncssh.SSHAcceptor
) -> None:
    for server in servers:
        server.should_exit = True
    tasks[-1].cancel()
    acceptor.close()
    await acceptor.wait_closed()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome


def _server(app: Starlette) -> _Server:
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    return _Server(config)


def _listening(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def _publish(path: Path, content: dict[str, int] | dict[str, str]) -> None:
    """Write a file for the owner alone, complete from the first moment it is seen."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    fresh.replace(path)
