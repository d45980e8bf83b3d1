# SPDX-License-Identifier: Apache-2.0
"""How fast a client sends and takes, measured over windows of time in which it could have.

What is taken is asked of the system: a transport that encrypts hides how much it still has to send, and bytes
that lie in the system's own buffer are not taken either.

Source: tcp(7), TCP_INFO and SIOCOUTQ (Linux).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_ACKED = struct.Struct("@Q")
_ACKED_AT = 120
"""Where tcpi_bytes_acked stands in struct tcp_info of linux/tcp.h, since Linux 4.1."""

_INFO_BYTES = 192
_WAITING = struct.Struct("@i")


class Sending:
    """What a client sent, over the time in which it was waited for."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0


class Taking:
    """What a client takes of an answer.

    Args:
        transport: to the client.
        window_seconds: over which the rate is measured.
        least_bytes_per_second: the rate.
    """

    def __init__(
        self, transport: asyncio.Transport, *, window_seconds: float, least_bytes_per_second: int
    ) -> None:
        self._transport = transport
        self._window_seconds = window_seconds
        self._least_bytes_per_second = least_bytes_per_second
        self._since: tuple[float, int] | None = None

    def is_too_slow(self, now: float) -> bool:
        """Tell whether bytes waited for the client through a whole window and too few of them were taken."""
        if not self._waiting():
            self._since = None
            return False
        taken = self._taken()
        if self._since is None or taken < self._since[1]:
            self._since = now, taken
            return False
        begun, before = self._since
        if now - begun < self._window_seconds:
            return False
        self._since = now, taken
        return taken - before < self._least_bytes_per_second * (now - begun)

    def _waiting(self) -> int:
        """Return how many bytes are not acknowledged by the client's system, here or in ours."""
        connection = self._transport.get_extra_info("socket")
        try:
            (unsent,) = _WAITING.unpack(
                fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_WAITING.size))
            )
        except (OSError, ValueError):
            unsent = 0  # Not of this system, or closed just now.
        return int(unsent) or self._transport.get_write_buffer_size()

    def _taken(self) -> int:
        """Return a number that grows with each byte the client has taken."""
        connection = self._transport.get_extra_info("socket")
        try:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
            return int(_ACKED.unpack_from(info, _ACKED_AT)[0])
        except (OSError, AttributeError, struct.error):
            return -self._transport.get_write_buffer_size()
