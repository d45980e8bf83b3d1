# SPDX-License-Identifier: Apache-2.0
"""Every answer carries the headers that keep browsers from doing anything with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hub.wire import SecurityHeaders
from tests.hub.wire.servers import guarded, request_of, small_app

if TYPE_CHECKING:
    from starlette.requests import Request

EXPECTED = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize("path", ["/", "/nothing-here", "/fail"])
def test_answers_and_failures_carry_them(path: str) -> None:
    client = TestClient(SecurityHeaders(small_app()), raise_server_exceptions=False)
    headers = client.get(path).headers
    assert {name: headers[name] for name in EXPECTED} == EXPECTED
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_only_an_encrypted_answer_asks_for_encryption() -> None:
    client = TestClient(SecurityHeaders(small_app()), base_url="https://testserver")
    assert client.get("/").headers["strict-transport-security"] == "max-age=31536000"


def test_a_page_that_says_more_keeps_its_own() -> None:
    async def page(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("", headers={"Cache-Control": "public, max-age=60"})

    client = TestClient(SecurityHeaders(Starlette(routes=[Route("/", page)])))
    assert client.get("/").headers["cache-control"] == "public, max-age=60"


def test_who_hangs_up_within_a_request_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with guarded() as served:
        connection = served.connect()
        connection.sendall(request_of("POST", "/", "Content-Length: 1000", body=b"half"))
        connection.close()
        with served.connect() as later:
            later.sendall(request_of("GET", "/", "Connection: close"))
            assert later.recv(65536)
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err
