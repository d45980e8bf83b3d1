# SPDX-License-Identifier: Apache-2.0
"""The hub's server stack with nothing of the hub in it: a body goes on to a gateway, and comes back.

What it reaches is the ceiling of uvicorn, FastAPI and aiohttp on the machine: no signature, no check, no
database.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MEDIA_TYPE = "application/octet-stream"


def build_proxy(gateway_url: str) -> FastAPI:
    """Return the proxy."""
    sessions: list[aiohttp.ClientSession] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            sessions.append(session)
            yield

    async def pass_on(request: Request) -> Response:
        async with sessions[0].post(gateway_url, data=await request.body()) as answer:
            return Response(await answer.read(), media_type=_MEDIA_TYPE)

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/api/v1/messages", pass_on, methods=["POST"], response_class=Response)
    return app


def build_echo() -> Starlette:
    """Return the gateway behind it."""

    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type=_MEDIA_TYPE)

    return Starlette(routes=[Route("/messages", echo, methods=["POST"])])


def main() -> None:
    """Run `proxy PORT GATEWAY_URL` or `echo PORT`."""
    what, port, *more = sys.argv[1:]
    app = build_proxy(more[0]) if what == "proxy" else build_echo()
    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning")
