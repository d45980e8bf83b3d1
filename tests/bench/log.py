# SPDX-License-Identifier: Apache-2.0
"""Durable appends to the message log from many callers, beside bare flushed writes to the same disk."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.identifiers import new_message_id
from hub.messagelog import MessageLog, PublishedLog, generate_log_key
from hub.tlog import Entry, EntryEvent, NoteSigner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from hub.tlog import LogPosition

_CALLERS = 64
_ENTRIES = 20_000
_FLUSHES = 500


def measure(folder: Path) -> Iterator[str]:
    """Measure appends that are durable before their caller goes on, and proofs from the log they made."""
    engine = open_database(f"sqlite:///{folder / 'log.sqlite'}")
    writer = Writer(engine)
    key = generate_log_key(folder / "log.key.pem", b"only for the bench")
    log = MessageLog(engine, writer, NoteSigner("bench.example/log", key), "bench.example/log")
    flushes = _flushes_per_second(folder / "flushes")
    with ThreadPoolExecutor(_CALLERS) as callers:
        begun = time.perf_counter()
        list(callers.map(lambda number: _append(log, writer, number).result(), range(_ENTRIES)))
        appends = _ENTRIES / (time.perf_counter() - begun)
    begun = time.perf_counter()
    checkpoint = log.checkpoint().checkpoint
    sealing = time.perf_counter() - begun
    begun = time.perf_counter()
    for index in range(0, _ENTRIES, 100):
        log.inclusion_proof(index, checkpoint.size)
    proof = (time.perf_counter() - begun) / (_ENTRIES / 100)
    published = PublishedLog(engine, log)
    begun = time.perf_counter()
    for index in range(0, _ENTRIES, 100):
        published.proof(index).encode()
    proof_file = (time.perf_counter() - begun) / (_ENTRIES / 100)
    writer.close()
    yield f"flushed writes           {flushes:>8.0f} /s, one caller, no database"
    yield f"durable appends          {appends:>8.0f} /s by {_CALLERS} callers"
    yield f"checkpoint over {_ENTRIES}    {sealing * 1000:>8.1f} ms"
    yield f"inclusion proof          {proof * 1000:>8.3f} ms at {checkpoint.size} entries"
    yield f"proof file               {proof_file * 1000:>8.3f} ms, its checkpoint included"


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
