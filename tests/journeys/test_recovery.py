# SPDX-License-Identifier: Apache-2.0
"""What survives: a responder that was away, and a hub that died in the middle of a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import pytest

from adapters.simulators.pki import make_development_pki, serve
from hub.app import build_hub
from hub.envelope import Kind
from hub.registry import load_registry_file
from hub.settings import load_settings
from hub.tlog import EntryEvent
from tests.journeys.departments import make_departments
from tests.journeys.refusals import refused, require_fault
from tests.journeys.serving import serving
from tests.journeys.world import World, register_echo, running_world
from tests.pki import PASSPHRASE, ServedPki, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.envelope import Envelope


@pytest.fixture
def silent_pki(tmp_path: Path) -> ServedPki:
    """A PKI whose responders do not run yet."""
    made = make_development_pki(tmp_path / "pki", free_port(), PASSPHRASE)
    return ServedPki(made.folder, made.port, PASSPHRASE)


def test_while_no_responder_answers_nothing_passes_and_the_same_message_passes_afterwards(
    tmp_path: Path, silent_pki: ServedPki
) -> None:
    with running_world(tmp_path / "world", silent_pki) as world:
        request = world.request()
        for attempt in (1, 2):
            response = world.http.post(f"{world.url}/api/v1/messages", content=request.raw)
            assert response.status_code == 503
            entries = world.entries(request)
            assert [(entry.event, entry.code) for entry in entries] == [
                (EntryEvent.REFUSED, "trust.revocation_unknown")
            ] * attempt
        assert world.departments.received == []
        with serve(silent_pki, PASSPHRASE):
            assert world.send(request.raw).status == 200
        assert len(world.departments.adapter.calls) == 1


class KilledHub:
    """A hub in a process of its own, which can be killed without a word."""

    def __init__(self, world: World) -> None:
        self._config = str(world.prepared.folder.hub_config)
        self._environment = {**os.environ, **world.prepared.environment}
        self._log = world.prepared.folder.logs / "hub.log"
        self.url = world.url

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", "serve", "--config", self._config],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait(process)
            yield process
        finally:
            process.kill()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, self._log.read_text(encoding="utf-8")
            try:
                httpx2.get(f"{self.url}/healthz", timeout=1)
            except httpx2.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the hub did not start")


@pytest.fixture
def stopped_world(tmp_path: Path, world: World) -> Iterator[World]:
    """A hub that does not run yet, with departments that do."""
    from hub.demo.preparation import DemoFolder, prepare

    folder = tmp_path / "stopped"
    folder.mkdir()
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), world.pki)
    departments = make_departments(world.pki)
    hub = build_hub(load_settings(prepared.folder.hub_config, dict(prepared.environment)))
    assert hub.registry_file is not None
    hub.registry.apply(load_registry_file(hub.registry_file), by="tests")
    with serving(departments.app(), free_port()) as address:
        register_echo(hub, address, timeout_seconds=30)
        yield replace(
            world,
            prepared=prepared,
            hub=hub,
            departments=departments,
            url=f"http://127.0.0.1:{prepared.ports.hub}",
        )
    hub.writer.close()
    hub.engine.dispose()


def test_a_message_in_progress_when_the_hub_is_killed_can_be_sent_again_after_its_restart(
    stopped_world: World,
) -> None:
    world, hub = stopped_world, KilledHub(stopped_world)
    arrived, release = threading.Event(), threading.Event()

    def held(request: Envelope) -> bytes:
        arrived.set()
        release.wait(30)
        return world.answer(request).raw

    request = world.request()
    with hub.running() as process, world.departments.cheating(held):
        sender = threading.Thread(target=lambda: _send_and_lose(world, request))
        sender.start()
        assert arrived.wait(30)
        require_in_progress(world, request)
        run_a_command_beside(world)
        require_in_progress(world, request)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sender.join(30)
        release.set()
    assert [entry.event for entry in world.entries(request)] == [
        EntryEvent.ACCEPTED,
        EntryEvent.DUPLICATE,
        EntryEvent.DUPLICATE,
    ]

    with hub.running():
        reply = world.send(request.raw)
        assert (reply.status, reply.envelope.header.kind) == (200, Kind.RESPONSE)
        record = world.hub.archive.exchange(request.header.id)
        assert (record.state.value, record.attempts) == ("processed", 2)
        refused(world, request, "exchange.duplicate_message", event=EntryEvent.DUPLICATE)
        assert world.hub.log.check() == world.hub.log.size()


def run_a_command_beside(world: World) -> None:
    """Open the same hub as `heliograph accounts issue` does; it must not let a message through twice."""
    beside = build_hub(load_settings(world.prepared.folder.hub_config, dict(world.prepared.environment)))
    beside.writer.close()
    beside.engine.dispose()


def require_in_progress(world: World, request: Envelope) -> None:
    """A second copy that comes while the first is under way is told to wait, and not delivered."""
    reply = world.send(request.raw)
    require_fault(reply, "exchange.in_progress")
    assert len(world.departments.received) == 1


def _send_and_lose(world: World, request: Envelope) -> None:
    with pytest.raises(httpx2.HTTPError):
        httpx2.post(f"{world.url}/api/v1/messages", content=request.raw, timeout=30)
