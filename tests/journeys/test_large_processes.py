# SPDX-License-Identifier: Apache-2.0
"""A large message, and a large answer, through sender, hub and gateway as processes, over a bad network.

`make large` runs the same with 2 GiB.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from hub.accounts import Principal, Role
from hub.app import build_hub
from hub.demo.preparation import FUND, PROJECT, DemoFolder, prepare
from hub.envelope import open_envelope
from hub.registry import DeliveryPolicy, load_registry_file
from hub.settings import load_settings
from hub.yamlfile import read_yaml
from tests.adapters.bulk.gateway import BULK, SERVICE, write_data
from tests.journeys.cutting import Relay, relaying
from tests.journeys.world import _publish_all_contracts, echo_right, service_at
from tests.pki import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.demo.preparation import Prepared
    from tests.pki import ServedPki

SIZE = int(os.environ.get("HELIOGRAPH_LARGE_BYTES", str(160 * 1024 * 1024)))
MOST_KIB = 200_000_000 // 1024
CUTS = 10
_START_SECONDS = 180
_END_SECONDS = 120 + SIZE / 4_000_000


@dataclass(frozen=True)
class Site:
    """Hub and gateway in their processes, and the relays before them."""

    folder: Path
    prepared: Prepared
    environment: dict[str, str]
    hub: subprocess.Popen[bytes]
    gateway: subprocess.Popen[bytes]
    to_hub: Relay
    to_gateway: Relay
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.prepared.ports.hub}"


@pytest.fixture
def site(pki: ServedPki, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    is_answer = getattr(request, "param", "requests") == "answers"
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(tmp_path), pki)
    _publish_all_contracts(prepared)
    environment = {**os.environ, **prepared.environment, "PYTHONPATH": str(PROJECT)}
    with ExitStack() as stack:
        luck = random.Random(5)  # noqa: S311 - the same cuts every time
        to_hub = stack.enter_context(relaying(Relay(prepared.ports.hub, luck, CUTS, SIZE // 12, is_answer)))
        to_gateway = stack.enter_context(
            relaying(Relay(prepared.ports.labour_gateway, luck, CUTS, SIZE // 12, is_answer))
        )
        token = _register(prepared, to_gateway.port)
        _only_bulk(prepared, "federation", hub_url=f"http://127.0.0.1:{to_hub.port}")
        serve = [
            "-c",
            "from hub.cli import main; main()",
            "serve",
            "--config",
            str(prepared.folder.hub_config),
        ]
        hub = stack.enter_context(_running(tmp_path / "hub.log", environment, serve))
        labour = ["-m", "tests.adapters.bulk.gateway", str(_only_bulk(prepared, "labour-bureau"))]
        gateway = stack.enter_context(_running(tmp_path / "gateway.log", environment, labour))
        _wait(f"http://127.0.0.1:{prepared.ports.hub}/healthz", hub, tmp_path / "hub.log")
        _wait(f"http://127.0.0.1:{prepared.ports.labour_gateway}/healthz", gateway, tmp_path / "gateway.log")
        yield Site(tmp_path, prepared, environment, hub, gateway, to_hub, to_gateway, token)


def _only_bulk(prepared: Prepared, name: str, **changed: str) -> Path:
    """Leave out what a gateway does in the demonstration."""
    config = prepared.folder.gateway_config(name)
    settings = read_yaml(config)
    assert isinstance(settings, dict)
    kept = {each: value for each, value in settings.items() if each not in {"services", "seal", "drafts"}}
    config.write_text(json.dumps({**kept, **changed}), encoding="utf-8")
    return config


def _register(prepared: Prepared, gateway_port: int) -> str:
    """Enter service and right, and issue an auditor's token, before anybody serves."""
    hub = build_hub(load_settings(prepared.folder.hub_config, dict(prepared.environment)))
    try:
        assert hub.registry_file is not None
        hub.registry.apply(load_registry_file(hub.registry_file), by="tests")
        service = service_at(SERVICE, BULK, f"http://127.0.0.1:{gateway_port}/messages", 300)
        patient = DeliveryPolicy(
            first_pause_seconds=1, longest_pause_seconds=2, tries=40, breaker_failures=50
        )
        right = echo_right("fund-sends-bulk", FUND, SERVICE)
        hub.registry.apply((replace(service, delivery=patient), right), by="tests")
        principal = Principal("审计", frozenset({Role.AUDITOR}), None)
        return hub.accounts.issue(principal, timedelta(hours=1)).secret
    finally:
        hub.writer.close()
        hub.engine.dispose()


