# SPDX-License-Identifier: Apache-2.0
"""The side that connects: to whose server, and how a renewed certificate is taken up.

Source: docs/protocols/exchange.md section 14.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp
import httpx2

from hub.errors import ExchangeError, HubError
from hub.wire.peers import peer_chain

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from hub.identifiers import MemberId
    from hub.wire.peers import PeerJudge

_expected: ContextVar[MemberId | None] = ContextVar("expected_member", default=None)


@contextmanager
def expecting(member: MemberId) -> Iterator[None]:
    """Say whose server the requests of this task connect to, within the block."""
    token = _expected.set(member)
    try:
        yield
    finally:
        _expected.reset(token)


class JudgingConnector(aiohttp.TCPConnector):
    """Connections over which nothing is sent before their server's certificate is believed.

    It is asked for every request, so that a revoked certificate does not live on with its connection.

    Args:
        judge: of servers' certificates.
        limit: of connections in all.
    """

    def __init__(self, judge: PeerJudge, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._judge = judge

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's own)
    ) -> aiohttp.connector.Connection:
        """Return a connection to the server of the member that is expected.

        Raises:
            ExchangeError: `exchange.undeliverable`, its certificate is not believed or is another member's.
        """
        connection = await super().connect(req, traces, timeout)
        try:
            await self._require(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _require(self, connection: aiohttp.connector.Connection) -> None:
        transport = connection.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if tls is None:
            return
        chain, expected = peer_chain(tls), _expected.get()
        try:
            member = self._judge.known(chain) or await asyncio.to_thread(self._judge.judge, chain)
        except HubError as exc:
            raise ExchangeError("exchange.undeliverable", f"the server's certificate: {exc}") from exc
        if expected is not None and member != expected:
            detail = f"the server's certificate is of {member}, not of {expected}"
            raise ExchangeError("exchange.undeliverable", detail)


class RenewedTransport(httpx2.BaseTransport):
    """Blocking requests, each over a connection made with the context of its moment.

    Args:
        context: returns it; connections made with an earlier one are not used again.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._made: list[tuple[ssl.SSLContext, httpx2.HTTPTransport]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see httpx2."""
        return self._transport().handle_request(request)

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            made, self._made = self._made, []
        for _, transport in made:
            transport.close()

    def _transport(self) -> httpx2.HTTPTransport:
        context = self._context()
        with self._lock:
            if not self._made or self._made[-1][0] is not context:
                # Earlier ones are kept: requests may be under way over them.
                self._made.append((context, httpx2.HTTPTransport(verify=context)))
            return self._made[-1][1]
