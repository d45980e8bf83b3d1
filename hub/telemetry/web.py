# SPDX-License-Identifier: Apache-2.0
"""HTTP as it is watched: requests counted and timed, a peer's trace continued; and what a process shows.

A process shows three pages. `/healthz`: it is alive. `/readyz`: it can do its work, or what stands in its
way. `/metrics`: what it counted. They stand on a port of their own where one is configured, which belongs to
whoever watches and is not published.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.errors import SettingsError
from hub.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS, exposition
from hub.telemetry.readiness import Verdict
from hub.telemetry.tracing import continuing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.registry import Collector
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hub.telemetry.readiness import Readiness, Report

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE = "none"
_START_SECONDS = 20.0


class Watched:
    """Counts and times an application's requests, and continues the traces that peers began.

    Args:
        app: whose.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            with continuing(Headers(scope=scope)):
                await self._app(scope, receive, noting)
        finally:
            route = _route_of(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            HTTP_REQUESTS.labels(method, route, str(status)).inc()
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)


def _route_of(scope: Scope) -> str:
    """Return the template of the route that answered; a path would make as many series as callers like."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) and path else _NO_ROUTE


def readiness_response(report: Report) -> JSONResponse:
    """Write a report: 503 when the process cannot do its work."""
    status = 503 if report.verdict is Verdict.NOT_READY else 200
    return JSONResponse(report.to_json(), status, headers={"Cache-Control": "no-store"})


def metrics_response(accept: str, more: Iterable[Collector] = ()) -> Response:
    """Write the metrics in the form that is asked for."""
    text, media_type = exposition(accept, more)
    return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


def status_routes(readiness: Readiness) -> list[Route]:
    """Return `/healthz` and `/readyz`."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        return readiness_response(await run_in_threadpool(readiness.look))

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


class StatusServer:
    """Shows `/healthz`, `/readyz` and `/metrics` on a port of their own, from a thread of its own.

    Several processes of one service may share the port.

    Args:
        readiness: what `/readyz` says.
        more: what `/metrics` says beside the counters.
    """

    def __init__(self, readiness: Readiness, more: Iterable[Collector] = ()) -> None:
        collectors = tuple(more)

        async def metrics(request: Request) -> Response:
            return await run_in_threadpool(metrics_response, request.headers.get("accept", ""), collectors)

        self.app = Starlette(routes=[*status_routes(readiness), Route("/metrics", metrics)])
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            SettingsError: `settings.invalid`: the address is taken or none of this machine.
        """
        bound = _listen(host, port)
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: server.run(sockets=[bound]), name="status-server", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise SettingsError("settings.invalid", "status_host: is no address of this machine") from exc
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Whichever process answers speaks for all of them.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
    except OSError as exc:
        listening.close()
        raise SettingsError("settings.invalid", "status_port: cannot be listened on") from exc
    return listening
