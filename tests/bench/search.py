# SPDX-License-Identifier: Apache-2.0
"""Searches among a million exchanges: how long every kind takes, and how large the indexes are."""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, text

from hub.database import open_database
from hub.exchange import Archive, ExchangeState, Search
from hub.exchange.search_store import exchange_keys
from hub.exchange.store import exchanges
from hub.identifiers import ServiceId, SubsystemId
from tests.hub.exchange.exchangerows import SEARCH_KEYS, SERVICES, SUBSYSTEMS, key_row, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

_COUNT = int(os.environ.get("BENCH_EXCHANGES", "1000000"))
_PORTION = 20_000
_TIMES = 60


def measure(folder: Path) -> Iterator[str]:
    """Fill a database, and search it."""
    file = folder / "search.sqlite"
    engine = open_database(f"sqlite:///{file}")
    begun = time.perf_counter()
    sample = _fill(engine)
    seconds = time.perf_counter() - begun
    yield f"exchanges                {_COUNT:>10} with a key each, filled in {seconds:.0f} s"
    archive = Archive(engine, None, SEARCH_KEYS)  # type: ignore[arg-type]  # no container is read
    for name, make in _searches(sample).items():
        yield _time(archive, name, make)
    yield f"database                 {file.stat().st_size / _COUNT:>10.0f} bytes an exchange with its indexes"
    yield from _depths(engine)
    engine.dispose()


def _fill(engine: Engine) -> list[tuple[dict[str, Any], str]]:
    chance = random.Random(4)  # noqa: S311 (test data)
    sample: list[tuple[dict[str, Any], str]] = []
    portion: list[tuple[dict[str, Any], str]] = []
    for row in make_rows(_COUNT, chance=chance, cases=_COUNT // 4):
        portion.append(row)
        if len(portion) == _PORTION:
            sample += portion[:20]
            _write(engine, portion)
            portion.clear()
    _write(engine, portion)
    return sample + portion[:20]


def _write(engine: Engine, rows: list[tuple[dict[str, Any], str]]) -> None:
    if not rows:
        return
    with engine.begin() as connection:
        connection.execute(insert(exchanges), [row for row, _ in rows])
        connection.execute(insert(exchange_keys), [key_row(row, case) for row, case in rows])


def _searches(sample: list[tuple[dict[str, Any], str]]) -> dict[str, Callable[[], Search]]:
    chance = random.Random(5)  # noqa: S311 (test data)

    def row() -> dict[str, Any]:
        return chance.choice(sample)[0]

    return {
        "message id": lambda: Search(message_id=row()["message_id"]),
        "case": lambda: Search(keys={"case": chance.choice(sample)[1]}),
        "case nobody has": lambda: Search(keys={"case": f"none-{chance.random()}"}),
        "conversation": lambda: Search(conversation=row()["conversation"]),
        "latest": Search,
        "sender": lambda: Search(sender=SubsystemId(chance.choice(SUBSYSTEMS))),
        "recipient": lambda: Search(recipient=SubsystemId(chance.choice(SUBSYSTEMS))),
        "service": lambda: Search(service=ServiceId(chance.choice(SERVICES))),
        "sender, service": lambda: Search(sender=row()["sender"], service=row()["service"]),
        "sender, recipient": lambda: Search(sender=row()["sender"], recipient=row()["recipient"]),
        "refused": lambda: Search(state=ExchangeState.REFUSED),
        "service, refused": lambda: Search(service=row()["service"], state=ExchangeState.REFUSED),
        "one party's": lambda: Search(party=row()["sender"]),
        # Nobody sends to itself by this service: all that may be looked at is looked at.
        "party, nothing found": lambda: Search(
            party=SubsystemId(SUBSYSTEMS[0]), recipient=SubsystemId(SUBSYSTEMS[0])
        ),
        "sender, none found": lambda: Search(
            sender=SubsystemId(SUBSYSTEMS[0]), recipient=SubsystemId(SUBSYSTEMS[1])
        ),
    }


def _time(archive: Archive, name: str, make: Callable[[], Search]) -> str:
    taken = []
    for _ in range(_TIMES):
        search = make()
        begun = time.perf_counter()
        archive.search(search)
        taken.append((time.perf_counter() - begun) * 1000)
    return f"{name:<24} {statistics.median(taken):>10.2f} ms median, {max(taken):.2f} ms worst"


def _depths(engine: Engine) -> Iterator[str]:
    """Say how many pages a look-up reads, where this SQLite can tell."""
    with engine.connect() as connection:
        try:
            rows = connection.execute(
                text(
                    "SELECT name, max(length(path) - length(replace(path, '/', ''))), count(*), sum(pgsize)"
                    " FROM dbstat GROUP BY name ORDER BY name"
                )
            ).all()
        except Exception:  # noqa: BLE001 (not every SQLite is built with dbstat)
            return
    for name, depth, pages, size in rows:
        if "exchange" in name:
            yield f"{name:<40} depth {depth}, {pages} pages, {size / _COUNT:.0f} bytes an exchange"
