# SPDX-License-Identifier: Apache-2.0
"""Large messages over HTTP; the signature is the credential, as for every message.

Source: docs/protocols/exchange.md section 13.1; draft-ietf-httpbis-resumable-upload.
"""

from collections.abc import AsyncIterator

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from hub.clock import Clock
from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, Limits
from hub.errors import ExchangeError, HubError
from hub.exchange import (
    COMPLETE_HEADER,
    LENGTH_HEADER,
    OFFSET_HEADER,
    PART_MEDIA_TYPE,
    Outcome,
    answer_outcome,
    read_body,
)
from hub.problems import preferred_language, problem
from hub.transfers.model import Position
from hub.transfers.service import Uploads
from hub.wire import client_member

_logger = structlog.get_logger(__name__)


def upload_routes(uploads: Uploads, clock: Clock) -> APIRouter:
    """Return the routes of large messages on their way in."""
    router = APIRouter(prefix="/api/v1/uploads", tags=["exchange"])

    @router.post(
        "",
        response_class=Response,
        responses={201: {"description": "There is a place for the container."}},
        openapi_extra=_body_of(ANNOUNCEMENT_MEDIA_TYPE),
    )
    async def announce(request: Request) -> Response:
        """Announce a message that is too large to be sent at once; answers where its container goes."""
        raw = await read_body(request, Limits().container_bytes)
        found = await uploads.announce(
            raw, received_at=clock.now(), connected_as=client_member(request.scope.get("state", {}))
        )
        if isinstance(found, Outcome):
            return answer_outcome(found)
        headers = _where(found) | {"Location": f"/api/v1/uploads/{found.upload_id}"}
        return Response(status_code=201 if found.is_new else 200, headers=headers)

    @router.head("/{upload_id}", response_class=Response, status_code=204)
    def look(upload_id: str) -> Response:
        """Tell how many bytes are there."""
        return Response(status_code=204, headers=_where(uploads.look(upload_id)))

    @router.patch(
        "/{upload_id}",
        response_class=Response,
        responses={
            202: {"content": {CONTAINER_MEDIA_TYPE: {}}, "description": "The hub's signed receipt."},
            204: {"description": "The bytes are there."},
        },
        openapi_extra=_body_of(PART_MEDIA_TYPE),
    )
    async def append(upload_id: str, request: Request) -> Response:
        """Append bytes of the container; with `Upload-Complete: ?1` the message is taken."""
        offset = _offset(request)
        try:
            position = await uploads.append(upload_id, offset, _chunks(request))
            if request.headers.get(COMPLETE_HEADER) != "?1":
                return Response(status_code=204, headers=_where(position))
            return answer_outcome(
                await uploads.complete(
                    upload_id,
                    received_at=clock.now(),
                    connected_as=client_member(request.scope.get("state", {})),
                )
            )
        except HubError as error:
            return _refuse(uploads, upload_id, error, request)

    return router


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        # What came is kept; whoever sends goes on behind it.
        _logger.info("upload.cut_off")


def _refuse(uploads: Uploads, upload_id: str, error: HubError, request: Request) -> Response:
    """Say why, and where the bytes that are there end."""
    response = problem(error, preferred_language(request.headers.get("accept-language", "")))
    try:
        response.headers.update(_where(uploads.look(upload_id)))
    except ExchangeError:
        # The place itself is gone, and that is what the problem says.
        return response
    return response


def _where(position: Position) -> dict[str, str]:
    return {
        OFFSET_HEADER: str(position.offset),
        LENGTH_HEADER: str(position.length),
        COMPLETE_HEADER: "?0",
        "Cache-Control": "no-store",
    }


def _offset(request: Request) -> int:
    text = request.headers.get(OFFSET_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ExchangeError("exchange.upload_offset_mismatch", f"no {OFFSET_HEADER}")
    return int(text)


def _body_of(media_type: str) -> dict[str, object]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}
