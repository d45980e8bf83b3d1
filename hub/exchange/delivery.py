# SPDX-License-Identifier: Apache-2.0
"""Delivery over HTTP: one POST to the gateway, the hub's receipt in a header, the answer in the body.

Source: docs/protocols/exchange.md section 4.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import aiohttp

from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, Kind, LargeEnvelope, Limits
from hub.errors import ExchangeError
from hub.exchange.largedelivery import RECEIPT_HEADER, GatewayReply, GatewaySession, LargeDelivery, read_reply
from hub.identifiers import member_of, subsystem_of
from hub.telemetry import inject
from hub.wire import JudgingConnector, expecting, leaves_in_plain

if TYPE_CHECKING:
    import ssl

    from hub.custody import Connections
    from hub.envelope import Envelope
    from hub.identifiers import MemberId
    from hub.registry import Service

_CONNECT_SECONDS = 5.0
_MOST_CONNECTIONS = 200

__all__ = ["RECEIPT_HEADER", "HttpCourier"]


class HttpCourier:
    """Delivers with one pool of connections for all gateways, on the event loop that delivers first.

    A gateway reached by TLS has to show a certificate of the member whose service it answers.

    Args:
        limits: of what is delivered at once.
        connections: the hub's TLS; without it gateways are reached in plain HTTP only.
        allows_plain: whether plain HTTP may leave this machine, because a terminator encrypts.
        large: delivers what is larger; None refuses it.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        connections: Connections | None = None,
        allows_plain: bool = False,
        large: LargeDelivery | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._connections = connections
        self._allows_plain = allows_plain
        self._large = large
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes | LargeEnvelope:
        """Hand over a request with the hub's receipt and return what the gateway answers.

        Raises:
            ExchangeError: `exchange.undeliverable` or `exchange.delivery_timeout`.
        """
        url = service.gateway_url
        if url is None:
            raise ExchangeError("exchange.undeliverable", "its gateway has no address to call")
        session = GatewaySession(self._open_session(), self._tls_to(url), url)
        try:
            with expecting(_answerer(request, receipt, service)):
                if isinstance(request, LargeEnvelope):
                    reply = await self._require_large().send(session, request, receipt, service)
                else:
                    reply = await self._post(session, request, receipt, service)
                return await self._read(session, reply, service)
        except TimeoutError as error:
            raise ExchangeError("exchange.delivery_timeout", f"{service.timeout_seconds} s") from error
        except aiohttp.ClientError as error:
            raise ExchangeError("exchange.undeliverable", type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    def _tls_to(self, url: str) -> ssl.SSLContext | bool:
        """Return the context for a gateway's address; True where none is needed, as aiohttp has it."""
        if not url.startswith("https:"):
            if leaves_in_plain(url) and not self._allows_plain:
                raise ExchangeError("exchange.undeliverable", "plain HTTP would leave the hub's machine")
            return True
        if self._connections is None:
            raise ExchangeError("exchange.undeliverable", "the hub has no TLS key to reach gateways with")
        return self._connections.client()

    def _open_session(self) -> aiohttp.ClientSession:
        # A session belongs to an event loop, and there is none yet when the hub is wired.
        if self._session is None:
            connector = (
                aiohttp.TCPConnector(limit=_MOST_CONNECTIONS)
                if self._connections is None
                else JudgingConnector(self._connections.server_judge, limit=_MOST_CONNECTIONS)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def _post(
        self, session: GatewaySession, request: Envelope, receipt: Envelope, service: Service
    ) -> GatewayReply:
        headers = {
            "Content-Type": CONTAINER_MEDIA_TYPE,
            "Accept": CONTAINER_MEDIA_TYPE,
            RECEIPT_HEADER: base64.b64encode(receipt.raw).decode("ascii"),
        }
        inject(headers)
        timeout = aiohttp.ClientTimeout(total=service.timeout_seconds, connect=_CONNECT_SECONDS)
        async with session.request(
            "POST", session.url, data=request.raw, headers=headers, timeout=timeout
        ) as response:
            return await read_reply(response)

    async def _read(
        self, session: GatewaySession, reply: GatewayReply, service: Service
    ) -> bytes | LargeEnvelope:
        if reply.media_type == ANNOUNCEMENT_MEDIA_TYPE:
            return await self._require_large().fetch(session, reply, service)
        if len(reply.body) > self._limits.container_bytes:
            raise ExchangeError("exchange.answer_unreadable", "larger than allowed")
        return reply.body

    def _require_large(self) -> LargeDelivery:
        if self._large is None:
            raise ExchangeError("exchange.undeliverable", "this courier carries nothing large")
        return self._large


def _answerer(request: Envelope, receipt: Envelope, service: Service) -> MemberId:
    """Return whose gateway takes a message: who offers the service, and of an event the subscriber."""
    if request.header.kind is Kind.EVENT:
        return member_of(receipt.header.recipient)
    return member_of(subsystem_of(service.id))
