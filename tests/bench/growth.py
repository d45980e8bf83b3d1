# SPDX-License-Identifier: Apache-2.0
"""What an exchange costs when ten thousand messages are logged, and when a million are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.exchange.search_store import exchange_keys
from hub.exchange.store import exchanges
from hub.identifiers import new_message_id
from hub.messagelog import MessageLog
from hub.tlog import Entry, EntryEvent, NoteSigner
from tests.bench.containers import PAYLOAD_BYTES, signed_request
from tests.bench.deployment import running_deployment
from tests.bench.exchanges import load, require_response
from tests.hub.exchange.exchangerows import key_row, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

_SIZES = (10_000, int(os.environ.get("BENCH_MESSAGES", "1000000")))
_PORTION = 5_000
_WARM_UP = 200
_EXCHANGES = 2_000


def measure(folder: Path) -> Iterator[str]:
    """Fill a log, with an exchange and a business key for each entry, and exchange messages on top of it."""
    for size in _SIZES:
        file = folder / f"growth-{size}.sqlite"
        begun = time.perf_counter()
        _fill(f"sqlite:///{file}", size)
        filled = time.perf_counter() - begun
        with running_deployment(folder / f"growth-{size}", f"sqlite:///{file}") as running:
            requests = [signed_request(running.key, PAYLOAD_BYTES).raw for _ in range(_WARM_UP + _EXCHANGES)]
            asyncio.run(load(running.urls, requests[:_WARM_UP], require_response))
            found = asyncio.run(load(running.urls, requests[_WARM_UP:], require_response))
        yield (
            f"{size:>9} logged before   {found.per_second:>8.0f} /s, {found.latency()}"
            f" (filled in {filled:.0f} s)"
        )
        file.unlink()


def _fill(url: str, count: int) -> None:
    engine = open_database(url)
    writer = Writer(engine)
    log = MessageLog(
        engine, writer, NoteSigner("bench.example/fill", Ed25519PrivateKey.generate()), "bench.example/fill"
    )
    rows = make_rows(count, chance=random.Random(4), cases=count // 4)  # noqa: S311 (test data)
    portion = []
    for row in rows:
        portion.append(row)
        if len(portion) == _PORTION:
            _write(engine, writer, log, portion)
            portion.clear()
    writer.close()
    engine.dispose()


def _write(
    engine: Engine, writer: Writer, log: MessageLog, rows: Sequence[tuple[dict[str, object], str]]
) -> None:
    now = SystemClock().now()

    def append(connection: Connection) -> None:
        for row, _ in rows:
            digest = hashlib.sha256(str(row["message_id"]).encode()).hexdigest()
            log.append(
                connection,
                Entry(
                    event=EntryEvent.ACCEPTED, at=now, container_sha256=digest, message_id=new_message_id(now)
                ),
            )

    writer.run(append)
    with engine.begin() as connection:
        connection.execute(insert(exchanges), [row for row, _ in rows])
        connection.execute(insert(exchange_keys), [key_row(row, case) for row, case in rows])
