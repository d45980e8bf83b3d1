# SPDX-License-Identifier: Apache-2.0
"""What could not be delivered is kept, found, delivered once more from the start, or closed; never lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import SystemClock
from hub.errors import ExchangeError
from hub.exchange import ExchangeState
from hub.outbox import DeadLetterSearch, DeliveryNumber, DeliveryState
from hub.registry import AccessRight
from hub.tlog import EntryEvent
from tests.hub.exchange.conftest import sent, signed
from tests.hub.exchange.test_worker import by_policy, delivery, events, finish, state, taken, worked
from tests.journeys.departments import LABOUR_ECHO

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.outbox import Delivery
    from tests.hub.exchange.conftest import Courier
    from tests.pki import ServedPki

UNREACHABLE = ExchangeError("exchange.undeliverable", "the test says so")


@pytest.fixture(autouse=True)
def _claimed(hub: Hub) -> None:
    hub.claim.take()
    by_policy(hub, tries=1, breaker_failures=1000)


def buried(hub: Hub, courier: Courier, *requests: Envelope) -> list[Delivery]:
    courier.failure = UNREACHABLE
    for each in requests:
        taken(hub, each)
    finish(hub)
    courier.failure = None
    letters = [delivery(hub, each) for each in requests]
    assert {each.state for each in letters} == {DeliveryState.DEAD}
    return letters


def test_a_replay_delivers_the_same_container_once_more_and_says_so(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    [letter] = buried(hub, courier, request_)
    preview = hub.dead_letters.preview([letter.number])
    assert (preview.can, preview.cannot) == ((letter.number,), ())
    replayed = hub.dead_letters.replay([letter.number], by="operator")
    assert (replayed.count, replayed.skipped) == (1, ())
    assert state(hub, request_) == (ExchangeState.QUEUED, None)
    finish(hub)
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)
    assert events(hub, request_) == [EntryEvent.ACCEPTED, EntryEvent.FAILED, EntryEvent.REPLAYED]
    assert [each.raw for each in courier.delivered] == [request_.raw, request_.raw]
    ended = delivery(hub, request_)
    assert (ended.state, ended.replays, ended.replayed_by) == (DeliveryState.DONE, 1, "operator")
    assert [each.code for each in hub.outbox.attempts_of(ended.number)] == ["exchange.undeliverable", None]
    assert hub.audit.run().findings == ()


def test_a_replay_begins_at_the_start_with_the_rights_of_now(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    [letter] = buried(hub, courier, request_)
    right = next(each for each in hub.registry.snapshot.all_of(AccessRight) if each.service == LABOUR_ECHO)
    hub.registry.remove(right, by="tests")
    hub.dead_letters.replay([letter.number], by="operator")
    finish(hub)
    assert state(hub, request_) == (ExchangeState.REFUSED, "access.service_not_granted")
    assert len(courier.delivered) == 1
    hub.registry.put(right, by="tests")
    hub.dead_letters.replay([letter.number], by="operator")
    finish(hub)
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)


def test_all_that_a_search_finds_is_replayed_and_what_cannot_be_is_named(
    hub: Hub, courier: Courier, pki: ServedPki
) -> None:
    living, dying = [signed(pki) for _ in range(3)], signed(pki, lifetime=timedelta(seconds=2))
    letters = buried(hub, courier, *living, dying)
    while SystemClock().now() < dying.header.expires_at:
        asyncio.run(asyncio.sleep(0.05))
    search = DeadLetterSearch(service=LABOUR_ECHO, code="exchange.undeliverable", most=2)
    page = hub.dead_letters.search(search)
    assert [each.number for each in page.letters] == [letters[3].number, letters[2].number]
    rest = hub.dead_letters.search(replace(search, cursor=page.cursor))
    assert ([each.number for each in rest.letters], rest.cursor) == (
        [letters[1].number, letters[0].number],
        None,
    )
    assert hub.dead_letters.count(search) == 4
    preview = hub.dead_letters.preview(search)
    assert preview.cannot == ((letters[3].number, "exchange.expired"),)
    told: list[int] = []
    replayed = hub.dead_letters.replay(search, by="operator", told=told.append)
    assert (replayed.count, replayed.skipped) == (3, preview.cannot)
    assert told == [1, 2, 3, 4]
    finish(hub)
    assert {state(hub, each) for each in living} == {(ExchangeState.PROCESSED, None)}
    assert hub.dead_letters.count(search) == 1
    assert hub.dead_letters.replay(search, by="operator").count == 0


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({"code": "exchange.expired"}, 0),
        ({"sender": "13510108MB1A00003J/fund"}, 1),
        ({"sender": "13510108MB1A00003J/other"}, 0),
        ({"recipient": "11510108MB1A00002M/employment"}, 1),
        ({"state": DeliveryState.CLOSED}, 0),
    ],
)
def test_a_search_finds_what_fits_everything_that_is_given(
    hub: Hub, courier: Courier, request_: Envelope, changed: dict[str, str], count: int
) -> None:
    buried(hub, courier, request_)
    search = DeadLetterSearch(**changed)  # type: ignore[arg-type]  # ids are texts
    assert len(hub.dead_letters.search(search).letters) == hub.dead_letters.count(search) == count


def test_a_closed_letter_stays_on_record_and_is_replayed_no_more(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    [letter] = buried(hub, courier, request_)
    with pytest.raises(ExchangeError, match="reason"):
        hub.dead_letters.close([letter.number], by="operator", reason=" ")
    assert hub.dead_letters.close([letter.number], by="operator", reason="sent on paper") == 1
    [closed] = hub.dead_letters.search(DeadLetterSearch(state=DeliveryState.CLOSED)).letters
    assert (closed.closed_by, closed.closed_reason) == ("operator", "sent on paper")
    assert hub.dead_letters.replay([letter.number], by="operator").skipped == (
        (letter.number, "exchange.not_dead"),
    )
    with pytest.raises(ExchangeError) as refusal:
        hub.dead_letters.close([letter.number], by="operator", reason="again")
    assert refusal.value.code == "exchange.not_dead"


def test_letters_are_closed_together_or_not_at_all(
    hub: Hub, courier: Courier, request_: Envelope, pki: ServedPki
) -> None:
    [one, other] = buried(hub, courier, request_, signed(pki))
    hub.dead_letters.close([other.number], by="operator", reason="first")
    with pytest.raises(ExchangeError) as refusal:
        hub.dead_letters.close([one.number, other.number], by="operator", reason="both")
    assert refusal.value.code == "exchange.not_dead"
    assert delivery(hub, request_).state is DeliveryState.DEAD


def test_what_is_no_dead_letter_is_named_so(hub: Hub, request_: Envelope) -> None:
    unknown = DeliveryNumber(4711)
    assert hub.dead_letters.preview([unknown]).cannot == ((unknown, "exchange.dead_letter_unknown"),)
    with pytest.raises(ExchangeError) as refusal:
        hub.dead_letters.close([unknown], by="operator", reason="none")
    assert refusal.value.code == "exchange.dead_letter_unknown"
    taken(hub, request_)
    worked(hub)
    done = delivery(hub, request_).number
    assert hub.dead_letters.preview([done]).cannot == ((done, "exchange.dead_letter_unknown"),)


def test_what_its_sender_sent_again_is_no_operators_to_replay(
    hub: Hub, courier: Courier, request_: Envelope, pki: ServedPki
) -> None:
    [letter] = buried(hub, courier, request_)
    [outcome] = sent(hub.pipeline, request_)
    assert outcome.code is None
    assert delivery(hub, request_).state is DeliveryState.CLOSED
    assert hub.dead_letters.replay([letter.number], by="operator").count == 0
    other = signed(pki)
    buried(hub, courier, other)
    assert taken(hub, other).is_queued, "a failed try never blocks a retry"
    finish(hub)
    assert state(hub, other) == (ExchangeState.PROCESSED, None)
    assert hub.dead_letters.count(DeadLetterSearch()) == 0


def test_two_replays_of_one_letter_deliver_it_once(hub: Hub, courier: Courier, request_: Envelope) -> None:
    [letter] = buried(hub, courier, request_)
    assert hub.dead_letters.replay([letter.number, letter.number], by="one").count == 1
    assert hub.dead_letters.replay([letter.number], by="another").count == 0
    finish(hub)
    assert len(courier.delivered) == 2
