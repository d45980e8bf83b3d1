# SPDX-License-Identifier: Apache-2.0
"""Runs the registration service behind OAuth2 for a test, and stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.adapters.running import free_port, has_port_open, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIPTION = Path(__file__).parent / "quota.yaml"
_SECRET = "täst/secret:1"  # noqa: S105 - of a service that lives for one test


@dataclass(frozen=True)
class Peer:
    """The running service."""

    port: int
    environment: dict[str, str]

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts", timeout=10) as answer:
            counts: dict[str, int] = json.load(answer)
            return counts


@contextmanager
def running_peer(*, uses: int = 1000) -> Iterator[Peer]:
    """Start the service as a process; `uses` is how many requests a token is good for."""
    port = free_port()
    # Form-encoded, as RFC 6749 section 2.3.1 has both parts of the header.
    quoted = "t%C3%A4st%2Fsecret%3A1"
    environment = {**os.environ, "OAUTH_SECRET": quoted, "OAUTH_USES": str(uses)}
    service = Path(__file__).parent / "oauth_service.py"
    with subprocess.Popen([sys.executable, str(service), str(port)], env=environment) as process:
        try:
            wait_until(lambda: has_port_open(port))
            yield Peer(port, {"QUOTA_PORT": str(port), "QUOTA_SECRET": _SECRET, **_token_url(port)})
        finally:
            process.terminate()


def _token_url(port: int) -> dict[str, str]:
    return {"QUOTA_TOKEN_URL": f"http://127.0.0.1:{port}/token"}
