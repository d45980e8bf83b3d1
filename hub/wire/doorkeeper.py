# SPDX-License-Identifier: Apache-2.0
"""Who may connect, and who has to leave: the connections of one server, counted and looked at every second.

Source: RFC 9110 sections 15.5.9 (408), 15.5.14 (413), 15.6.4 (503); RFC 6585 section 5 (431).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from hub.wire.protocol import GuardedProtocol, address_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn import Config
    from uvicorn.server import ServerState

    from hub.wire.limits import WireLimits

_LOOK_SECONDS = 1.0
_TELLS_EVERY_SECONDS = 10.0
_logger = structlog.get_logger(__name__)


class Watched(Protocol):
    """A connection the doorkeeper looks at."""

    def look(self, now: float) -> None:
        """End the connection if its client is too slow; `now` is the loop's clock, seconds."""
        ...


class Doorkeeper:
    """Makes the protocol of every connection of a server; uvicorn takes it as its `http`.

    Args:
        limits: what the server puts up with.
        tls: returns the context for the next connection; None serves plain HTTP.
    """

    def __init__(self, limits: WireLimits, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        self.limits = limits
        self.refused: Counter[str] = Counter()
        self._tls = tls
        self._open: set[Watched] = set()
        self._addresses: Counter[str] = Counter()
        self._connections = 0
        self._looks: asyncio.TimerHandle | None = None
        self._told: dict[str, tuple[float, int]] = {}

    @property
    def connections(self) -> int:
        """How many there are now."""
        return self._connections

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """Return the protocol of one connection, as uvicorn's server asks for it."""
        protocol = GuardedProtocol(self, config, server_state, app_state, _loop)
        return protocol if self._tls is None else Handshake(self, protocol, self._tls)

    def admit(self, address: str) -> bool:
        """Count a connection in, or say that there are too many."""
        if (
            self._connections >= self.limits.connections
            or self._addresses[address] >= self.limits.connections_per_address
        ):
            self.note("wire.too_many_connections", address)
            return False
        self._connections += 1
        self._addresses[address] += 1
        return True

    def release(self, address: str) -> None:
        """Count out a connection that was counted in."""
        self._connections -= 1
        self._addresses[address] -= 1
        if self._addresses[address] <= 0:
            del self._addresses[address]

    def watch(self, connection: Watched) -> None:
        """Look at a connection every second from now on."""
        self._open.add(connection)
        if self._looks is None:
            loop = asyncio.get_running_loop()
            self._looks = loop.call_later(_LOOK_SECONDS, self._look, loop)

    def forget(self, connection: Watched) -> None:
        """Look at it no more."""
        self._open.discard(connection)
        if not self._open and self._looks is not None:
            self._looks.cancel()
            self._looks = None

    def note(self, code: str, address: str, reason: str = "") -> None:
        """Count a refusal; those of one kind are logged together, so that a flood does not fill the log."""
        self.refused[code] += 1
        now = asyncio.get_running_loop().time()
        last, counted = self._told.get(code, (-_TELLS_EVERY_SECONDS, 0))
        if now - last >= _TELLS_EVERY_SECONDS:
            told = {"reason": reason} if reason else {}
            times = self.refused[code] - counted
            _logger.warning("wire.refused", code=code, address=address, times=times, **told)
            self._told[code] = (now, self.refused[code])

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks = loop.call_later(_LOOK_SECONDS, self._look, loop)
        now = loop.time()
        for connection in tuple(self._open):
            connection.look(now)


class Handshake(asyncio.Protocol):
    """A connection until TLS is agreed: it is counted from its first moment, and has little time."""

    def __init__(
        self, keeper: Doorkeeper, protocol: GuardedProtocol, context: Callable[[], ssl.SSLContext]
    ) -> None:
        self._keeper = keeper
        self._protocol = protocol
        self._context = context
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a server's is one
        """Begin the handshake, or hang up where there are too many connections.

        The socket is taken from the transport before anything was read, and given to one that speaks TLS:
        uvloop begins to read whatever a protocol says of it here, so a transport cannot change over in time.
        """
        address = address_of(transport)
        if not self._keeper.admit(address):
            transport.abort()
            return
        connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        connection.settimeout(0)
        transport.abort()
        # The server's end asks every connection to shut down, and waits for it.
        self._protocol.connections.add(self)  # type: ignore[arg-type]
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(connection, address))

    def shutdown(self) -> None:
        """Give up, as the server ends."""
        if self._task is not None:
            self._task.cancel()

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._protocol,
                connection,
                ssl=self._context(),
                ssl_handshake_timeout=self._keeper.limits.handshake_seconds,
            )
        except (OSError, RuntimeError) as exc:
            # Who hangs up or is too slow, what is no TLS, a false certificate; uvloop says RuntimeError of a
            # connection that was gone before the handshake began.
            self._keeper.note("wire.handshake_failed", address, _reason(exc))
        finally:
            self._protocol.connections.discard(self)
            if not self._protocol.is_begun:
                connection.close()
                self._keeper.release(address)


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return exc.verify_message
    return getattr(exc, "reason", None) or type(exc).__name__
