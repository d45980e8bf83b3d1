# SPDX-License-Identifier: Apache-2.0
"""Small applications behind the guard, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hub.wire import server_config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from hub.wire import Doorkeeper, WireLimits

LARGE = 8 * 1024 * 1024
"""Bytes of an answer that fits into no buffer of the system."""


async def _count(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


async def _tls(request: Request) -> Response:
    tls = request.scope.get("extensions", {}).get("tls")
    return JSONResponse(tls and {**tls, "client_cert_chain": list(tls["client_cert_chain"])})


async def _large(_request: Request) -> Response:
    return Response(bytes(LARGE), media_type="application/octet-stream")


async def _slow(_request: Request) -> Response:
    await asyncio.sleep(4)
    return PlainTextResponse("at last")


async def _fail(_request: Request) -> Response:
    raise RuntimeError("a failure of the application")


def small_app() -> Starlette:
    """Return an application with an answer of every kind."""
    routes = [("/", _count), ("/tls", _tls), ("/large", _large), ("/slow", _slow), ("/fail", _fail)]
    return Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path, answer in routes])


@dataclass(frozen=True)
class Served:
    """A running server."""

    port: int
    keeper: Doorkeeper

    def connect(self) -> socket.socket:
        """Open a connection, which gives up waiting after a while."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.settimeout(20)
        return connection


@contextmanager
def guarded(
    app: ASGIApp | None = None,
    tls: Callable[[], ssl.SSLContext] | None = None,
    limits: WireLimits | None = None,
    loop: str = "auto",
) -> Iterator[Served]:
    """Serve an application behind the guard as long as the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = server_config(
        app or small_app(),
        host="127.0.0.1",
        port=0,
        tls=tls,
        limits=limits,
        last_answers_seconds=1,
        log_level="critical",
    )
    config.loop = loop
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Served(listener.getsockname()[1], cast("Doorkeeper", config.http))
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def wait_until(is_done: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 20
    while not is_done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server ends the connection, however it does."""
    content = bytearray()
    try:
        while piece := connection.recv(65536):
            content += piece
    except ConnectionError:
        pass
    return bytes(content)


def request_of(method: str, path: str, *fields: str, body: bytes = b"") -> bytes:
    """Write a request."""
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""])
    return head.encode("latin-1") + body
