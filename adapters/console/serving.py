# SPDX-License-Identifier: Apache-2.0
"""The console's port, in a thread beside the gateway's own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from hub.errors import SettingsError
from hub.wire import WireLimits, server_config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from starlette.types import ASGIApp

_START_SECONDS = 20.0
_END_SECONDS = 10.0
_LIMITS = WireLimits(body_bytes=32 * 1024 * 1024, connections=100, connections_per_address=50)


class ConsoleServer:
    """Serves the console.

    Args:
        app: the application.
        host: address to listen on.
        port: port to listen on.
        tls: the gateway's, where it has one.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._at = f"{host}:{port}"
        config = server_config(app, host=host, port=port, tls=tls, limits=_LIMITS, last_answers_seconds=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> None:
        """Begin to listen.

        Raises:
            SettingsError: `settings.address_unusable`.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise SettingsError("settings.address_unusable", f"console: {self._at}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop listening, and wait a little for what is under way."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            # uvicorn ends so when it cannot listen; `start` says it.
            return
