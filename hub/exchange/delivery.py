# SPDX-License-Identifier: Apache-2.0
"""Delivery over HTTP: one POST to the gateway, the hub's receipt in a header, the answer in the body.

Source: docs/protocols/exchange.md section 4.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import aiohttp

from hub.envelope import CONTAINER_MEDIA_TYPE, Limits
from hub.errors import ExchangeError

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.registry import Service

RECEIPT_HEADER = "Heliograph-Receipt"
_CONNECT_SECONDS = 5.0
_MOST_CONNECTIONS = 200


class HttpCourier:
    """Delivers with one pool of connections for all gateways, on the event loop that delivers first."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes:
        """Hand over a request with the hub's receipt and return what the gateway answers.

        Raises:
            ExchangeError: `exchange.undeliverable` or `exchange.delivery_timeout`.
        """
        headers = {
            "Content-Type": CONTAINER_MEDIA_TYPE,
            "Accept": CONTAINER_MEDIA_TYPE,
            RECEIPT_HEADER: base64.b64encode(receipt.raw).decode("ascii"),
        }
        timeout = aiohttp.ClientTimeout(total=service.timeout_seconds, connect=_CONNECT_SECONDS)
        try:
            async with self._open_session().post(
                service.gateway_url, data=request.raw, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return await self._read(response)
        except TimeoutError as error:
            raise ExchangeError("exchange.delivery_timeout", f"{service.timeout_seconds} s") from error
        except aiohttp.ClientError as error:
            raise ExchangeError("exchange.undeliverable", type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        # A session belongs to an event loop, and there is none yet when the hub is wired.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        media_type = response.headers.get("content-type", "")
        if media_type != CONTAINER_MEDIA_TYPE:
            raise ExchangeError(
                "exchange.undeliverable", f"HTTP {response.status}, {media_type or 'no content type'}"
            )
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.container_bytes:
                raise ExchangeError("exchange.answer_unreadable", "larger than allowed")
        return bytes(body)
