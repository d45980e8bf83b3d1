# SPDX-License-Identifier: Apache-2.0
"""A gateway killed with -9 between its legacy system's work and its own record: the work is done once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.hubclient import Question
from hub.demo.preparation import FUND, PROJECT
from hub.identifiers import ContractId, ServiceId
from hub.registry import DeliveryPolicy, Service, Title
from tests.adapters.running import has_port_open, wait_until
from tests.journeys.bureaus import changed_config
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, echo_right
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.requests import Request

    from tests.journeys.world import World

NOTICES = ServiceId(f"{EMPLOYMENT}/crashing-notices")
NOTICE = ContractId("notice/v1")


@dataclass
class NoticeBoard:
    """A legacy system that pins up a notice once for each key, and kills whoever asks it first."""

    keys: list[str] = field(default_factory=list)
    pinned: dict[str, object] = field(default_factory=dict)
    victim: subprocess.Popen[bytes] | None = None
    died: threading.Event = field(default_factory=threading.Event)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/notices", self._pin, methods=["POST"])])

    async def _pin(self, request: Request) -> Response:
        key, body = request.headers["Idempotency-Key"], await request.json()
        self.keys.append(key)
        self.pinned.setdefault(key, body)
        if self.victim is not None:
            await run_in_threadpool(self._kill, self.victim)
        return JSONResponse({})

    def _kill(self, victim: subprocess.Popen[bytes]) -> None:
        self.victim = None
        victim.kill()
        victim.wait(20)
        self.died.set()


@contextmanager
def gateway_process(world: World, config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "gateway", str(config)],
        cwd=PROJECT,
        env={**os.environ, **world.prepared.environment},
    )
    try:
        wait_until(lambda: has_port_open(port), seconds=60)
        yield process
    finally:
        process.kill()
        process.wait(20)


def test_a_gateway_killed_between_the_work_and_its_record_has_it_done_once(
    world: World, tmp_path: Path
) -> None:
    board, port = NoticeBoard(), free_port()
    with serving(board.app(), free_port()) as address:
        described = {
            "service": str(NOTICES),
            "contract": str(NOTICE),
            "kind": "rest",
            "timeout_seconds": 20,
            "connection": {"url": address, "path": "/notices", "method": "POST"},
            "request": {"object": {"body": {"object": {"title": "request.title"}}}},
        }
        services = tmp_path / "notices.yaml"
        services.write_text(yaml.safe_dump({"services": [described]}), encoding="utf-8")
        config = changed_config(
            world,
            "labour-bureau",
            services=[str(services)],
            drafts=[],
            port=port,
            data_folder=str(tmp_path / "gateway"),
        )
        register(world, port)
        client = world.client()
        with gateway_process(world, config, port) as first:
            board.victim = first
            sent = client.send(
                Question(
                    service=NOTICES, contract=NOTICE, data={"title": "通知", "text": "正文"}, purpose=PURPOSE
                )
            )
            assert board.died.wait(60)
        with gateway_process(world, config, port):
            wait_until(lambda: client.outcome(sent.request, PURPOSE).state == "processed", seconds=60)
    assert set(board.keys) == {f'"{sent.request.header.id}"'}, "asked again with the same key"
    assert len(board.keys) == 2
    assert len(board.pinned) == 1


def register(world: World, port: int) -> None:
    service = Service(
        id=NOTICES,
        contract=NOTICE,
        gateway_url=f"http://127.0.0.1:{port}/messages",
        timeout_seconds=20,
        titles=Title(zh="测试", en="Test"),
        delivery=DeliveryPolicy(
            first_pause_seconds=0.2, longest_pause_seconds=1, tries=100, breaker_failures=100
        ),
    )
    right = echo_right("fund-sends-crashing-notices", FUND, NOTICES)
    world.hub.registry.apply((service, right), by="tests")
