# SPDX-License-Identifier: Apache-2.0
"""Starts servers for a test, asks adapters, and stops everything again."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
import yaml

from adapters.configuration import load_adapters
from adapters.ports import Call
from adapters.simulators.misbehaviour import StandIn, misbehave
from adapters.simulators.serving import Ports, serve
from hub.clock import FixedClock, parse_instant
from hub.contracts import load_contracts
from hub.envelope import Purpose
from hub.identifiers import ContractId, MessageId, SubsystemId, new_message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.applications import Starlette

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from adapters.simulators.misbehaviour import Misbehaviour
    from hub.contracts import Contract

TODAY = parse_instant("2026-09-15T04:00:00.000Z")
CONTRACTS = Path(__file__).parents[2] / "contracts"
DEMO = Path(__file__).parents[2] / "adapters" / "demo"
PURPOSE = Purpose(
    item="000788002000",
    case="CL-2026-0001",
    legal_basis="残疾人就业条例第九条",
    official="周敏",
    post="就业服务岗",
)


def call_of(configured: ConfiguredAdapter, *, timeout_seconds: float = 10.0) -> Call:
    """Return a call of the federation's fund subsystem with a fresh message id."""
    message_id: MessageId = new_message_id(TODAY)
    sender = SubsystemId("13510108MB1A00003J/fund")
    return Call(message_id, message_id, configured.service, sender, PURPOSE, timeout_seconds)


@contextmanager
def only_adapter(path: Path, environment: Mapping[str, str] | None = None) -> Iterator[ConfiguredAdapter]:
    """Build the one adapter a description has, and close it at the end."""
    [configured] = load_adapters(path, clock=FixedClock(TODAY), environment=environment or {}).values()
    try:
        yield configured
    finally:
        configured.adapter.close()


def described(folder: Path, demo: str, **changes: object) -> Path:
    """Write a variant of a demonstration's description: `connection__port=1` changes one field."""
    content = yaml.safe_load((DEMO / demo).read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *steps, last = dotted.split("__")
        place = content["services"][0]
        for step in steps:
            place = place[step]
        place[last] = value
    path = folder / demo
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def check_response(contract_id: str, data: JsonObject) -> None:
    """Hold an answer against its contract."""
    _contracts()[ContractId(contract_id)].check_response({"response.json": json.dumps(data).encode()})


@cache
def _contracts() -> Mapping[ContractId, Contract]:
    return load_contracts(CONTRACTS)


@dataclass(frozen=True)
class RunningStandIns:
    """The three stand-ins, running in this process."""

    folder: Path
    ports: Mapping[str, int]
    environment: Mapping[str, str]

    @contextmanager
    def misbehaving(self, stand_in: StandIn, how: Misbehaviour) -> Iterator[None]:
        """Let a stand-in do something wrong for a while."""
        misbehave(self.folder, stand_in, how)
        try:
            yield
        finally:
            misbehave(self.folder, stand_in, None)

    @contextmanager
    def adapter(self, demo: str, **changes: object) -> Iterator[ConfiguredAdapter]:
        """Build a demonstration's adapter, perhaps changed."""
        with only_adapter(described(self.folder, demo, **changes), self.environment) as configured:
            yield configured


@contextmanager
def running_stand_ins(folder: Path) -> Iterator[RunningStandIns]:
    """Run the three stand-ins on free ports until the end of the block."""
    ready = threading.Event()
    control: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    async def run() -> None:
        stop = asyncio.Event()
        control["stop"] = (asyncio.get_running_loop(), stop)
        await serve(folder, Ports(), FixedClock(TODAY), stop=stop, on_ready=lambda _: ready.set())

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(20), "the stand-ins did not start"
        ports = json.loads((folder / "ports.json").read_text(encoding="utf-8"))
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        yield RunningStandIns(folder, ports, environment)
    finally:
        loop, stop = control["stop"]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@contextmanager
def running_app(app: Starlette) -> Iterator[int]:
    """Serve an application on a free port; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def free_port() -> int:
    """Return a port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(is_done: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait for something, or fail."""
    end = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_port_open(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def tool(name: str) -> str | None:
    """Return the path of an external tool; servers stand outside an ordinary user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
