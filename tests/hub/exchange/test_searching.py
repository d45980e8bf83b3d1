# SPDX-License-Identifier: Apache-2.0
"""A search finds exactly what is looked for, page by page, walks an index and never the table."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from hub.clock import format_instant
from hub.database import open_database
from hub.errors import ExchangeError
from hub.exchange import Archive, ExchangeState, Search, SearchKeys, search_store
from hub.exchange.search_store import last_examined, page_of
from hub.exchange.searching import Position, Window, plan, window_of
from hub.identifiers import MessageId, ServiceId, SubsystemId, new_message_id
from tests.hub.exchange.exchangerows import SEARCH_KEYS, SERVICES, START, STATES, SUBSYSTEMS, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

COUNT = 400
Rows = list[tuple[dict[str, Any], str]]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return fill(engine, COUNT)


@pytest.fixture
def archive(engine: Engine, rows: Rows) -> Archive:
    assert rows
    return Archive(engine, None, SEARCH_KEYS)  # type: ignore[arg-type]  # no container is read


def naive(rows: Rows, search: Search) -> list[str]:
    """Look at every row, and sort."""
    found = [row for row, case in rows if is_wanted(row, case, search)]
    found.sort(key=lambda row: (row["received_at"], row["message_id"]), reverse=True)
    return [row["message_id"] for row in found]


def is_wanted(row: dict[str, Any], case: str, search: Search) -> bool:
    columns = ("message_id", "conversation", "sender", "recipient", "service", "state")
    return (
        all(getattr(search, name) in {None, row[name]} for name in columns)
        and (search.since is None or row["received_at"] >= format_instant(search.since))
        and (search.until is None or row["received_at"] < format_instant(search.until))
        and (search.party is None or search.party in {row["sender"], row["recipient"]})
        and search.keys.get("case", case).upper() == case.upper()
    )


def every_page(archive: Archive, search: Search) -> list[str]:
    found: list[str] = []
    while True:
        page = archive.search(search)
        assert len(page.records) <= search.most
        found += [record.message_id for record in page.records]
        if page.next is None:
            return found
        search = replace(search, cursor=page.next)


def random_search(chance: random.Random, rows: Rows) -> Search:
    row, case = chance.choice(rows)

    def perhaps(value: Any, likely: float = 0.3) -> Any:
        return value if chance.random() < likely else None

    since = perhaps(START + timedelta(milliseconds=chance.randrange(COUNT)))
    until = perhaps(START + timedelta(milliseconds=COUNT // 4 + chance.randrange(COUNT)))
    if since is not None and until is not None and since >= until:
        until = None
    return Search(
        message_id=perhaps(row["message_id"], 0.05),
        conversation=perhaps(row["conversation"], 0.1),
        sender=perhaps(chance.choice([row["sender"], chance.choice(SUBSYSTEMS)])),
        recipient=perhaps(chance.choice([row["recipient"], chance.choice(SUBSYSTEMS)])),
        service=perhaps(row["service"]),
        state=perhaps(ExchangeState(chance.choice(STATES))),
        since=since,
        until=until,
        keys={"case": case} if chance.random() < 0.3 else {},
        party=perhaps(chance.choice(SUBSYSTEMS)),
        most=chance.choice([1, 3, 50, 500]),
    )


@pytest.mark.parametrize("examined", [7, 20_000])
def test_every_search_finds_what_a_look_at_every_row_finds(
    archive: Archive, rows: Rows, monkeypatch: pytest.MonkeyPatch, examined: int
) -> None:
    monkeypatch.setattr(search_store, "MOST_EXAMINED", examined)
    chance = random.Random(examined)  # noqa: S311 (test data)
    sizes = []
    for _ in range(150):
        search = random_search(chance, rows)
        expected = naive(rows, search)
        assert every_page(archive, search) == expected, search
        sizes.append(len(expected))
    # The searches must not all be empty, or nothing was shown.
    assert sum(size > 1 for size in sizes) > 30


def test_a_page_may_be_empty_and_still_lead_on(
    archive: Archive, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_store, "MOST_EXAMINED", 5)
    first = min(rows, key=lambda row: (row[0]["received_at"], row[0]["message_id"]))[0]
    search = Search(
        sender=first["sender"],
        recipient=first["recipient"],
        until=START + timedelta(days=1),
        conversation=None,
        state=ExchangeState(first["state"]),
        service=None,
        most=1,
    )
    page = archive.search(replace(search, party=first["recipient"]))
    assert page.next is not None
    assert first["message_id"] in every_page(archive, search)


def test_what_arrives_between_two_pages_does_not_shift_them(
    archive: Archive, engine: Engine, rows: Rows
) -> None:
    page = archive.search(Search(most=100))
    later = fill(engine, 50, seed=2)
    assert later
    before = {row["message_id"] for row, _ in rows}
    rest = every_page(archive, Search(most=100, cursor=page.next))
    both = [record.message_id for record in page.records] + [each for each in rest if each in before]
    assert both == naive(rows, Search())


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "AAAA",
        "é",
        Position("2026", "x").to_cursor(),
        Position("2026-03-01T00:00:00.000Z", "").to_cursor(),
    ],
)
def test_what_is_no_cursor_is_refused(archive: Archive, cursor: str) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.search_invalid"):
        archive.search(Search(cursor=cursor))


@pytest.mark.parametrize(
    "wrong",
    [
        {"most": 0},
        {"most": 501},
        {"since": START, "until": START},
        {"keys": {f"key{number}": "1" for number in range(6)}},
    ],
)
def test_what_cannot_be_looked_for_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.search_invalid"):
        Search(**wrong)


@pytest.mark.parametrize("keys", [{"nobody": "1"}, {"case": "  "}, {"case": "1" * 201}])
def test_a_key_that_is_none_is_refused_without_its_value(archive: Archive, keys: dict[str, str]) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.search_invalid") as caught:
        archive.search(Search(keys=keys))
    assert all(value not in str(caught.value) for value in keys.values() if value.strip("1 "))


def test_without_a_search_key_no_key_is_looked_for(engine: Engine) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.search_unavailable"):
        Archive(engine, None).search(Search(keys={"case": "1"}))  # type: ignore[arg-type]  # likewise


def test_another_search_key_finds_nothing(engine: Engine, rows: Rows) -> None:
    stranger = SearchKeys(b"another key of thirty-two bytes or more", ())
    case = rows[0][1]
    assert Archive(engine, None, stranger).search(Search(keys={"case": case})).records == ()  # type: ignore[arg-type]  # likewise


def test_a_value_is_never_shown_with_the_search() -> None:
    assert "510108" not in repr(Search(keys={"holder": "510108198503120235"}))


SEARCHES = {
    "latest": Search(),
    "period": Search(since=START, until=START + timedelta(days=1)),
    "conversation": Search(conversation=new_message_id(START)),
    "sender": Search(sender=SubsystemId(SUBSYSTEMS[0])),
    "recipient": Search(recipient=SubsystemId(SUBSYSTEMS[3])),
    "service": Search(service=ServiceId(SERVICES[0])),
    "sender and service": Search(sender=SubsystemId(SUBSYSTEMS[0]), service=ServiceId(SERVICES[0])),
    "sender and recipient": Search(sender=SubsystemId(SUBSYSTEMS[0]), recipient=SubsystemId(SUBSYSTEMS[3])),
    "refused": Search(state=ExchangeState.REFUSED),
    "in progress": Search(state=ExchangeState.IN_PROGRESS),
    "processed": Search(state=ExchangeState.PROCESSED),
    "refused by a service": Search(service=ServiceId(SERVICES[0]), state=ExchangeState.REFUSED),
    "party": Search(party=SubsystemId(SUBSYSTEMS[3])),
    "party's refused": Search(party=SubsystemId(SUBSYSTEMS[3]), state=ExchangeState.REFUSED),
    "case": Search(keys={"case": "case-1"}),
    "case and item": Search(keys={"case": "case-1", "item": "i"}),
    "case of a party": Search(keys={"case": "case-1"}, party=SubsystemId(SUBSYSTEMS[3])),
    "case and state": Search(keys={"case": "case-1"}, state=ExchangeState.REFUSED),
}


def plans(connection: Connection, search: Search) -> Iterator[list[str]]:
    """The plan of every statement of a search, of a first page and of later ones."""
    keys = SEARCH_KEYS.look_for(search.keys)
    later = Position(format_instant(START), new_message_id(START))
    for window in (window_of(search), Window(later, format_instant(START)), Window(later, None, later)):
        for walk in plan(search, by_key=bool(keys)):
            for statement in (last_examined(walk, keys, window), page_of(walk, keys, window, 51)):
                compiled = statement.compile(connection)
                values = tuple(compiled.params[name] for name in compiled.positiontup or ())
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
                yield [row[3] for row in rows]


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("is_analysed", [False, True])
def test_no_search_reads_a_table_or_sorts(tmp_path: Any, name: str, *, is_analysed: bool) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    fill(engine, COUNT)
    with engine.connect() as connection:
        if is_analysed:
            connection.execute(text("ANALYZE"))
        for steps in plans(connection, SEARCHES[name]):
            assert steps
            for step in steps:
                assert "TEMP B-TREE" not in step, steps
                assert step.startswith(("SEARCH", "CORRELATED")) or is_walk_along_arrival(step), steps
    engine.dispose()


def is_walk_along_arrival(step: str) -> bool:
    """The latest of all: the index is walked from its end, and no further than the page."""
    return step.startswith("SCAN exchanges USING") and "INDEX exchanges_by_arrival" in step


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (SEARCHES["conversation"], "exchanges_by_conversation"),
        (SEARCHES["sender"], "exchanges_by_sender"),
        (SEARCHES["recipient"], "exchanges_by_recipient"),
        (SEARCHES["service"], "exchanges_by_service"),
        (SEARCHES["sender and service"], "exchanges_by_sender_and_service"),
        (SEARCHES["sender and recipient"], "exchanges_by_sender"),
        (SEARCHES["refused"], "exchanges_unprocessed"),
        (SEARCHES["processed"], "exchanges_by_arrival"),
        (SEARCHES["refused by a service"], "exchanges_by_service"),
    ],
)
def test_the_index_that_was_chosen_is_walked(tmp_path: Any, search: Search, index: str) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    fill(engine, COUNT)
    with engine.connect() as connection:
        for (step,) in plans(connection, search):
            assert f"INDEX {index}" in step
            assert f"INDEX {index}_and" not in step
    engine.dispose()


def test_a_message_is_found_by_its_id_only_where_all_else_holds(archive: Archive, rows: Rows) -> None:
    row, case = rows[17]
    search = Search(message_id=MessageId(row["message_id"]), keys={"case": case.upper()})
    assert [record.message_id for record in archive.search(search).records] == [row["message_id"]]
    for other in (
        replace(search, keys={"case": "another"}),
        replace(search, until=START),
        replace(search, party=SubsystemId("13510108MB1A00003J/nobody")),
    ):
        assert archive.search(other).records == ()
