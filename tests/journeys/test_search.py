# SPDX-License-Identifier: Apache-2.0
"""Messages are found by what people have in hand, by those who may, and the search is on record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from hub.accounts import Role
from hub.demo.preparation import FUND
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.test_proof import PROOF, Issued, second
from tests.journeys.world import on_sqlite_file

if TYPE_CHECKING:
    from tests.journeys.bureaus import Bureaus
    from tests.journeys.world import World

__all__ = ["second"]


def found(world: World, query: str, headers: dict[str, str]) -> list[str]:
    response = world.http.get(f"{world.url}/api/v1/messages?{query}", headers=headers)
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()]


def test_a_message_is_found_by_its_case_and_the_search_is_on_record(world: World) -> None:
    request = world.request()
    assert world.send(request.raw).status == 200
    purpose = request.header.purpose
    assert purpose is not None
    auditor = world.token(Role.AUDITOR, subject="Wang Fang")
    assert request.header.id in found(world, f"key=case:{purpose.case}&most=500", auditor)
    assert found(world, "key=case:nobody-has-this", auditor) == []
    rows = readings(world, auditor, "account=Wang%20Fang")
    assert rows[0] | {"number": 0, "at": ""} == {
        "number": 0,
        "at": "",
        "account": "Wang Fang",
        "subsystem": None,
        "what": "search",
        "detail": "case",
        "message_id": None,
    }
    of_it = readings(world, auditor, f"account=Wang%20Fang&message={request.header.id}")
    assert {(row["message_id"], row["what"]) for row in of_it} == {(request.header.id, "search")}


def readings(world: World, headers: dict[str, str], query: str) -> list[dict[str, Any]]:
    response = world.http.get(f"{world.url}/api/v1/readings?{query}", headers=headers)
    assert response.status_code == 200
    rows: list[dict[str, Any]] = response.json()
    return rows


def test_a_party_finds_by_key_only_its_own(world: World) -> None:
    mine = world.request()
    other = world.request(f"{FUND[:18]}/register/echo", sender=EMPLOYMENT)  # type: ignore[arg-type]  # an id
    for request in (mine, other):
        assert world.send(request.raw).status == 200
    purpose = mine.header.purpose
    assert purpose is not None
    query = f"key=case:{purpose.case}&most=500"
    stranger = world.token(Role.GATEWAY, EMPLOYMENT.replace("employment", "levy"))  # type: ignore[arg-type]  # an id
    assert found(world, query, stranger) == []
    assert found(world, query, world.token(Role.ADMINISTRATOR)) == []
    assert mine.header.id in found(world, query, world.token(Role.GATEWAY, FUND))
    assert other.header.id not in found(world, query, world.token(Role.GATEWAY, FUND))
    assert other.header.id in found(world, query, world.token(Role.GATEWAY, EMPLOYMENT))


def test_pages_lead_from_one_to_the_next(world: World) -> None:
    sent = {world.request().raw for _ in range(5)}
    for raw in sent:
        assert world.send(raw).status == 200
    auditor = world.token(Role.AUDITOR)
    address, ids = f"/api/v1/messages?sender={FUND}&most=2", []
    while address:
        response = world.http.get(f"{world.url}{address}", headers=auditor)
        ids += [row["id"] for row in response.json()]
        address = response.links.get("next", {}).get("url", "")
    assert len(ids) == len(set(ids)) >= 5
    assert ids == found(world, f"sender={FUND}&most=500", auditor)


@pytest.mark.parametrize(
    "query",
    [
        "key=case",
        "key=colour:red",
        "key=case:1&key=case:2",
        "sender=nobody",
        "service=nothing",
        "since=yesterday",
        "cursor=x",
    ],
)
def test_a_search_that_makes_no_sense_is_refused(world: World, query: str) -> None:
    response = world.http.get(f"{world.url}/api/v1/messages?{query}", headers=world.token(Role.AUDITOR))
    assert (response.status_code, response.json()["code"]) == (400, "exchange.search_invalid")


def test_container_reads_are_on_record(world: World) -> None:
    request = world.request()
    assert world.send(request.raw).status == 200
    auditor = world.token(Role.AUDITOR, subject="Zhao Min")
    address = f"{world.url}/api/v1/messages/{request.header.id}"
    assert world.http.get(f"{address}/answer", headers=auditor).status_code == 200
    assert world.http.get(f"{address}/nothing", headers=auditor).status_code == 404
    (row,) = readings(world, auditor, f"message={request.header.id}")
    assert (row["account"], row["what"], row["detail"]) == ("Zhao Min", "container", "answer")


def test_a_proof_is_found_by_holder_certificate_and_employer_and_the_database_holds_none_of_them(
    bureaus: Bureaus, second: Issued
) -> None:
    holder = second.data["persons"][0]["person_id"]
    certificate = second.data["proof_number"]
    employer = second.data["employer"]["uscc"]
    for key in (f"holder:{holder}", f"certificate:{certificate}", f"employer:{employer}"):
        rows = bureaus.get(f"/api/v1/messages?key={key}&service={PROOF}", bureaus.auditor).json()
        assert second.id in {row["id"] for row in rows}, key
    database = bureaus.world.hub.engine.url.database
    with closing(sqlite3.connect(str(database))) as opened:
        dump = "\n".join(opened.iterdump())
    for value in (holder, certificate):
        assert value not in dump
        assert value.encode().hex().upper() not in dump.upper()


@on_sqlite_file
def test_reindexing_finds_the_same_again(bureaus: Bureaus, second: Issued) -> None:
    hub = bureaus.world.hub
    assert hub.reindexer is not None

    def keys() -> set[tuple[Any, ...]]:
        with closing(sqlite3.connect(str(hub.engine.url.database))) as opened:
            return set(opened.execute("SELECT * FROM exchange_keys").fetchall())

    before = keys()
    assert second.id in {row[3] for row in before}
    done = hub.reindexer.run()
    assert (done.messages > 0, done.unreadable) == (True, 0)
    assert keys() == before
