# SPDX-License-Identifier: Apache-2.0
"""Exchanges that disagree with the log are named, and receipts tell which entry was changed with its hash."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from hub.messagelog import Tampering
from tests.hub.messagelog.intruder import Intruder
from tests.journeys.world import on_sqlite_file, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.world import World
    from tests.pki import ServedPki


@pytest.fixture
def used(pki: ServedPki, tmp_path: Path) -> Iterator[World]:
    """A hub of this test's own, with four processed exchanges and a refused one."""
    with running_world(tmp_path, pki) as world:
        for _ in range(4):
            assert world.send(world.request().raw).status == 200
        assert world.send(world.request(text="x").raw[:-1]).status == 400
        world.hub.log.checkpoint()
        yield world


def rows(world: World, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(str(world.hub.engine.url.database))) as opened:
        return opened.execute(query).fetchall()


def findings(world: World) -> list[tuple[Tampering, int | None, str | None]]:
    report = world.hub.audit.run()
    assert "exchanges" in report.compared
    return [(each.kind, each.first, each.message_id) for each in report.findings]


def first_processed(world: World) -> tuple[str, int]:
    """The first exchange's message, and its accepted entry's number."""
    ((message_id,),) = rows(world, "SELECT message_id FROM exchanges ORDER BY received_at LIMIT 1")
    ((number,),) = rows(world, f"SELECT leaf_index FROM log_entries WHERE message_id = '{message_id}'")  # noqa: S608 (an id)
    return message_id, number


def test_a_hub_nobody_touched_holds(used: World) -> None:
    assert findings(used) == []


@on_sqlite_file
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("answer_sha256 = request_sha256", Tampering.EXCHANGE_UNLOGGED),
        ("state = 'refused', code = 'contract.request_invalid'", Tampering.EXCHANGE_UNLOGGED),
        ("request_sha256 = answer_sha256", Tampering.EXCHANGE_CHANGED),
        ("sender = recipient", Tampering.EXCHANGE_CHANGED),
    ],
)
def test_an_exchange_that_was_changed_is_named(used: World, change: str, kind: Tampering) -> None:
    message_id, number = first_processed(used)
    Intruder(str(used.hub.engine.url.database)).run(
        f"UPDATE exchanges SET {change} WHERE message_id = :id",  # noqa: S608 (of this test)
        id=message_id,
    )
    assert findings(used) == [(kind, number, message_id)]


@on_sqlite_file
def test_an_exchange_that_was_dropped_is_named(used: World) -> None:
    message_id, number = first_processed(used)
    Intruder(str(used.hub.engine.url.database)).run(
        "DELETE FROM exchanges WHERE message_id = :id", id=message_id
    )
    assert findings(used) == [(Tampering.EXCHANGE_MISSING, number, message_id)]


@on_sqlite_file
def test_an_exchange_said_to_be_processed_without_an_answer_in_the_log_is_named(used: World) -> None:
    request = used.request(sender=used.request().header.recipient)
    assert used.send(request.raw).status == 403
    Intruder(str(used.hub.engine.url.database)).run(
        "UPDATE exchanges SET state = 'processed', code = NULL WHERE message_id = :id", id=request.header.id
    )
    kinds = {(kind, message_id) for kind, _, message_id in findings(used)}
    assert kinds == {(Tampering.EXCHANGE_UNLOGGED, request.header.id)}


@on_sqlite_file
@pytest.mark.parametrize("index", [1, 3, 5, 7])
def test_an_answers_entry_changed_with_its_hash_is_named_by_its_receipt(used: World, index: int) -> None:
    intruder = Intruder(str(used.hub.engine.url.database))
    number, entry, _, _ = intruder.rows()[index]
    assert b'"answered"' in entry
    intruder.replace(number, b'"answered"', b'"refused"')
    report = used.hub.audit.run()
    changed = [each for each in report.findings if each.kind is Tampering.ENTRY_CHANGED]
    assert [(each.first, each.last) for each in changed] == [(index, index)]
