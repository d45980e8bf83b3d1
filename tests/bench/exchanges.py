# SPDX-License-Identifier: Apache-2.0
"""Signed synchronous exchanges a second through a running hub and gateway, every one logged and durable."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import yaml

from adapters.simulators.pki import PASSPHRASE_VARIABLE, make_development_pki
from hub.custody import Secret, generate_wrapping_key, load_signing_key
from hub.demo.preparation import HUB_MEMBER, LABOUR_BUREAU, PROJECT
from hub.demo.processes import Program, all_running, wait_for_http
from hub.envelope import CONTAINER_MEDIA_TYPE, Kind, open_envelope, read_fault
from hub.messagelog import generate_log_key
from tests.bench.containers import PAYLOAD_BYTES, signed_request
from tests.bench.echo_gateway import SERVICE
from tests.bench.timing import openssl_rates
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.simulators.pki import DevelopmentPki

_PASSPHRASE = "only for the bench"  # noqa: S105 - of keys that live as long as the measurement
_CALLERS = 16
_WARM_UP = 200
_EXCHANGES = 3000
_SIGNATURES_EACH = 3  # The accepted receipt, the answer, the final receipt; requests are signed beforehand.
_VERIFICATIONS_EACH = 4  # The hub checks request and answer, the gateway checks request and receipt.


@dataclass(frozen=True)
class _Load:
    per_second: float
    seconds: list[float]


def measure(folder: Path) -> Iterator[str]:
    """Run hub, gateway and the development PKI as processes and load them from this one."""
    ports = {name: free_port() for name in ("pki", "hub", "gateway")}
    pki = make_development_pki(folder / "pki-exchanges", ports["pki"], _PASSPHRASE.encode())
    _write_configuration(folder, pki, ports)
    key = load_signing_key(pki.key("federation-sign"), pki.chain("federation-sign"), _PASSPHRASE.encode())
    environment = {
        PASSPHRASE_VARIABLE: _PASSPHRASE,
        "HELIOGRAPH_SIGNING_PASSPHRASE": _PASSPHRASE,
        "HELIOGRAPH_LOG_PASSPHRASE": _PASSPHRASE,
        "HELIOGRAPH_VAULT_PASSPHRASE": _PASSPHRASE,
        "GATEWAY_PASSPHRASE": _PASSPHRASE,
    }
    commands = {
        "pki": Program("adapters.simulators.pki:main", [str(pki.folder)]),
        "hub": Program("hub.cli:main", ["serve", "--config", str(folder / "hub.yaml")]),
        "gateway": Program("tests.bench.echo_gateway:main", [str(folder / "gateway.yaml")]),
    }
    bare = openssl_rates()
    with all_running(commands, logs=folder, environment=environment) as processes:
        wait_for_http(processes["pki"], pki.url, log=folder / "pki.log")
        for name in ("hub", "gateway"):
            url = f"http://127.0.0.1:{ports[name]}/healthz"
            wait_for_http(processes[name], url, log=folder / f"{name}.log")
        url = f"http://127.0.0.1:{ports['hub']}/api/v1/messages"
        requests = [signed_request(key, PAYLOAD_BYTES).raw for _ in range(_WARM_UP + _EXCHANGES)]
        asyncio.run(_load(url, requests[:_WARM_UP]))
        load = asyncio.run(_load(url, requests[_WARM_UP:]))
    # What openssl alone could do for an exchange, with both cores.
    ceiling = 2 / (_SIGNATURES_EACH / bare.sign + _VERIFICATIONS_EACH / bare.verify)
    quantiles = statistics.quantiles(load.seconds, n=100)
    yield f"signed exchanges         {load.per_second:>8.0f} /s by {_CALLERS} callers; all on two cores"
    yield f"latency                  {quantiles[49] * 1000:>8.1f} ms p50, {quantiles[98] * 1000:.1f} ms p99"
    yield (
        f"signature ceiling        {ceiling:>8.0f} /s: {_SIGNATURES_EACH} signatures, {_VERIFICATIONS_EACH} "
        f"checks by openssl on both cores; reached {load.per_second / ceiling:.2f}"
    )


async def _load(url: str, requests: list[bytes]) -> _Load:
    waiting = iter(requests)
    seconds: list[float] = []
    limits = httpx2.Limits(max_connections=_CALLERS)

    async def call(client: httpx2.AsyncClient) -> None:
        for raw in waiting:
            begun = time.perf_counter()
            response = await client.post(url, content=raw, headers={"Content-Type": CONTAINER_MEDIA_TYPE})
            seconds.append(time.perf_counter() - begun)
            answer = open_envelope(response.content)
            if answer.header.kind is not Kind.RESPONSE:
                raise RuntimeError(f"an exchange failed: {read_fault(answer).code}")

    begun = time.perf_counter()
    async with httpx2.AsyncClient(limits=limits, timeout=60.0) as client, asyncio.TaskGroup() as group:
        for _ in range(_CALLERS):
            group.create_task(call(client))
    return _Load(len(requests) / (time.perf_counter() - begun), seconds)


def _write_configuration(folder: Path, pki: DevelopmentPki, ports: dict[str, int]) -> None:
    (folder / "data").mkdir()
    generate_log_key(folder / "data" / "log.key.pem", _PASSPHRASE.encode())
    generate_wrapping_key(folder / "data" / "vault.key.pem", Secret("the bench", _PASSPHRASE))
    shared = {
        "trust_list": str(pki.trust_list),
        "trust_list_signer": str(pki.trust_list_signer),
        "contracts": str(PROJECT / "contracts"),
    }
    _write(
        folder / "hub.yaml",
        {
            **shared,
            "member": HUB_MEMBER,
            "port": ports["hub"],
            "data_folder": "data",
            "signing_key": str(pki.key("hub-sign")),
            "signing_chain": str(pki.chain("hub-sign")),
            "log_key": "data/log.key.pem",
            "log_origin": "bench.example/log",
            "vault_key": "data/vault.key.pem",
            "registry": "registry.yaml",
        },
    )
    _write(
        folder / "gateway.yaml",
        {
            **shared,
            "member": LABOUR_BUREAU,
            "subsystems": [f"{LABOUR_BUREAU}/employment"],
            "port": ports["gateway"],
            "hub_url": f"http://127.0.0.1:{ports['hub']}",
            "hub_member": HUB_MEMBER,
            "signing": {
                "key": str(pki.key("labour-sign")),
                "chain": str(pki.chain("labour-sign")),
                "passphrase": "env:GATEWAY_PASSPHRASE",
            },
            "data_folder": "data",
        },
    )
    _write(folder / "registry.yaml", _registry(ports["gateway"]))


def _registry(gateway_port: int) -> dict[str, Any]:
    consumer = "13510108MB1A00003J/fund"
    name = {"zh": "测试", "en": "Bench"}
    return {
        "members": [
            {"id": member, "status": "active", "names": name}
            for member in (HUB_MEMBER, LABOUR_BUREAU, consumer[:18])
        ],
        "subsystems": [
            {"id": subsystem, "titles": name} for subsystem in (f"{LABOUR_BUREAU}/employment", consumer)
        ],
        "services": [
            {
                "id": SERVICE,
                "contract": "echo/v1",
                "gateway_url": f"http://127.0.0.1:{gateway_port}/messages",
                "timeout_seconds": 30,
                "titles": name,
            }
        ],
        "access_rights": [
            {
                "id": "bench",
                "consumer": consumer,
                "service": SERVICE,
                "purposes": ["000788002000"],
                "legal_basis": "bench",
                "valid_from": "2026-01-01",
            }
        ],
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
