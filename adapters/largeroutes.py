# SPDX-License-Identifier: Apache-2.0
"""Large messages and large answers over HTTP, at a gateway.

Source: docs/protocols/exchange.md sections 13.2 and 13.3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.largedesk import Place
from hub.envelope import (
    ANNOUNCEMENT_MEDIA_TYPE,
    CONTAINER_MEDIA_TYPE,
    is_announcement,
    open_announcement,
)
from hub.errors import EnvelopeError, ExchangeError, HubError

if TYPE_CHECKING:
    from starlette.requests import Request

    from adapters.arriving import Arriving
    from adapters.gateway import Gateway
    from adapters.largedesk import LargeDesk

OFFSET_HEADER = "Upload-Offset"
LENGTH_HEADER = "Upload-Length"
COMPLETE_HEADER = "Upload-Complete"
TICKET_HEADER = "Heliograph-Ticket"

_COMING_AT = "/messages/large"
_GOING_AT = "/messages/answers"
_GATHERED_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,18})-")
_BEARER = "bearer "


class LargeDoor:
    """What a gateway answers about messages and answers too large for memory."""

    def __init__(self, gateway: Gateway, desk: LargeDesk) -> None:
        self._gateway = gateway
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return the routes; announcements come where all messages do."""
        return [
            Route(f"{_COMING_AT}/{{sha256}}", self._look, methods=["HEAD"]),
            Route(f"{_COMING_AT}/{{sha256}}", self._append, methods=["PATCH"]),
            Route(f"{_GOING_AT}/{{sha256}}", self._hand_out, methods=["GET"]),
        ]

    async def announce(self, raw: bytes, receipt: bytes) -> Response:
        """Admit a large message, and say how much of it is there."""
        return await run_in_threadpool(self._announce, raw, receipt)

    def answer(self, raw: bytes, request_sha256: str) -> Response:
        """Write an answer; where it is large, say where to fetch it."""
        if not is_announcement(raw):
            return Response(raw, media_type=CONTAINER_MEDIA_TYPE)
        large = open_announcement(raw)
        headers = {
            "Location": f"{_GOING_AT}/{large.container_sha256}",
            TICKET_HEADER: self._desk.offer(large, request_sha256),
        }
        return Response(raw, headers=headers, media_type=ANNOUNCEMENT_MEDIA_TYPE)

    def _announce(self, raw: bytes, receipt: bytes) -> Response:
        admitted = self._gateway.admit(raw, receipt)
        if isinstance(admitted, bytes):
            return self.answer(admitted, _sha256_of(raw))
        request = admitted.request
        place = Place(request, lambda files: self._gateway.answer_admitted(admitted, files))
        offset = self._desk.admit(place)
        headers = {
            "Location": f"{_COMING_AT}/{request.container_sha256}",
            OFFSET_HEADER: str(offset),
            LENGTH_HEADER: str(request.size),
        }
        return Response(status_code=201, headers=headers)

    async def _look(self, request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        try:
            offset, length = await run_in_threadpool(self._desk.offset, sha256)
        except ExchangeError as error:
            return _problem(error)
        headers = {OFFSET_HEADER: str(offset), LENGTH_HEADER: str(length), COMPLETE_HEADER: "?0"}
        return Response(status_code=204, headers=headers)

    async def _append(self, request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        try:
            await self._receive(request, sha256, _offset(request))
            if request.headers.get(COMPLETE_HEADER) == "?1":
                answer = await run_in_threadpool(self._desk.complete, sha256)
                return await run_in_threadpool(self.answer, answer, sha256)
            return await self._look(request)
        except (ExchangeError, EnvelopeError) as error:
            return await self._refuse(request, error)

    async def _receive(self, request: Request, sha256: str, offset: int) -> None:
        """Take what a connection brings; what came stays, however it ends."""
        async with _entered(self._desk, sha256, offset) as arriving:
            gathered = bytearray()
            try:
                async for chunk in request.stream():
                    gathered += chunk
                    if len(gathered) >= _GATHERED_BYTES:
                        taken, gathered = bytes(gathered), bytearray()
                        await run_in_threadpool(arriving.take, taken)
            except ClientDisconnect:
                # The hub goes on behind what came.
                taken = bytes(gathered)
            else:
                taken = bytes(gathered)
            if taken:
                await run_in_threadpool(arriving.take, taken)

    async def _refuse(self, request: Request, error: HubError) -> Response:
        response = await self._look(request)
        refusal = _problem(error)
        if OFFSET_HEADER in response.headers:
            refusal.headers[OFFSET_HEADER] = response.headers[OFFSET_HEADER]
        return refusal

    async def _hand_out(self, request: Request) -> Response:
        shown = request.headers.get("authorization", "")
        ticket = shown[len(_BEARER) :] if shown.lower().startswith(_BEARER) else ""
        wanted = request.headers.get("range", "")
        found = _RANGE.fullmatch(wanted.strip())
        start = int(found[1]) if found else 0
        try:
            size, pieces = self._desk.container(request.path_params["sha256"], ticket, start)
        except ExchangeError as error:
            return _problem(error)
        if start >= size:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(size - start)}
        if found:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        return StreamingResponse(
            pieces, 206 if found else 200, headers=headers, media_type=CONTAINER_MEDIA_TYPE
        )


class _entered:  # noqa: N801 (an `async with`, not a thing)
    """Enter the desk's context in a thread: it may wait for another connection, and reads files."""

    def __init__(self, desk: LargeDesk, sha256: str, offset: int) -> None:
        self._context = desk.receiving(sha256, offset)

    async def __aenter__(self) -> Arriving:
        return await run_in_threadpool(self._context.__enter__)

    async def __aexit__(self, *exception: object) -> None:
        await run_in_threadpool(self._context.__exit__, *exception)  # type: ignore[arg-type]  # what Python gave


def _offset(request: Request) -> int:
    text = request.headers.get(OFFSET_HEADER, "")
    if not (text.isascii() and text.isdigit()):
        raise ExchangeError("exchange.upload_offset_mismatch", f"no {OFFSET_HEADER}")
    return int(text)


def _sha256_of(raw: bytes) -> str:
    return open_announcement(raw).container_sha256


def _problem(error: HubError) -> JSONResponse:
    status = 404 if error.code == "exchange.upload_unknown" else 409
    return JSONResponse(
        {"status": status, "code": error.code, "detail": error.detail},
        status,
        media_type="application/problem+json",
    )
