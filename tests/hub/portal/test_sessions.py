# SPDX-License-Identifier: Apache-2.0
"""Sessions: how they begin, what they rest on, and how they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import text

from hub.accounts import Accounts, Principal, Role
from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.portal import SessionLimits
from hub.portal.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from hub.accounts import Token

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = SessionLimits(idle=timedelta(minutes=30), longest=timedelta(hours=12), most=3)


class Desk(NamedTuple):
    engine: Engine
    clock: FixedClock
    accounts: Accounts
    sessions: Sessions

    def token(self, lifetime: timedelta = timedelta(days=30)) -> Token:
        return self.accounts.issue(Principal("auditor", frozenset({Role.AUDITOR})), lifetime).token

    def wait(self, time: timedelta) -> None:
        self.clock.move_to(self.clock.now() + time)

    def rows(self) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text("SELECT * FROM portal_sessions"))]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = open_database(database_url)
    writer, clock = Writer(engine), FixedClock(START)
    accounts = Accounts(engine, writer, clock)
    yield Desk(engine, clock, accounts, Sessions(engine, writer, clock, accounts, LIMITS))
    writer.close()
    engine.dispose()


def test_a_session_is_found_by_its_secret_alone(desk: Desk) -> None:
    token = desk.token()
    opened = desk.sessions.open(token)
    found = desk.sessions.find(opened.secret)
    assert found == opened
    assert found.token == token
    assert found.principal.subject == "auditor"
    for wrong in ("", "x", "A" * 43, opened.secret[:-1], opened.secret + "A", opened.form_token):
        assert desk.sessions.find(wrong) is None


def test_the_database_holds_nothing_that_opens_a_session(desk: Desk) -> None:
    opened = desk.sessions.open(desk.token())
    [row] = desk.rows()
    assert opened.secret not in map(str, row)
    assert opened.form_token not in map(str, row)
    assert opened.secret not in repr(opened)
    assert opened.form_token not in repr(opened)


def test_two_sessions_share_neither_secret_nor_form_token(desk: Desk) -> None:
    token = desk.token()
    one, other = desk.sessions.open(token), desk.sessions.open(token)
    assert one.secret != other.secret
    assert one.form_token != other.form_token


def test_a_closed_session_is_over(desk: Desk) -> None:
    token = desk.token()
    opened, other = desk.sessions.open(token), desk.sessions.open(token)
    desk.sessions.close(opened)
    assert desk.sessions.find(opened.secret) is None
    assert desk.sessions.find(other.secret) is not None


def test_an_idle_session_is_over(desk: Desk) -> None:
    opened = desk.sessions.open(desk.token())
    desk.wait(LIMITS.idle)
    assert desk.sessions.find(opened.secret) is None


def test_a_session_in_use_lasts_until_its_longest_time(desk: Desk) -> None:
    opened = desk.sessions.open(desk.token())
    step = LIMITS.idle - timedelta(seconds=1)
    while desk.clock.now() + step < START + LIMITS.longest:
        desk.wait(step)
        assert desk.sessions.find(opened.secret) is not None, desk.clock.now()
    desk.clock.move_to(START + LIMITS.longest)
    assert desk.sessions.find(opened.secret) is None


def test_a_session_ends_with_its_token(desk: Desk) -> None:
    opened = desk.sessions.open(desk.token(timedelta(minutes=10)))
    assert opened.ends_at == START + timedelta(minutes=10)
    desk.wait(timedelta(minutes=10))
    assert desk.sessions.find(opened.secret) is None


def test_a_session_ends_when_its_token_is_revoked(desk: Desk) -> None:
    token = desk.token()
    opened = desk.sessions.open(token)
    desk.accounts.revoke(token.id)
    assert desk.sessions.find(opened.secret) is None


def test_one_session_too_many_ends_the_oldest_of_the_same_token(desk: Desk) -> None:
    other = desk.sessions.open(desk.token())
    token = desk.token()
    opened = []
    for _ in range(LIMITS.most + 1):
        opened.append(desk.sessions.open(token))
        desk.wait(timedelta(seconds=1))
    assert desk.sessions.find(opened[0].secret) is None
    assert all(desk.sessions.find(each.secret) for each in opened[1:])
    assert desk.sessions.find(other.secret) is not None


def test_sessions_that_are_over_are_forgotten(desk: Desk) -> None:
    desk.sessions.open(desk.token(timedelta(minutes=5)))
    desk.sessions.open(desk.token())
    desk.wait(LIMITS.idle)
    desk.sessions.open(desk.token())
    assert len(desk.rows()) == 1


def test_a_clock_that_went_back_opens_nothing(desk: Desk) -> None:
    opened = desk.sessions.open(desk.token())
    desk.clock.move_to(START - timedelta(hours=1))
    assert desk.sessions.find(opened.secret) is None
