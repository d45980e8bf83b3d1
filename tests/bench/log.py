# SPDX-License-Identifier: Apache-2.0
"""Durable appends to the message log from many callers, beside bare flushed writes to the same disk."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.identifiers import new_message_id
from hub.messagelog import MessageLog, PublishedLog
from hub.tlog import Entry, EntryEvent, NoteSigner
from tests.postgresql import running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from hub.tlog import LogPosition

_CALLERS = 64
_ENTRIES = 20_000
_FLUSHES = 500


def measure(folder: Path) -> Iterator[str]:
    """Measure appends that are durable before their caller goes on, and proofs from the log they made."""
    flushes = _flushes_per_second(folder / "flushes")
    yield f"flushed writes           {flushes:>8.0f} /s, one caller, no database"
    yield from _measure_on("SQLite", f"sqlite:///{folder / 'log.sqlite'}", flushes)
    with running_postgresql() as server, server.database() as url:
        yield from _measure_on("PostgreSQL", url, flushes)


def _measure_on(name: str, url: str, flushes: float) -> Iterator[str]:
    engine = open_database(url)
    writer = Writer(engine)
    origin = "bench.example/log"
    log = MessageLog(engine, writer, NoteSigner(origin, Ed25519PrivateKey.generate()), origin)
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    with ThreadPoolExecutor(_CALLERS) as callers:
        begun = time.perf_counter()
        list(callers.map(lambda number: _append(log, writer, number).result(), range(_ENTRIES)))
        appends = _ENTRIES / (time.perf_counter() - begun)
    shared = _ENTRIES / len(commits)
    begun = time.perf_counter()
    size = log.checkpoint().checkpoint.size
    sealing = time.perf_counter() - begun
    inclusion = _seconds_each(lambda number: log.inclusion_proof(number, size), size)
    consistency = _seconds_each(lambda number: log.consistency_proof(number, size), size)
    published = PublishedLog(engine, log)
    proof_file = _seconds_each(lambda number: published.proof(number).encode(), size)
    writer.close()
    engine.dispose()
    yield f"{name}"
    share = appends / flushes
    yield f"  durable appends        {appends:>8.0f} /s by {_CALLERS} callers, {share:.2f} of the flushes"
    yield f"  entries a commit       {shared:>8.1f}"
    yield f"  checkpoint over {size}  {sealing * 1000:>8.1f} ms"
    yield f"  inclusion proof        {inclusion * 1000:>8.3f} ms at {size} entries"
    yield f"  proof file             {proof_file * 1000:>8.3f} ms, its checkpoint included"
    yield f"  consistency proof      {consistency * 1000:>8.3f} ms"


def _seconds_each(prove: Callable[[int], object], size: int) -> float:
    numbers = range(0, size, 100)
    begun = time.perf_counter()
    for number in numbers:
        prove(number)
    return (time.perf_counter() - begun) / len(numbers)


def _append(log: MessageLog, writer: Writer, number: int) -> Future[LogPosition]:
    now = SystemClock().now()
    entry = Entry(
        event=EntryEvent.ACCEPTED,
        at=now,
        container_sha256=hashlib.sha256(number.to_bytes(8, "big")).hexdigest(),
        message_id=new_message_id(now),
    )

    def work(connection: Connection) -> LogPosition:
        return log.append(connection, entry)

    return writer.submit(work)


def _flushes_per_second(path: Path) -> float:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    begun = time.perf_counter()
    for _ in range(_FLUSHES):
        os.write(descriptor, b"x" * 512)
        os.fdatasync(descriptor)
    elapsed = time.perf_counter() - begun
    os.close(descriptor)
    return _FLUSHES / elapsed
