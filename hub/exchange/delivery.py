# SPDX-License-Identifier: Apache-2.0
"""Delivery over HTTP: one POST to the gateway, the hub's receipt in a header, the answer in the body.

Source: docs/protocols/exchange.md section 4.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import httpx2

from hub.envelope import CONTAINER_MEDIA_TYPE, Limits
from hub.errors import ExchangeError

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.registry import Service

RECEIPT_HEADER = "Heliograph-Receipt"
_CONNECT_SECONDS = 5.0


class HttpCourier:
    """Delivers with one pool of connections for all gateways."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._client = httpx2.AsyncClient(
            follow_redirects=False, limits=httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        )

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
        timeout = httpx2.Timeout(service.timeout_seconds, connect=_CONNECT_SECONDS)
        try:
            async with self._client.stream(
                "POST", service.gateway_url, content=request.raw, headers=headers, timeout=timeout
            ) as response:
                return await self._read(response)
        except httpx2.TimeoutException as error:
            raise ExchangeError("exchange.delivery_timeout", f"{service.timeout_seconds} s") from error
        except httpx2.HTTPError as error:
            raise ExchangeError("exchange.undeliverable", type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _read(self, response: httpx2.Response) -> bytes:
        media_type = response.headers.get("content-type", "")
        if media_type != CONTAINER_MEDIA_TYPE:
            raise ExchangeError(
                "exchange.undeliverable", f"HTTP {response.status_code}, {media_type or 'no content type'}"
            )
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._limits.container_bytes:
                raise ExchangeError("exchange.answer_unreadable", "larger than allowed")
        return bytes(body)