@contextmanager
def _running(
    log: Path, environment: dict[str, str], arguments: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as told,
        subprocess.Popen([sys.executable, *arguments], env=environment, stdout=told, stderr=told) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            httpx2.get(url, timeout=2)
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text(encoding="utf-8"))


def _peak_kib(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_large_message_passes_in_little_memory_over_a_network_that_cuts(site: Site) -> None:
    file = site.folder / "data.bin"
    digest = write_data(file, SIZE, 1)
    began = time.monotonic()
    told = _run_sender(site, str(file))
    assert told["status"] == "accepted"
    exchange = _concluded(site, told["message"])
    took = time.monotonic() - began
    assert exchange["state"] == "processed", (site.folder / "hub.log").read_text(encoding="utf-8")[-3000:]
    answer = httpx2.get(f"{site.url}/api/v1/messages/{told['message']}/answer", headers=_shown(site))
    assert json.loads(open_envelope(answer.content).payloads["response.json"]) == {"text": digest}
    assert exchange["request_sha256"] == told["sha256"]
    _require_little_memory(site, told["peak_kib"], took)


@pytest.mark.parametrize("site", ["answers"], indirect=True)
def test_a_large_answer_comes_back_in_little_memory_over_a_network_that_cuts(site: Site) -> None:
    began = time.monotonic()
    told = _run_sender(site, "give", str(SIZE))
    assert told["sha256"] == told["stated"]
    assert _concluded(site, told["message"])["state"] == "processed"
    _require_little_memory(site, told["peak_kib"], time.monotonic() - began)


@pytest.mark.parametrize("site", ["answers"], indirect=True)
def test_an_answer_that_fits_into_memory_but_not_into_another_container_is_fetched_too(site: Site) -> None:
    # What is no large container cannot go on where it was cut.
    site.to_hub.cuts_left = site.to_gateway.cuts_left = 0
    for octets in (15_900_000, 16 * 1024 * 1024):
        told = _run_sender(site, "give", str(octets))
        assert told["sha256"] == told["stated"]


def _run_sender(site: Site, *arguments: str) -> dict[str, Any]:
    config = str(site.prepared.folder.gateway_config("federation"))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.adapters.bulk.sender", config, *arguments],
        env=site.environment,
        capture_output=True,
        timeout=_END_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _require_little_memory(site: Site, sender_kib: int, took: float) -> None:
    assert (site.to_hub.cuts, site.to_gateway.cuts) == (CUTS, CUTS)
    peaks = {"sender": sender_kib, "hub": _peak_kib(site.hub), "gateway": _peak_kib(site.gateway)}
    sys.stderr.write(f"\n{SIZE} bytes, {took:.1f} s, peaks {peaks} KiB\n")
    assert max(peaks.values()) < MOST_KIB, peaks


def _concluded(site: Site, message_id: str) -> dict[str, str]:
    deadline = time.monotonic() + _END_SECONDS
    while True:
        found = httpx2.get(f"{site.url}/api/v1/messages/{message_id}", headers=_shown(site), timeout=30)
        exchange: dict[str, str] = found.json()
        if exchange["state"] in {"processed", "refused"} or time.monotonic() > deadline:
            return exchange
        time.sleep(0.2)


def _shown(site: Site) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.token}"}
