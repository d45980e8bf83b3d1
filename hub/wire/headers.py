# SPDX-License-Identifier: Apache-2.0
"""What every answer tells a browser that came upon the interface, and what happens when there is none.

Pages set their own, stricter or more fitting ones (`hub.portal`), which stay.

Source: OWASP Secure Headers and REST Security; RFC 6797 (HSTS); W3C Content Security Policy Level 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ONLY_HTTPS = "max-age=31536000"
_logger = structlog.get_logger(__name__)


class SecurityHeaders:
    """An application each of whose answers, errors included, says what browsers must not do with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        is_answered = False

        async def send_protected(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _ONLY_HTTPS)
            await send(message)
            is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, send_protected)
        except ClientDisconnect:
            # Somebody who hangs up within a request is no failure of ours, and no reason for a traceback.
            return
        except Exception:
            if not is_answered:
                raise
            # The caller was told. uvicorn would close the connection without having said so, and the next
            # request over it, which is none of this one's business, would be lost.
            _logger.exception("wire.application_failed")
