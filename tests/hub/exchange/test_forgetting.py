# SPDX-License-Identifier: Apache-2.0
"""Who is erased is not found any more: by what was promoted, nor by the case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text

from hub.clock import format_instant
from hub.database import Writer, open_database
from hub.exchange import ErasedSearchKeys
from hub.exchange.search_store import keep_keys
from hub.exchange.searchkeys import StoredKey
from hub.exchange.store import exchanges, ids_of_containers
from hub.identifiers import MessageId, new_message_id
from tests.hub.envelope.signers import EMPLOYMENT, FUND, NOW, PROOF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

ASKED, ANSWERED = "a" * 64, "b" * 64


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def enter(connection: Connection, request: str, answer: str | None) -> MessageId:
    """Enter an exchange with two business keys."""
    message_id = new_message_id(NOW)
    row = {
        "message_id": message_id,
        "conversation": message_id,
        "sender": FUND,
        "recipient": EMPLOYMENT,
        "service": PROOF,
        "state": "processed",
        "received_at": format_instant(NOW),
        "attempts": 1,
        "request_sha256": request,
        "answer_sha256": answer,
    }
    connection.execute(insert(exchanges), row)
    keep_keys(connection, message_id, [StoredKey("case", b"1" * 32), StoredKey("holder", b"2" * 32)])
    return message_id


def keys(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT message_id, count(*) FROM exchange_keys GROUP BY message_id"))
        return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("erased", [ASKED, ANSWERED], ids=["request", "answer"])
def test_a_message_one_of_whose_containers_is_erased_is_found_by_no_key(engine: Engine, erased: str) -> None:
    writer = Writer(engine)
    gone = writer.run(lambda connection: enter(connection, ASKED, ANSWERED))
    stays = writer.run(lambda connection: enter(connection, "c" * 64, None))
    assert keys(engine) == {gone: 2, stays: 2}

    for _ in range(2):
        writer.run(lambda connection: ErasedSearchKeys().forget(connection, [erased, "d" * 64]))

    assert keys(engine) == {stays: 2}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM exchanges")).scalar_one() == 2, "the rows stay"
    writer.close()


def test_messages_are_found_by_their_containers_along_an_index(engine: Engine) -> None:
    """A month may have a million of them; looking at every exchange for each would never end."""
    writer = Writer(engine)
    ids = {writer.run(lambda connection: enter(connection, ASKED, ANSWERED)) for _ in range(2)}
    writer.close()

    with engine.connect() as connection:
        assert ids_of_containers(connection, []) == set()
        assert ids_of_containers(connection, [ASKED]) == ids_of_containers(connection, [ANSWERED]) == ids
        if engine.dialect.name != "sqlite":
            connection.execute(text("SET enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        for column, index in (("request_sha256", "request"), ("answer_sha256", "answer")):
            more = " AND answer_sha256 IS NOT NULL" if index == "answer" else ""
            query = f"{explain} SELECT message_id FROM exchanges WHERE {column} IN (:one, :two){more}"  # noqa: S608 - two fixed names
            plan = connection.execute(text(query), {"one": ASKED, "two": ANSWERED}).all()
            assert f"exchanges_by_{index}_container" in str(plan)
