# SPDX-License-Identifier: Apache-2.0
"""Readings are on record for good, and auditors see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.accounts import Principal, Role
from hub.database import Writer, open_database
from hub.exchange import Readings, What
from hub.identifiers import SubsystemId, new_message_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AUDITOR = Principal("Li Wei", frozenset({Role.AUDITOR}), None)
FUND = Principal("fund", frozenset({Role.GATEWAY}), SubsystemId("13510108MB1A00003J/fund"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def readings(engine: Engine) -> Iterator[Readings]:
    writer = Writer(engine)
    yield Readings(engine, writer)
    writer.close()


def test_a_reading_says_who_what_which_and_when(readings: Readings) -> None:
    one, other = new_message_id(NOW), new_message_id(NOW)
    readings.record(FUND, What.CONTAINER, [one], at=NOW, detail="answer")
    readings.record(AUDITOR, What.SEARCH, [one, other], at=NOW + timedelta(seconds=1), detail="case holder")
    readings.record(AUDITOR, What.SEARCH, [], at=NOW, detail="case")
    nothing, *found, container = readings.list()
    assert (nothing.message_id, nothing.what, nothing.detail) == (None, What.SEARCH, "case")
    assert {each.message_id for each in found} == {one, other}
    assert {(each.account, each.subsystem, each.detail) for each in found} == {
        ("Li Wei", None, "case holder")
    }
    assert (container.account, container.subsystem, container.at) == ("fund", FUND.subsystem, NOW)
    assert (container.what, container.detail, container.message_id) == (What.CONTAINER, "answer", one)


def test_readings_are_listed_by_message_by_account_and_from_a_number_on(readings: Readings) -> None:
    ids = [new_message_id(NOW) for _ in range(3)]
    for number in range(9):
        who = AUDITOR if number % 2 else FUND
        readings.record(who, What.STORY, [ids[number % 3]], at=NOW)
    assert {each.message_id for each in readings.list(message_id=ids[1])} == {ids[1]}
    assert len(readings.list(account="Li Wei")) == 4
    first = readings.list(most=4)
    rest = readings.list(before=first[-1].number)
    assert [each.number for each in (*first, *rest)] == [each.number for each in readings.list()]


@pytest.mark.parametrize("statement", ["DELETE FROM readings", "UPDATE readings SET account = 'nobody'"])
def test_the_database_refuses_to_forget_a_reading(engine: Engine, readings: Readings, statement: str) -> None:
    readings.record(AUDITOR, What.STORY, [], at=NOW)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="readings is append-only"):
        connection.execute(text(statement))
