# SPDX-License-Identifier: Apache-2.0
"""A department's old system that can be killed at any moment and still does nothing twice.

It keeps the idempotency keys it has seen beside what it did, in one transaction, as a system that takes part
has to: only then can the bus promise that a message takes effect once.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

KEY_HEADER = "Idempotency-Key"

_TABLES = """
CREATE TABLE IF NOT EXISTS effects (key TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS effects_by_key ON effects (key);
"""


class Ledger:
    """What was done, and how often it was asked for.

    Args:
        file: an SQLite database, made at the first call.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def prepare(self) -> None:
        """Make the tables."""
        with closing(self._open()) as connection:
            connection.executescript(_TABLES)

    def do(self, key: str, text: str) -> str:
        """Do what is asked, unless it was done before; returns what was said about it the first time."""
        with closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO calls VALUES (?)", (key,))
            known = connection.execute("SELECT text FROM effects WHERE key = ?", (key,)).fetchone()
            if known is None:
                connection.execute("INSERT INTO effects VALUES (?, ?)", (key, text))
            connection.execute("COMMIT")
        return text if known is None else str(known[0])

    def effects(self) -> Counter[str]:
        """Return how often each message took effect."""
        return self._count("effects")

    def calls(self) -> Counter[str]:
        """Return how often each message was asked for."""
        return self._count("calls")

    def _count(self, table: str) -> Counter[str]:
        with closing(self._open()) as connection:
            return Counter(dict(connection.execute(f"SELECT key, count(*) FROM {table} GROUP BY key")))  # noqa: S608 (one of two names)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=20, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection


def build_legacy_app(ledger: Ledger) -> Starlette:
    """Return the system's HTTP side: `POST /echo` with a JSON body `{"text": ...}`."""

    async def echo(request: Request) -> Response:
        # A structured field's string: in quotes (RFC 9651 section 3.3.3).
        key = request.headers.get(KEY_HEADER, "").removeprefix('"').removesuffix('"')
        if not key:
            return JSONResponse({"error": f"{KEY_HEADER} is missing"}, 400)
        asked = await request.json()
        return JSONResponse({"text": await run_in_threadpool(ledger.do, key, asked["text"])})

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/healthz", healthz)])


def main() -> None:
    """Run the system: its database and its port stand on the command line."""
    ledger = Ledger(Path(sys.argv[1]))
    ledger.prepare()
    uvicorn.run(
        build_legacy_app(ledger),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        access_log=False,
    )
