# SPDX-License-Identifier: Apache-2.0
"""Containers over HTTP, as a whole or in ranges, and the tickets that let an asker fetch a large answer.

A ticket is good for one container and one day. It is sealed under the container's own data key, so every
process of the hub can read it, nobody else can make one, and it ends with the key.

Source: docs/protocols/exchange.md sections 9 and 13.3; RFC 9110 section 14.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from hub.clock import Clock, format_instant, parse_instant
from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE
from hub.errors import AccessError, ExchangeError, VaultError, error_kinds
from hub.exchange.largedelivery import RECEIPT_HEADER, TICKET_HEADER
from hub.exchange.model import Outcome
from hub.problems import status_of
from hub.vault import Vault

TICKET_LIFETIME = timedelta(days=1)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEME = "bearer "


@dataclass(frozen=True)
class Tickets:
    """Lets whoever was answered fetch the container of the answer."""

    vault: Vault
    clock: Clock

    def issue(self, sha256: str) -> str:
        """Return a ticket for a container."""
        until = format_instant(self.clock.now() + TICKET_LIFETIME).encode("ascii")
        return base64.urlsafe_b64encode(self.vault.seal_about(sha256, "ticket", until)).decode("ascii")

    def require(self, sha256: str, authorization: str) -> None:
        """Refuse whoever shows no ticket for a container.

        Raises:
            AccessError: `access.not_authenticated`.
        """
        shown = authorization[len(_SCHEME) :].strip()
        try:
            if not authorization.lower().startswith(_SCHEME) or not _SHA256.fullmatch(sha256):
                raise _refused()
            sealed = base64.b64decode(shown, altchars=b"-_", validate=True)
            until = parse_instant(self.vault.unseal_about(sha256, "ticket", sealed).decode("ascii"))
        except (binascii.Error, ValueError, VaultError, ExchangeError) as exc:
            raise _refused() from exc
        if until <= self.clock.now():
            raise _refused()


def download_place(sha256: str) -> str:
    """Return where a container is fetched with a ticket, a path at the hub."""
    return f"/api/v1/downloads/{sha256}"


def answer_outcome(outcome: Outcome, tickets: Tickets | None = None) -> Response:
    """Write what a sender gets back; a large answer is announced, with the place and a ticket to fetch it."""
    headers = {}
    if outcome.receipt is not None:
        headers[RECEIPT_HEADER] = base64.b64encode(outcome.receipt).decode("ascii")
    if outcome.is_queued:
        headers["Location"] = f"/api/v1/messages/{outcome.message_id}"
    media_type = CONTAINER_MEDIA_TYPE
    if outcome.large_sha256 is not None:
        if tickets is None:
            raise ExchangeError("exchange.internal", "a large answer without a place to fetch it")
        media_type = ANNOUNCEMENT_MEDIA_TYPE
        headers["Location"] = download_place(outcome.large_sha256)
        headers[TICKET_HEADER] = tickets.issue(outcome.large_sha256)
    status = 200 if outcome.code is None else _status_of_code(outcome.code)
    status = 202 if outcome.is_queued else status
    return Response(outcome.container, status, headers=headers, media_type=media_type)


def download_routes(tickets: Tickets) -> APIRouter:
    """Return the route of large answers on their way out."""
    router = APIRouter(tags=["exchange"])

    @router.get("/api/v1/downloads/{sha256}", response_class=Response)
    def download(sha256: str, request: Request) -> Response:
        """Return a container, or the range asked for, to whoever was given a ticket for it."""
        tickets.require(sha256, request.headers.get("authorization", ""))
        return send_container(tickets.vault, sha256, request.headers.get("range"))

    return router


def send_container(vault: Vault, sha256: str, wanted: str | None) -> Response:
    """Return a kept container, or a range of it.

    Raises:
        ExchangeError, VaultError, TrustError: as `Vault.read`.
    """
    size = vault.size(sha256)
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"'}
    span = _span(wanted, size)
    if span is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    start, stop = span
    status = 206 if wanted is not None and span != (0, size) else 200
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    if wanted is None:
        try:
            return Response(vault.read(sha256), headers=headers, media_type=CONTAINER_MEDIA_TYPE)
        except VaultError as error:
            if error.code != "vault.too_large":
                raise
    # What cannot be read at all is said before the first byte goes out.
    vault.envelope(sha256)
    headers["Content-Length"] = str(stop - start)
    pieces = vault.stream(sha256, start, stop)
    return StreamingResponse(pieces, status, headers=headers, media_type=CONTAINER_MEDIA_TYPE)


def _span(wanted: str | None, size: int) -> tuple[int, int] | None:
    """Return the span asked for; everything for a header of another form, None for one that lies outside."""
    found = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is None or not (found[1] or found[2]):
        return 0, size
    if not found[1]:
        return (max(size - int(found[2]), 0), size) if int(found[2]) else None
    start = int(found[1])
    stop = min(int(found[2]) + 1, size) if found[2] else size
    return (start, stop) if start < stop else None


def _status_of_code(code: str) -> int:
    kind = error_kinds().get(code)
    # A department may answer with a code that a later version knows; it is that department's answer.
    return 502 if kind is None else status_of(code, kind.culprit)


def _refused() -> AccessError:
    return AccessError("access.not_authenticated", "no ticket for this container")
