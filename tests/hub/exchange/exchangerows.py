# SPDX-License-Identifier: Apache-2.0
"""Exchanges written into the table directly, many at a time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from hub.clock import format_instant
from hub.contracts import BusinessKey, KeyKind
from hub.exchange import SearchKeys
from hub.exchange.search_store import exchange_keys
from hub.exchange.store import exchanges
from hub.identifiers import new_message_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

START = datetime(2026, 3, 1, tzinfo=UTC)
SUBSYSTEMS = tuple(f"1351010{number}MB1A0000{number}J/unit{number}" for number in range(6))
SERVICES = tuple(f"{recipient}/{name}" for recipient in SUBSYSTEMS[3:] for name in ("record", "proof"))
STATES = ("processed",) * 8 + ("refused", "in_progress")
SEARCH_KEYS = SearchKeys(b"only for tests, thirty-two bytes and more", ())


def make_rows(count: int, *, chance: random.Random, cases: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Make exchanges in no particular order of arrival, each with its case."""
    conversation = new_message_id(START)
    for number in range(count):
        # Some arrive at the very same millisecond.
        at = START + timedelta(milliseconds=chance.randrange(count * 4 // 5 + 1))
        message_id = new_message_id(at)
        if chance.random() < 0.6:
            conversation = message_id
        service = chance.choice(SERVICES)
        yield (
            {
                "message_id": message_id,
                "conversation": conversation,
                "sender": chance.choice(SUBSYSTEMS),
                "recipient": service.rpartition("/")[0],
                "service": service,
                "state": chance.choice(STATES),
                "code": None,
                "received_at": format_instant(at),
                "concluded_at": None,
                "attempts": 1,
                "worker": None,
                "request_sha256": f"{number:064x}",
                "answer_sha256": None,
                "receipt_sha256": None,
            },
            f"case-{chance.randrange(cases)}",
        )


def fill(engine: Engine, count: int, *, seed: int = 1, cases: int = 40) -> list[tuple[dict[str, Any], str]]:
    """Write exchanges and their cases, and return them."""
    rows = list(make_rows(count, chance=random.Random(seed), cases=cases))  # noqa: S311 (test data)
    with engine.begin() as connection:
        connection.execute(insert(exchanges), [row for row, _ in rows])
        connection.execute(insert(exchange_keys), [key_row(row, case) for row, case in rows])
    return rows


def key_row(row: dict[str, Any], case: str, keys: SearchKeys = SEARCH_KEYS) -> dict[str, Any]:
    """Make the row of a message's case."""
    (stored,) = keys.store([BusinessKey("case", KeyKind.IDENTIFIER, case)])
    return {
        "name": stored.name,
        "digest": stored.digest,
        "received_at": row["received_at"],
        "message_id": row["message_id"],
    }
