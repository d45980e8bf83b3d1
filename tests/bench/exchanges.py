# SPDX-License-Identifier: Apache-2.0
"""Signed synchronous exchanges a second through running hubs and a gateway, every one logged and durable.

Beside them, in the same run: what openssl could sign and verify of them with both cores, and what the same
server stack passes on unsigned and unchecked.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from hub.demo.processes import Program, all_running, wait_for_http
from hub.envelope import CONTAINER_MEDIA_TYPE, Kind, open_envelope, read_fault
from tests.bench.containers import PAYLOAD_BYTES, signed_request
from tests.bench.deployment import running_deployment
from tests.bench.timing import openssl_rates
from tests.pki import free_port
from tests.postgresql import running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_CALLERS = 16
_WARM_UP = 200
_EXCHANGES = 3000
_HALF_LOAD_SECONDS = 10
_SIGNATURES_EACH = 3  # The accepted receipt, the answer, the final receipt; requests are signed beforehand.
_VERIFICATIONS_EACH = 4  # The hub checks request and answer, the gateway checks request and receipt.


@dataclass(frozen=True)
class Load:
    """What callers saw.

    Attributes:
        per_second: answers.
        seconds: how long each took.
    """

    per_second: float
    seconds: list[float]

    def latency(self) -> str:
        """Say how long an answer took."""
        quantiles = statistics.quantiles(self.seconds, n=100)
        return f"{quantiles[49] * 1000:.1f} ms p50, {quantiles[98] * 1000:.1f} ms p99"


def measure(folder: Path) -> Iterator[str]:
    """Run hub, gateway and the development PKI as processes and load them from this one."""
    bare = openssl_rates()
    # What openssl alone could do for an exchange, with both cores.
    signatures = 2 / (_SIGNATURES_EACH / bare.sign + _VERIFICATIONS_EACH / bare.verify)
    plain = _measure_plain(folder)
    yield (
        f"signature ceiling        {signatures:>8.0f} /s: {_SIGNATURES_EACH} signatures, "
        f"{_VERIFICATIONS_EACH} checks by openssl on both cores"
    )
    yield f"plain proxy              {plain.per_second:>8.0f} /s, {plain.latency()}"
    ceilings = (signatures, plain.per_second)
    yield from _measure_on(
        "SQLite", folder / "sqlite", f"sqlite:///{folder / 'exchanges.sqlite'}", 1, ceilings
    )
    with running_postgresql() as server:
        for hubs in (1, 2):
            with server.database() as url:
                yield from _measure_on(
                    f"PostgreSQL, {hubs} hub(s)", folder / f"pg-{hubs}", url, hubs, ceilings
                )


def _measure_on(
    name: str, folder: Path, database_url: str, hubs: int, ceilings: tuple[float, float]
) -> Iterator[str]:
    with running_deployment(folder, database_url, hubs=hubs) as running:
        requests = [signed_request(running.key, PAYLOAD_BYTES).raw for _ in range(_WARM_UP + _EXCHANGES)]
        asyncio.run(load(running.urls, requests[:_WARM_UP], require_response))
        full = asyncio.run(load(running.urls, requests[_WARM_UP:], require_response))
        count = int(full.per_second / 2 * _HALF_LOAD_SECONDS)
        requests = [signed_request(running.key, PAYLOAD_BYTES).raw for _ in range(count)]
        half = asyncio.run(load(running.urls, requests, require_response, per_second=full.per_second / 2))
    signatures, plain = ceilings
    yield f"{name}"
    yield (
        f"  signed exchanges       {full.per_second:>8.0f} /s by {_CALLERS} callers, "
        f"{full.per_second / signatures:.3f} of the signatures, "
        f"{full.per_second / plain:.2f} of the plain proxy"
    )
    yield f"  latency                {full.latency()} at full load"
    yield f"                         {half.latency()} at half load"


def _measure_plain(folder: Path) -> Load:
    ports = {"echo": free_port(), "proxy": free_port()}
    gateway = f"http://127.0.0.1:{ports['echo']}/messages"
    programs = {
        "echo": Program("tests.bench.plain_proxy:main", ["echo", str(ports["echo"])]),
        "proxy": Program("tests.bench.plain_proxy:main", ["proxy", str(ports["proxy"]), gateway]),
    }
    with all_running(programs, logs=folder, environment={}) as processes:
        for name, port in ports.items():
            wait_for_http(processes[name], f"http://127.0.0.1:{port}/", log=folder / f"{name}.log")
        body = b"x" * (PAYLOAD_BYTES + 4000)
        proxy = f"http://127.0.0.1:{ports['proxy']}/api/v1/messages"
        return asyncio.run(load((proxy,), [body] * _EXCHANGES, lambda _raw: None))


def require_response(raw: bytes) -> None:
    """Hold what came back to being an answer.

    Raises:
        RuntimeError: it is a fault.
    """
    answer = open_envelope(raw)
    if answer.header.kind is not Kind.RESPONSE:
        raise RuntimeError(f"an exchange failed: {read_fault(answer).code}")


async def load(
    urls: Sequence[str],
    requests: Sequence[bytes],
    check: Callable[[bytes], None],
    *,
    per_second: float | None = None,
) -> Load:
    """Send requests and wait for every answer.

    Args:
        urls: where to; callers are spread over them.
        requests: each is sent once.
        check: is given every answer.
        per_second: how many are begun a second, whether the earlier ones are answered or not; without it
            every caller sends the next one as soon as it has its answer.
    """
    seconds: list[float] = []
    limits = httpx2.Limits(max_connections=None if per_second else _CALLERS)
    waiting = iter(enumerate(requests))
    begun = time.perf_counter()

    async def send(client: httpx2.AsyncClient, number: int, raw: bytes) -> None:
        since = time.perf_counter()
        url = urls[number % len(urls)]
        response = await client.post(url, content=raw, headers={"Content-Type": CONTAINER_MEDIA_TYPE})
        seconds.append(time.perf_counter() - since)
        check(response.content)

    async def call(client: httpx2.AsyncClient) -> None:
        for number, raw in waiting:
            await send(client, number, raw)

    async with httpx2.AsyncClient(limits=limits, timeout=60.0) as client, asyncio.TaskGroup() as group:
        if per_second is None:
            for _ in range(_CALLERS):
                group.create_task(call(client))
        else:
            for number, raw in waiting:
                await asyncio.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
                group.create_task(send(client, number, raw))
    return Load(len(requests) / (time.perf_counter() - begun), seconds)
