# SPDX-License-Identifier: Apache-2.0
"""How hub and gateways are served: uvicorn's settings, stated once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from hub.wire.doorkeeper import Doorkeeper
from hub.wire.headers import SecurityHeaders
from hub.wire.limits import WireLimits

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from starlette.types import ASGIApp


def server_config(  # noqa: PLR0913 (each by its name)
    app: ASGIApp,
    *,
    host: str,
    port: int,
    tls: Callable[[], ssl.SSLContext] | None = None,
    limits: WireLimits | None = None,
    last_answers_seconds: int | None = None,
    log_level: str = "warning",
) -> uvicorn.Config:
    """Return how an application is served, for `uvicorn.Server`.

    Args:
        app: the application; its answers get security headers.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        tls: returns the context for the next connection; None serves plain HTTP.
        limits: what callers may take; the default's, within what the system lets the process open.
        last_answers_seconds: how long requests are waited for when the server is told to stop.
        log_level: of uvicorn's own log.
    """
    limits = (limits or WireLimits()).within_open_files()
    return uvicorn.Config(
        SecurityHeaders(app),
        host=host,
        port=port,
        http=Doorkeeper(limits, tls),  # type: ignore[arg-type]  # called as the protocol's class would be
        ws="none",
        timeout_keep_alive=limits.idle_seconds,
        access_log=False,
        # The process's own logging writes what uvicorn says.
        log_config=None,
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=last_answers_seconds,
    )
