# SPDX-License-Identifier: Apache-2.0
"""Send one request to a REST service: signed in, within its time, again only where that is safe.

What may be sent again: anything that did not arrive at all; anything that was refused for its access token,
once; and what changes nothing (RFC 9110 section 9.2.1), while the service is away or asks to wait.
"""

from __future__ import annotations

import time
from http import HTTPMethod
from typing import TYPE_CHECKING

from adapters.ports import NotAskedError
from adapters.rest.authentication import OAuth2Auth, with_header
from adapters.rest.tokens import Tokens
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.entry import ServiceEntry
    from adapters.rest.settings import RestSettings
    from adapters.web import Outgoing, Reply, WebClient

SAFE = frozenset({HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS, HTTPMethod.TRACE})
_AWAY = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.2
_UNAUTHORIZED = 401


class Sender:
    """Sends requests to one service.

    Args:
        entry: the service as described.
        settings: its connection.
        client: speaks to the service and to its token endpoint.
    """

    def __init__(self, entry: ServiceEntry, settings: RestSettings, client: WebClient) -> None:
        self._entry = entry
        self._client = client
        self._attempts = settings.attempts if entry.is_repeatable else 1
        self._auth = [each for each in settings.auth if not isinstance(each, OAuth2Auth)]
        tokens = [Tokens(each, client) for each in settings.auth if isinstance(each, OAuth2Auth)]
        self._tokens = tokens[0] if tokens else None

    def send(self, request: Outgoing, deadline: float) -> Reply:
        """Send a request and return the answer, whatever its status.

        Args:
            request: without what signs in.
            deadline: of the monotonic clock.

        Raises:
            AdapterError: as `WebClient.send` and `Tokens.token`.
        """
        for number in range(1, self._attempts + 1):
            is_last = number == self._attempts
            pause = _FIRST_PAUSE_SECONDS * 2 ** (number - 1)
            try:
                reply = self._send_once(request, deadline)
            except AdapterError as exc:
                if is_last or not _may_be_sent_again(request, exc):
                    raise
            else:
                pause = max(pause, _wanted_pause(reply))
                is_away = reply.status_code in _AWAY and request.method in SAFE
                if is_last or not is_away or pause >= deadline - time.monotonic():
                    return reply
            time.sleep(min(pause, _left(deadline)))
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, request: Outgoing, deadline: float) -> Reply:
        if self._tokens is None:
            return self._client.send(self._signed(request), seconds=_left(deadline))
        for is_second in (False, True):
            token = self._tokens.token(_left(deadline))
            signed = self._signed(with_header(request, "Authorization", f"Bearer {token}"))
            reply = self._client.send(signed, seconds=_left(deadline))
            if reply.status_code != _UNAUTHORIZED or is_second:
                break
            self._tokens.forget(token)
        return reply

    def _signed(self, request: Outgoing) -> Outgoing:
        # A signature covers what other ways of signing in have added to the address.
        for each in sorted(self._auth, key=lambda auth: auth.kind == "hmac"):
            request = each.sign(request, self._entry.clock.now())
        return request


def _may_be_sent_again(request: Outgoing, exc: AdapterError) -> bool:
    if exc.code != "adapter.system_unreachable":
        return False
    return isinstance(exc, NotAskedError) or request.method in SAFE


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise AdapterError("adapter.system_timeout", "not everything was answered in time")
    return seconds


def _wanted_pause(reply: Reply) -> float:
    """Return what the service wants to be left alone for (RFC 9110 section 10.2.3), in seconds."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0.0
