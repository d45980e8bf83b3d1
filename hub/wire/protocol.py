# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP/1.1 on one connection, with limits and the client's certificate.

    a connection begins ─▶ HEAD ─▶ BODY ─▶ QUIET ─▶ HEAD ...
                           header_seconds, header_bytes, header_fields
                                   window_seconds, least_bytes_per_second, body_bytes
                                            idle_seconds, requests_per_connection

Beside it, and at any time, an answer has to be taken at the least rate. Time in which the hub itself is slow
does not count: only while its client could send or take bytes.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.errors import WireError
from hub.wire.pace import Sending, Taking
from hub.wire.peers import peer_chain, tls_extension
from hub.wire.refusing import STATUS, answer

if TYPE_CHECKING:
    import asyncio

    from cryptography import x509
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from hub.wire.doorkeeper import Doorkeeper

_LINGERS_SECONDS = 2.0
"""Between a refusal and the end of its connection: closed at once, clients would often not get to read it."""


class Part(Enum):
    """What the client is to send next."""

    HEAD = auto()
    BODY = auto()
    QUIET = auto()


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        keeper: Doorkeeper,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._keeper = keeper
        self._limits = keeper.limits
        self._tls: dict[str, object] | None = None
        self._chain: tuple[x509.Certificate, ...] = ()
        self.is_begun = False
        self._address = ""
        self._ends_at: float | None = None
        self._requests = 0
        self._part = Part.HEAD
        self._since = self.loop.time()
        self._head_bytes = 0
        self._unread_bytes = 0
        self._most_body = self._limits.body_bytes
        self._body_bytes = 0
        self._waited = Sending()
        self._looked_at = self._since

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin; a connection with TLS was counted when its handshake began, a plain one is counted here."""
        self._address = address_of(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            try:
                self._chain = peer_chain(tls)
            except ValueError:
                # OpenSSL took what the library that has to judge it cannot read.
                self._keeper.note("wire.handshake_failed", self._address, "the certificate cannot be read")
                transport.abort()
                return
            self._tls = tls_extension(tls, self._chain)
        elif not self._keeper.admit(self._address):
            # Not known to uvicorn, whose server would wait for it.
            self.transport, self._ends_at = transport, self._since
            code = "wire.too_many_connections"
            transport.write(answer(WireError(code), STATUS[code]))
            transport.close()
            return
        self._taking = Taking(
            transport,
            window_seconds=self._limits.window_seconds,
            least_bytes_per_second=self._limits.least_bytes_per_second,
        )
        self.is_begun = True
        super().connection_made(transport)
        self._since = self._looked_at = self.loop.time()
        self._keeper.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        if self.is_begun:
            self._keeper.forget(self)
            self._keeper.release(self._address)
        super().connection_lost(exc)

    # What the client sends

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless the request was refused; then they are let go."""
        if self._ends_at is not None:
            return
        self._unset_keepalive_if_required()
        self._waited.count += len(data)
        self._unread_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing here speaks another protocol; the request itself is answered.
            pass
        except httptools.HttpParserError:
            self._refuse("wire.request_malformed")
        # A field, a trailer or a chunk's extension that never ends is never handed over by the parser, which
        # keeps it; that bytes come and nothing of them is handed over is all that shows it.
        if self._unread_bytes > self._limits.header_bytes:
            self._refuse("wire.headers_too_large")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._enter(Part.HEAD)
        self._head_bytes = self._unread_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer."""
        super().on_header(name, value)
        self._count_head(len(name) + len(value) + 4)
        if len(self.headers) > self._limits.header_fields:
            self._refuse("wire.headers_too_large")

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        if self._ends_at is not None:
            return
        self._most_body = self._limits.body_bytes_of(self.url)
        if any(name == b"content-length" and int(value) > self._most_body for name, value in self.headers):
            self._refuse("wire.body_too_large")
            return
        if self._tls is not None:
            self.scope["extensions"] = {"tls": cast("dict[object, object]", self._tls)}
            self.scope["state"]["client_chain"] = self._chain
        self._enter(Part.BODY)
        self._body_bytes = 0
        super().on_headers_complete()
        self._requests += 1
        if self._requests >= self._limits.requests_per_connection:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._ends_at is not None:
            return
        self._unread_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._most_body:
            self._refuse("wire.body_too_large")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._ends_at is not None:
            return
        self._enter(Part.QUIET)
        self._unread_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        if self._part is Part.QUIET:
            self._since = self.loop.time()
        super().on_response_complete()

    # What is looked at every second

    def look(self, now: float) -> None:
        """End the connection if its client is too slow; see `Doorkeeper`."""
        passed, self._looked_at = now - self._looked_at, now
        if self._ends_at is not None:
            if now >= self._ends_at:
                self.transport.abort()
        elif self._taking.is_too_slow(now):
            self._keeper.note("wire.too_slow", self._address)
            self.transport.abort()
        elif self._part is Part.HEAD:
            self._look_at_head(now)
        elif self._part is Part.BODY:
            self._look_at_body(passed)
        elif self._is_answered and now - self._since > self._limits.idle_seconds:
            self.transport.close()

    def _look_at_head(self, now: float) -> None:
        if now - self._since <= self._limits.header_seconds:
            return
        if self._head_bytes or self._unread_bytes:
            self._refuse("wire.too_slow")
        else:
            # Browsers open connections they may come to need; there is nothing to say to them.
            self.transport.close()

    def _look_at_body(self, passed: float) -> None:
        if self.flow.read_paused:
            return
        self._waited.seconds += passed
        if self._waited.seconds < self._limits.window_seconds:
            return
        if self._waited.count < self._limits.least_bytes_per_second * self._waited.seconds:
            self._refuse("wire.too_slow")
        self._waited = Sending()

    @property
    def _is_answered(self) -> bool:
        return self._unanswered is None and not self.pipeline

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """The request that is being answered; before the first one there is none."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def _enter(self, part: Part) -> None:
        self._part = part
        self._since = self.loop.time()
        self._waited = Sending()

    def _count_head(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > self._limits.header_bytes:
            self._refuse("wire.headers_too_large")

    def _refuse(self, code: str) -> None:
        """Answer with a problem document where no answer has begun, and end the connection."""
        if self._ends_at is not None:
            return
        self._keeper.note(code, self._address)
        self._ends_at = self.loop.time() + _LINGERS_SECONDS
        cycle = self._unanswered
        if cycle is not None:
            # The application hears that its client is gone.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or not cycle.more_body or self.pipeline:
                # What would be written now, the client would take for an answer to an earlier request.
                self.transport.abort()
                return
        self.flow.resume_reading()
        error = WireError(code)
        self.transport.write(answer(error, STATUS[code], self.server_state.default_headers))


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return the client's address; empty where it has none, as over a Unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
