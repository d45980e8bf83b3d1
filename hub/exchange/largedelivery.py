# SPDX-License-Identifier: Apache-2.0
"""Containers too large for memory on their way to a gateway, and its answers on their way here.

Every part of it may be cut off at any byte and goes on there, as long as something arrives.

Source: docs/protocols/exchange.md sections 13.2 and 13.3.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import structlog

from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, MOST_BYTES, open_announcement
from hub.errors import EnvelopeError, ExchangeError
from hub.exchange.streams import in_threads, surely, take_all
from hub.telemetry import inject
from hub.vault import Incoming

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping

    from aiohttp.client import _RequestContextManager

    from hub.database import Writer
    from hub.envelope import Envelope, LargeEnvelope
    from hub.registry import Service
    from hub.vault import Vault

RECEIPT_HEADER = "Heliograph-Receipt"
TICKET_HEADER = "Heliograph-Ticket"
OFFSET_HEADER = "Upload-Offset"
LENGTH_HEADER = "Upload-Length"
COMPLETE_HEADER = "Upload-Complete"
PART_MEDIA_TYPE = "application/partial-upload"

_PIECE_BYTES = 16 * 1024 * 1024
_PIECE_SECONDS = 300.0
_SILENCE_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_FRUITLESS = 5
_PAUSE_SECONDS = 0.2
_MOST_ANNOUNCEMENT = 17 * 1024 * 1024
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class GatewayReply:
    """What a gateway answered.

    Attributes:
        media_type: of the body.
        body: a container, or what announces one.
        headers: of the response.
    """

    media_type: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class GatewaySession:
    """The way to one gateway; redirects are not followed.

    Attributes:
        session: of the event loop.
        tls: how the connection is made safe; None for plain HTTP where that is allowed.
        url: where the gateway takes messages.
    """

    session: aiohttp.ClientSession
    tls: ssl.SSLContext | bool
    url: str

    def request(self, method: str, url: str, **more: Any) -> _RequestContextManager:
        """Begin a request."""
        return self.session.request(method, url, ssl=self.tls, allow_redirects=False, **more)


@dataclass(frozen=True, kw_only=True)
class LargeDelivery:
    """Sends large containers, and fetches large answers.

    Attributes:
        vault: has the one, takes the other.
        retention_of: how long the hub keeps what answers a service.
        most_bytes: how large an answer may be.
    """

    vault: Vault
    writer: Writer
    retention_of: Callable[[Service], str | None]
    most_bytes: int = MOST_BYTES

    async def send(
        self, session: GatewaySession, request: LargeEnvelope, receipt: Envelope, service: Service
    ) -> GatewayReply:
        """Announce a request, send what the gateway does not have of it, and return what it answers.

        Raises:
            ExchangeError: `exchange.undeliverable`, `exchange.delivery_timeout`.
        """
        timeout = _timeout(service.timeout_seconds)
        headers = {
            "Content-Type": ANNOUNCEMENT_MEDIA_TYPE,
            "Accept": CONTAINER_MEDIA_TYPE,
            RECEIPT_HEADER: base64.b64encode(receipt.raw).decode("ascii"),
        }
        inject(headers)
        async with session.request(
            "POST", session.url, data=request.raw, headers=headers, timeout=timeout
        ) as response:
            if (
                response.status not in {HTTPStatus.OK, HTTPStatus.CREATED}
                or OFFSET_HEADER not in response.headers
            ):
                return await read_reply(response)
            place = _place(session.url, response.headers)
            offset = _offset(response.headers)
        await self._send_rest(session, place, request, offset)
        complete = {OFFSET_HEADER: str(request.size), COMPLETE_HEADER: "?1", "Content-Type": PART_MEDIA_TYPE}
        async with session.request("PATCH", place, data=b"", headers=complete, timeout=timeout) as response:
            return await read_reply(response)

    async def fetch(self, session: GatewaySession, reply: GatewayReply, service: Service) -> LargeEnvelope:
        """Fetch the container that a gateway announced as its answer.

        Raises:
            ExchangeError: `exchange.undeliverable`, `exchange.answer_unreadable`.
            VaultError: `vault.storage_full`, `vault.storage_failed`.
        """
        try:
            envelope = open_announcement(reply.body, most_bytes=self.most_bytes)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        place = _place(session.url, reply.headers)
        ticket = reply.headers.get(TICKET_HEADER, "")
        await asyncio.to_thread(self.vault.require_room, envelope.size)
        retention = self.retention_of(service)
        file = await self.writer.run_async(
            lambda connection: self.vault.begin_large(connection, retention=retention)
        )
        large = envelope.kept_as(file)
        try:
            await self._fetch_all(session, place, ticket, large)
        except BaseException:
            await surely(lambda: self.vault.remove_large(file))
            raise
        return large

    async def _send_rest(
        self, session: GatewaySession, place: str, request: LargeEnvelope, offset: int
    ) -> None:
        fruitless = 0
        while offset < request.size:
            before = offset
            try:
                offset = await self._send_piece(session, place, request, offset)
            except (aiohttp.ClientError, TimeoutError) as error:
                if fruitless == _FRUITLESS:
                    raise
                _logger.info("delivery.cut_off", offset=offset, error=type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS * 2**fruitless)
                offset = await _ask_offset(session, place, offset)
            fruitless = 0 if offset > before else fruitless + 1
            if fruitless > _FRUITLESS:
                raise ExchangeError("exchange.undeliverable", f"nothing arrives behind byte {offset}")

    async def _send_piece(
        self, session: GatewaySession, place: str, request: LargeEnvelope, offset: int
    ) -> int:
        stop = min(offset + _PIECE_BYTES, request.size)
        headers = {
            OFFSET_HEADER: str(offset),
            COMPLETE_HEADER: "?0",
            "Content-Type": PART_MEDIA_TYPE,
            "Content-Length": str(stop - offset),
        }
        pieces = self.vault.stream(request.container_sha256, offset, stop)
        async with session.request(
            "PATCH",
            place,
            data=in_threads(pieces),
            headers=headers,
            timeout=_timeout(_PIECE_SECONDS),
        ) as response:
            if response.status in {HTTPStatus.NO_CONTENT, HTTPStatus.CONFLICT}:
                return _offset(response.headers)
            raise ExchangeError("exchange.undeliverable", f"HTTP {response.status} at byte {offset}")

    async def _fetch_all(
        self, session: GatewaySession, place: str, ticket: str, large: LargeEnvelope
    ) -> None:
        incoming, fruitless, offset = Incoming(self.vault), 0, 0
        while offset < large.size:
            before = offset
            incomer = await asyncio.to_thread(incoming.open, large, offset)
            try:
                headers = {"Authorization": f"Bearer {ticket}", "Range": f"bytes={offset}-"}
                timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
                async with session.request("GET", place, headers=headers, timeout=timeout) as response:
                    _require_range(response, offset)
                    await take_all(
                        incomer, _chunks(response, large.size - offset), silence_seconds=_SILENCE_SECONDS
                    )
            except (aiohttp.ClientError, TimeoutError) as error:
                _logger.info("answer.cut_off", offset=offset, error=type(error).__name__)
            except EnvelopeError as error:
                raise ExchangeError("exchange.answer_unreadable", str(error)) from error
            finally:
                await surely(incomer.close)
            offset = incomer.offset
            fruitless = 0 if offset > before else fruitless + 1
            if fruitless > _FRUITLESS:
                raise ExchangeError("exchange.undeliverable", f"nothing comes behind byte {offset}")
            if offset < large.size:
                await asyncio.sleep(_PAUSE_SECONDS * 2**fruitless)
        await asyncio.to_thread(self._finish, incoming, large)

    def _finish(self, incoming: Incoming, large: LargeEnvelope) -> None:
        incomer = incoming.open(large, large.size)
        try:
            incomer.finish()
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        finally:
            incomer.close()


async def read_reply(response: aiohttp.ClientResponse) -> GatewayReply:
    """Read a container or an announcement, but not much more than is allowed.

    Raises:
        ExchangeError: `exchange.undeliverable`: it is neither; `exchange.answer_unreadable`: it is too large.
    """
    media_type = response.headers.get("content-type", "")
    if media_type not in {CONTAINER_MEDIA_TYPE, ANNOUNCEMENT_MEDIA_TYPE}:
        raise ExchangeError(
            "exchange.undeliverable", f"HTTP {response.status}, {media_type or 'no content type'}"
        )
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_ANNOUNCEMENT:
            raise ExchangeError("exchange.answer_unreadable", "larger than allowed")
    return GatewayReply(media_type, bytes(body), response.headers)


async def _ask_offset(session: GatewaySession, place: str, otherwise: int) -> int:
    try:
        async with session.request("HEAD", place, timeout=_timeout(_PIECE_SECONDS)) as response:
            if response.status != HTTPStatus.NO_CONTENT:
                raise ExchangeError("exchange.undeliverable", f"HTTP {response.status} for the offset")
            return _offset(response.headers)
    except (aiohttp.ClientError, TimeoutError):
        # The next piece finds out.
        return otherwise


async def _chunks(response: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    """Yield what comes, and never more than is missing."""
    async for chunk in response.content.iter_any():
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return


def _require_range(response: aiohttp.ClientResponse, offset: int) -> None:
    is_right = response.status == HTTPStatus.PARTIAL_CONTENT or (
        response.status == HTTPStatus.OK and offset == 0
    )
    if not is_right:
        raise ExchangeError("exchange.undeliverable", f"HTTP {response.status} for the answer's container")
    begin = response.headers.get("Content-Range", f"bytes {offset}-")
    if not begin.startswith(f"bytes {offset}-"):
        raise ExchangeError("exchange.undeliverable", "another range than was asked for")


def _place(gateway_url: str, headers: Mapping[str, str]) -> str:
    """Return where the gateway says, as long as that is at the gateway."""
    place = urljoin(gateway_url, headers.get("Location", ""))
    if "Location" not in headers or urlsplit(place)[:2] != urlsplit(gateway_url)[:2]:
        raise ExchangeError("exchange.undeliverable", "the gateway names no place of its own")
    return place


def _offset(headers: Mapping[str, str]) -> int:
    text = headers.get(OFFSET_HEADER, "")
    if not (text.isascii() and text.isdigit()):
        raise ExchangeError("exchange.undeliverable", f"no {OFFSET_HEADER}")
    return int(text)


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=_CONNECT_SECONDS)
