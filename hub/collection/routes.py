# SPDX-License-Identifier: Apache-2.0
"""Collection over HTTP; the signature is the credential, as for every message.

Source: docs/protocols/exchange.md section 16.
"""

import base64

from fastapi import APIRouter, Request, Response

from hub.collection.desk import CollectionDesk, read_number
from hub.collection.model import Handed
from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, Limits
from hub.exchange import RECEIPT_HEADER, TICKET_HEADER, read_body
from hub.wire import client_member

COLLECTIONS_AT = "/api/v1/collections"
NUMBER_HEADER = "Heliograph-Collection"
_MOST_POLL_BYTES = 256 * 1024


def collection_routes(desk: CollectionDesk) -> APIRouter:
    """Return the routes for gateways that nobody can call."""
    router = APIRouter(prefix=COLLECTIONS_AT, tags=["exchange"])

    @router.post(
        "",
        response_class=Response,
        responses={
            200: {"content": {CONTAINER_MEDIA_TYPE: {}}},
            204: {"description": "Nothing has come."},
        },
        openapi_extra=_BODY,
    )
    async def collect(request: Request) -> Response:
        """Hand the oldest message that waits to its recipient's gateway, or wait for one.

        The body is the signed poll. The answer is the message's container with the hub's receipt in
        `Heliograph-Receipt`, and in `Heliograph-Collection` what its answer is sent to.
        """
        raw = await read_body(request, _MOST_POLL_BYTES)
        poll = await desk.read_poll(raw, connected_as=client_member(request.scope.get("state", {})))
        handed = await desk.collect(poll, is_gone=request.is_disconnected)
        headers = {"Cache-Control": "no-store"}
        if handed is None:
            return Response(status_code=204, headers=headers)
        return _hand_over(handed, headers)

    @router.post("/{number}", status_code=204, response_class=Response, openapi_extra=_BODY)
    async def answer(number: str, request: Request) -> Response:
        """Take the signed answer to a message that was collected."""
        raw = await read_body(request, Limits().container_bytes)
        connected_as = client_member(request.scope.get("state", {}))
        await desk.take_answer(read_number(number), raw, connected_as=connected_as)
        return Response(status_code=204)

    return router


def _hand_over(handed: Handed, headers: dict[str, str]) -> Response:
    headers |= {
        RECEIPT_HEADER: base64.b64encode(handed.receipt).decode("ascii"),
        NUMBER_HEADER: str(handed.number),
    }
    if handed.ticket is None:
        return Response(handed.request.raw, headers=headers, media_type=CONTAINER_MEDIA_TYPE)
    headers[TICKET_HEADER] = handed.ticket
    headers["Location"] = f"/api/v1/downloads/{handed.request.container_sha256}"
    return Response(handed.request.raw, headers=headers, media_type=ANNOUNCEMENT_MEDIA_TYPE)


_BODY = {
    "requestBody": {
        "required": True,
        "content": {CONTAINER_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
