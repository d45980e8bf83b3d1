# SPDX-License-Identifier: Apache-2.0
"""What a hub says of itself and its partners, over real sockets and with real faults."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from hub.accounts import Role
from tests.hub.telemetry.test_metrics import sample
from tests.journeys.departments import ABSENT, LABOUR_ECHO
from tests.journeys.serving import wait_for
from tests.journeys.world import on_sqlite_file, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.world import World
    from tests.pki import ServedPki


@pytest.fixture(scope="module")
def own(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, int]]:
    """A hub of this module's own, with a status port."""
    port = free_port()
    with running_world(tmp_path_factory.mktemp("status"), pki, status_port=str(port)) as running:
        yield running, port


def get(world: World, path: str) -> Any:
    response = world.http.get(f"{world.url}{path}", headers=world.token(Role.OPERATOR))
    assert response.status_code == 200, response.text
    return response.json()


def weather_of(world: World, service: str) -> dict[str, Any]:
    world.hub.operations.watch.flush()
    (found,) = [each for each in get(world, "/api/v1/weather") if each["service"] == service]
    return dict(found)


def test_a_hub_is_ready_and_says_what_it_looked_at(own: tuple[World, int]) -> None:
    world, port = own
    for base in (world.url, f"http://127.0.0.1:{port}"):
        assert httpx2.get(f"{base}/healthz").json() == {"status": "ok"}
        answer = httpx2.get(f"{base}/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready"), answer.text
        names = [each["name"] for each in answer.json()["checks"]]
        assert names == ["database", "log_head", "keys", "trust_list", "outbox", "disk"]


def test_the_metrics_tell_of_an_exchange(own: tuple[World, int]) -> None:
    world, port = own
    assert world.send(world.request().raw).status == 200
    assert world.send(world.request(text=ABSENT).raw).fault is not None
    own_port = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    with_token = world.http.get(f"{world.url}/metrics", headers=world.token(Role.OPERATOR)).text
    for text in (own_port, with_token):
        assert sample(text, "heliograph_exchanges_total", service=LABOUR_ECHO, code="") >= 1
        assert sample(text, "heliograph_step_seconds_count", step="verify_request") >= 1
        assert sample(text, "heliograph_delivery_seconds_count", service=LABOUR_ECHO) >= 1
        assert sample(text, "heliograph_commit_units_count") >= 1
        route = "/api/v1/messages"
        assert sample(text, "heliograph_http_request_seconds_count", route=route) >= 1
        assert sample(text, "heliograph_log_entries") >= 2
        assert sample(text, "heliograph_ready") == 1
        assert sample(text, "heliograph_breaker_open", lane=LABOUR_ECHO) == 0
    assert world.http.get(f"{world.url}/metrics").status_code == 401


def test_no_label_is_what_somebody_unknown_chose(own: tuple[World, int]) -> None:
    world, port = own
    made_up = f"{LABOUR_ECHO}-{'x' * 12}"
    request = world.request(made_up)  # type: ignore[arg-type]  # on purpose
    fault = world.send(request.raw).fault
    assert fault is not None
    assert fault.code == "registry.service_unknown"
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert made_up not in text
    assert request.header.id not in text
    assert sample(text, "heliograph_exchanges_total", service="", code="registry.service_unknown") >= 1


def test_the_weather_tells_answers_and_failures_apart(own: tuple[World, int]) -> None:
    world, _ = own
    world.send(world.request().raw)
    before = weather_of(world, LABOUR_ECHO)
    assert before["success_rate"] == 1.0
    assert before["gateway_host"] == "127.0.0.1"
    assert before["p50_ms"] <= before["p95_ms"]
    # That there is no such record is an answer: the department is there.
    assert world.send(world.request(text=ABSENT).raw).fault is not None
    assert weather_of(world, LABOUR_ECHO)["success_rate"] == 1.0
    with world.departments.cheating(lambda _request: b"no container"):
        world.send(world.request().raw)
    after = weather_of(world, LABOUR_ECHO)
    assert after["attempts"] == before["attempts"] + 2
    assert after["success_rate"] < 1.0
    assert after["last_failure_code"] == "exchange.answer_unreadable"
    assert after["last_contact"] >= before["last_contact"]


@on_sqlite_file
def test_a_hub_that_cannot_write_is_alive_and_not_ready(pki: ServedPki, tmp_path: Any) -> None:
    with running_world(tmp_path, pki) as world:
        # Another process holds the database's write lock, as a backup gone wrong would.
        path = world.hub.engine.url.database
        program = (
            "import sqlite3, sys\n"
            f"c = sqlite3.connect({path!r}, isolation_level=None)\n"
            "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()\n"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        try:
            wait_for(lambda: httpx2.get(f"{world.url}/readyz", timeout=20).status_code == 503)
            answer = httpx2.get(f"{world.url}/readyz", timeout=20).json()
            assert httpx2.get(f"{world.url}/healthz").status_code == 200
        finally:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
        wrong = {each["name"]: each for each in answer["checks"] if each["state"] == "failed"}
        assert "holds its lock" in wrong["database"]["cure"]["en"]
        wait_for(lambda: httpx2.get(f"{world.url}/readyz", timeout=20).json()["status"] == "ready")


def test_the_command_shows_it_all(own: tuple[World, int], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = own
    token = world.token(Role.OPERATOR)["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("HELIOGRAPH_TOKEN", token)
    command = [sys.executable, "-m", "hub.cli", "status", "--hub", world.url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "The hub is ready 就绪" in text
    assert f"  {LABOUR_ECHO}  127.0.0.1" in text
    read = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert read["readiness"]["status"] == "ready"
    assert {each["service"] for each in read["weather"]} >= {LABOUR_ECHO}
    gone = subprocess.run(
        [*command[:-1], f"http://127.0.0.1:{free_port()}"], capture_output=True, text=True, check=False
    )
    assert gone.returncode == 1
    assert "exchange.undeliverable" in gone.stderr
