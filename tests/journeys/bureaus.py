# SPDX-License-Identifier: Apache-2.0
"""The demonstration's three bureaus: stand-ins over three protocols, gateways, caseworkers."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from adapters.simulators.serving import Ports, serve
from hub.clock import FixedClock, SystemClock
from tests.journeys.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    import httpx2

    from tests.journeys.world import World

NAMES = ("labour-bureau", "federation", "social-insurance")
REQUESTS = "/api/v1/evidence/requests"
PURPOSE = {
    "item": "000788002000",
    "case": "CBJ-2026-000017",
    "legal_basis": "残疾人就业保障金征收使用管理办法（财税〔2015〕72号）第八条",
    "post": "残保金审核岗",
}


@dataclass(frozen=True)
class Bureaus:
    """What runs around the hub.

    Attributes:
        today: the instant the stand-ins live in.
        environment: what the adapters' descriptions refer to.
    """

    world: World
    today: datetime
    environment: Mapping[str, str]

    def headers(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}", "Accept-Language": "en"}

    @property
    def caseworker(self) -> dict[str, str]:
        """Li Wei of the federation's fund."""
        return self.headers(self.world.prepared.caseworker_token)

    @property
    def auditor(self) -> dict[str, str]:
        return self.headers(self.world.prepared.auditor_token)

    def get(self, path: str, headers: Mapping[str, str]) -> httpx2.Response:
        return self.world.http.get(f"{self.world.url}{path}", headers=dict(headers))

    def ask(
        self, service: str, data: Mapping[str, Any], headers: Mapping[str, str], **purpose: str
    ) -> httpx2.Response:
        """Enter a caseworker's request."""
        body = {"service": service, "request": data, "purpose": PURPOSE | purpose}
        return self.world.http.post(f"{self.world.url}{REQUESTS}", json=body, headers=dict(headers))

    def settled(self, request_id: str, headers: Mapping[str, str], *, seconds: float = 60) -> dict[str, Any]:
        """Wait until a request is answered or has failed."""
        deadline = time.monotonic() + seconds
        while True:
            shown: dict[str, Any] = self.get(f"{REQUESTS}/{request_id}", headers).json()
            if shown["state"] in {"delivered", "failed"}:
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)


@contextmanager
def running_bureaus(world: World) -> Iterator[Bureaus]:
    """Run the stand-ins and the three gateways of the demonstration."""
    clock = FixedClock(SystemClock().now())
    with ExitStack() as stack:
        environment = stack.enter_context(_stand_ins(world.prepared.folder.stand_ins, clock))
        for name in NAMES:
            stack.enter_context(
                running_gateway(world, world.prepared.folder.gateway_config(name), environment)
            )
        yield Bureaus(world, clock.now(), environment)


@contextmanager
def running_gateway(world: World, config: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a gateway of a configuration; yields where it takes messages."""
    everything = {**world.prepared.environment, **environment}
    # What the log holds is counted in tests; reports have a journey of their own.
    settings = load_gateway_settings(config, everything).model_copy(update={"report_seconds": None})
    # The descriptions of adapters refer to the process's own environment.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in everything.items():
            patch.setenv(name, value)
        process = GatewayProcess(settings)
    with serving(build_gateway_app(process), settings.port) as address:
        yield f"{address}/messages"


def changed_config(world: World, name: str, **changes: object) -> Path:
    """Write a variant of a gateway's configuration beside it."""
    usual = world.prepared.folder.gateway_config(name)
    settings = yaml.safe_load(usual.read_text(encoding="utf-8")) | changes
    changed = usual.with_name(f"{name}-changed.yaml")
    changed.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return changed


@contextmanager
def _stand_ins(folder: Path, clock: FixedClock) -> Iterator[dict[str, str]]:
    ready = threading.Event()
    control: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        control.append((asyncio.get_running_loop(), stop))
        await serve(folder, Ports(), clock, stop=stop, on_ready=lambda _: ready.set())

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(20), "the stand-ins did not start"
        environment: dict[str, str] = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        yield environment
    finally:
        loop, stop = control[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
