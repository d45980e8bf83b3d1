# SPDX-License-Identifier: Apache-2.0
"""What every answer of a site tells the browser: trust nothing but this page and its style sheet.

Source: W3C Content Security Policy Level 3; OWASP Secure Headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer` browsers would send forms with the origin `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}
_OWN_SCRIPTS = "; script-src 'self'; connect-src 'self'"


class Protected:
    """An application each of whose answers, errors included, carries the headers that protect it.

    Args:
        app: the application.
        has_scripts: whether pages may run the site's own script files, and those ask the site.
    """

    def __init__(self, app: ASGIApp, *, has_scripts: bool = False) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if has_scripts:
            self._headers["Content-Security-Policy"] += _OWN_SCRIPTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see ASGI."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_protected)
