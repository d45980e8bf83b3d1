# SPDX-License-Identifier: Apache-2.0
"""Applications on loopback ports, in threads of this process."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from hub.wire import server_config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

_START_SECONDS = 20.0


@contextmanager
def serving(app: ASGIApp, port: int, *, tls: Callable[[], ssl.SSLContext] | None = None) -> Iterator[str]:
    """Serve an application, as the commands do, as long as the block lasts; yields its address."""
    config = server_config(
        app, host="127.0.0.1", port=port, tls=tls, last_answers_seconds=1, log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name=f"server-{port}")
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


def wait_for(is_done: Callable[[], bool]) -> None:
    """Wait for something another thread or process does."""
    deadline = time.monotonic() + 10
    while not is_done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
