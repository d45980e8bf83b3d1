# SPDX-License-Identifier: Apache-2.0
"""HTTP as it is watched, over real sockets."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hub.errors import SettingsError
from hub.telemetry import Condition, Readiness, State, StatusServer, Watched, exposition
from tests.hub.telemetry.test_metrics import sample
from tests.journeys.serving import serving
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request


@contextmanager
def status_server(readiness: Readiness) -> Iterator[str]:
    server, port = StatusServer(readiness), free_port()
    server.start("127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def test_requests_are_counted_by_template_never_by_path() -> None:
    async def thing(request: Request) -> PlainTextResponse:
        if request.path_params["name"] == "broken":
            raise RuntimeError("on purpose")
        return PlainTextResponse("")

    app = Watched(Starlette(routes=[Route("/things/{name}", thing)]))
    with serving(app, free_port()) as url:
        for name in ("one", "two", "broken"):
            httpx2.get(f"{url}/things/{name}")
        httpx2.get(f"{url}/510104199001011234")
        httpx2.request("PROPFIND", f"{url}/things/one")
    text = exposition()[0].decode()
    route = "/things/{name}"
    assert sample(text, "heliograph_http_requests_total", route=route, method="GET", status="200") == 2
    assert sample(text, "heliograph_http_requests_total", route=route, method="GET", status="500") == 1
    assert sample(text, "heliograph_http_requests_total", route=route, method="other", status="405") == 1
    assert sample(text, "heliograph_http_request_seconds_count", route=route) == 4
    assert "510104199001011234" not in text
    assert "PROPFIND" not in text


def test_alive_is_not_ready() -> None:
    broken = Readiness({"database": lambda: Condition(State.FAILED, "TimeoutError")})
    with status_server(broken) as url:
        assert httpx2.get(f"{url}/healthz").json() == {"status": "ok"}
        answer = httpx2.get(f"{url}/readyz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "not_ready"
        assert answer.json()["checks"][0]["cure"]["en"].startswith("Start the database")
        shown = httpx2.get(f"{url}/metrics")
        assert shown.headers["content-type"].startswith("text/plain")
        assert sample(shown.text, "process_open_fds") > 0


def test_what_is_impaired_still_works() -> None:
    with status_server(Readiness({"disk": lambda: Condition(State.IMPAIRED, "7 MiB are left")})) as url:
        answer = httpx2.get(f"{url}/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "impaired")


def test_processes_of_one_service_share_the_port() -> None:
    port = free_port()
    servers = [StatusServer(Readiness({})) for _ in range(2)]
    for server in servers:
        server.start("127.0.0.1", port)
    servers[0].stop()
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    servers[1].stop()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match="status_port"):
        StatusServer(Readiness({})).start("192.0.2.1", 9090)
