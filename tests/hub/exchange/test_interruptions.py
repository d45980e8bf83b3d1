# SPDX-License-Identifier: Apache-2.0
"""A try that nobody works on is given up; one that somebody works on never is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from hub.app import build_hub
from hub.clock import SystemClock
from hub.errors import ExchangeError, SettingsError
from hub.exchange import ExchangeState
from hub.exchange.store import begin
from hub.tlog import EntryEvent
from tests.hub.exchange.conftest import Courier, sent
from tests.journeys.serving import wait_for
from tests.postgresql import on_postgresql, on_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import Outcome
    from hub.settings import Settings


@pytest.fixture
def other(hub: Hub, settings: Settings, courier: Courier) -> Iterator[Hub]:
    """A second process on the same database, as far as the database can tell."""
    other = build_hub(settings, courier=courier)
    assert other.claim.number != hub.claim.number
    other.registry.refresh()
    yield other
    other.writer.close()
    other.claim.release()
    other.engine.dispose()


@pytest.fixture
def held(hub: Hub, courier: Courier, request_: Envelope) -> Iterator[Future[list[Outcome]]]:
    """A message the first process has delivered and waits for, until the courier holds it no more."""
    hub.claim.take()
    courier.is_holding = True
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(sent, hub.pipeline, request_)
        try:
            wait_for(lambda: bool(courier.delivered))
            yield outcome
        finally:
            courier.is_holding = False
    hub.claim.release()


def state_of(hub: Hub, request: Envelope) -> tuple[ExchangeState, str | None]:
    record = hub.archive.exchange(request.header.id)
    return record.state, record.code


def events(hub: Hub, request: Envelope) -> list[EntryEvent]:
    return [each.entry.event for each in hub.log.entries_of(request.header.id)]


IN_PROGRESS = (ExchangeState.IN_PROGRESS, None)
RELEASED = (ExchangeState.REFUSED, "exchange.internal")


def test_what_is_worked_on_is_not_released(
    hub: Hub, courier: Courier, request_: Envelope, held: Future[list[Outcome]]
) -> None:
    for _ in range(3):
        hub.interruptions.look()
        assert state_of(hub, request_) == IN_PROGRESS
    courier.is_holding = False
    assert held.result(20)[0].code is None
    hub.interruptions.look()
    assert state_of(hub, request_) == (ExchangeState.PROCESSED, None)


@on_postgresql
def test_what_another_living_process_works_on_is_not_released(
    other: Hub, courier: Courier, request_: Envelope, held: Future[list[Outcome]]
) -> None:
    other.claim.take()
    other.interruptions.start()
    for _ in range(3):
        other.interruptions.look()
    assert sent(other.pipeline, request_)[0].code == "exchange.in_progress"
    courier.is_holding = False
    assert held.result(20)[0].code is None
    assert len(courier.delivered) == 1


@on_postgresql
def test_what_a_process_that_ended_worked_on_is_released_at_the_second_look(
    hub: Hub, other: Hub, request_: Envelope, held: Future[list[Outcome]]
) -> None:
    other.claim.take()
    # To the database, this is a process that was killed.
    hub.claim.release()
    other.interruptions.start()
    assert state_of(other, request_) == IN_PROGRESS
    other.interruptions.look()
    assert state_of(other, request_) == RELEASED
    assert not held.done()


@on_postgresql
def test_a_process_that_was_taken_for_dead_concludes_nothing_any_more(
    hub: Hub, other: Hub, courier: Courier, request_: Envelope, held: Future[list[Outcome]]
) -> None:
    other.claim.take()
    hub.claim.release()
    other.interruptions.look()
    other.interruptions.look()
    courier.is_holding = False
    with pytest.raises(ExchangeError, match="in other hands"):
        held.result(20)
    assert state_of(other, request_) == RELEASED
    assert events(other, request_) == [EntryEvent.ACCEPTED]
    [again] = sent(other.pipeline, request_)
    assert again.code is None
    assert events(other, request_) == [EntryEvent.ACCEPTED, EntryEvent.ACCEPTED]
    assert other.log.check() == other.log.size() == 3


@on_postgresql
def test_a_claim_taken_again_in_time_keeps_what_is_worked_on(
    hub: Hub, other: Hub, request_: Envelope, held: Future[list[Outcome]]
) -> None:
    assert not held.done()
    hub.claim.release()
    other.interruptions.look()
    hub.claim.take()
    for _ in range(3):
        other.interruptions.look()
    assert state_of(other, request_) == IN_PROGRESS


@on_sqlite
def test_on_sqlite_the_next_process_releases_at_once(
    hub: Hub, settings: Settings, request_: Envelope
) -> None:
    hub.writer.run(lambda connection: begin(connection, request_, SystemClock().now(), hub.claim.number))
    after = build_hub(settings)
    after.start()
    assert state_of(hub, request_) == RELEASED
    after.writer.close()
    after.claim.release()
    after.engine.dispose()


def test_a_row_that_is_there_although_its_write_seemed_to_fail_is_released(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    hub.claim.take()
    hub.writer.run(lambda connection: begin(connection, request_, SystemClock().now(), hub.claim.number))
    hub.interruptions.look()
    assert sent(hub.pipeline, request_)[0].code == "exchange.in_progress"
    hub.interruptions.look()
    assert sent(hub.pipeline, request_)[0].code is None
    assert len(courier.delivered) == 1


def test_a_second_try_is_not_released_for_the_first(hub: Hub, other: Hub, request_: Envelope) -> None:
    def begin_as(worker: int) -> None:
        hub.writer.run(lambda connection: begin(connection, request_, SystemClock().now(), worker))

    hub.claim.take()
    begin_as(1)
    other.interruptions.look()
    hub.interruptions.look()
    hub.interruptions.look()
    assert state_of(hub, request_) == RELEASED
    begin_as(2)
    other.interruptions.look()
    assert state_of(hub, request_) == IN_PROGRESS


def test_only_what_a_crash_cut_off_is_released(hub: Hub, courier: Courier, request_: Envelope) -> None:
    sent(hub.pipeline, request_)
    hub.claim.take()
    for _ in range(3):
        hub.interruptions.look()
    assert hub.archive.exchange(request_.header.id).state is ExchangeState.PROCESSED
    assert len(courier.delivered) == 1


@on_sqlite
def test_on_sqlite_a_second_process_does_not_serve(hub: Hub, other: Hub) -> None:
    hub.start()
    with pytest.raises(SettingsError, match=r"settings\.database_in_use"):
        other.start()
    # A command beside it may write.
    other.registry.refresh()
    hub.claim.release()
    other.start()


@on_postgresql
def test_on_postgresql_a_second_process_serves_too(hub: Hub, other: Hub) -> None:
    hub.start()
    other.start()
    with hub.engine.connect() as connection:
        assert hub.claim.living(connection) == {hub.claim.number, other.claim.number}
    hub.claim.release()
