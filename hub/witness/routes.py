# SPDX-License-Identifier: Apache-2.0
"""The witness over HTTP; public, because a checkpoint's signature is its credential.

The submission prefix and the monitoring prefix are both `/witness`.

Source: C2SP tlog-witness, "HTTP Interface"; docs/protocols/log.md.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
import asyncio

from fastapi import APIRouter, Request, Response

from hub.errors import LogError
from hub.witness.service import OutdatedError, Witness
from hub.witness.submissions import MOST_BODY_BYTES

SIZE_MEDIA_TYPE = "text/x.tlog.size"
_TEXT = "text/plain; charset=utf-8"


def witness_routes(witness: Witness | None) -> APIRouter:
    """Make the routes under `/witness`; a hub that is no witness knows no log."""
    router = APIRouter(prefix="/witness", tags=["log"])

    @router.post(
        "/add-checkpoint",
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": {_TEXT: {"schema": {"type": "string"}}}}},
    )
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a log's checkpoint that grew out of the last one seen; public."""
        body = await _read_body(request)
        try:
            cosignature = await asyncio.to_thread(_of(witness).add_checkpoint, body)
        except OutdatedError as outdated:
            # Not by `media_type`, which adds a charset; the specification names the type without one.
            headers = {"Content-Type": SIZE_MEDIA_TYPE}
            return Response(f"{outdated.known_size}\n", 409, headers=headers)
        return Response(cosignature, media_type=_TEXT)

    @router.get("/key", response_class=Response)
    def read_key() -> Response:
        """Return the witness's verifier key; compare it with its operator by another way; public."""
        return Response(f"{_of(witness).verifier.encode()}\n", media_type=_TEXT)

    @router.get("/{origin_hash}/checkpoint", response_class=Response)
    def read_checkpoint(origin_hash: str) -> Response:
        """Return the latest checkpoint cosigned of the log whose origin has this SHA-256; public."""
        note = _of(witness).latest(origin_hash)
        return Response(note, media_type=_TEXT, headers={"Cache-Control": "no-cache"})

    return router


def _of(witness: Witness | None) -> Witness:
    if witness is None:
        raise LogError("log.log_unknown", "unknown log: this hub is no witness")
    return witness


async def _read_body(request: Request) -> bytes:
    """Read a body, but not much more than is allowed; what is longer is refused when it is decoded."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            break
    return bytes(body)
