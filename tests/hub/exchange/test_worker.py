# SPDX-License-Identifier: Apache-2.0
"""What nobody waits for is delivered from the outbox, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import FixedClock, SystemClock
from hub.envelope import (
    ReceiptStatus,
    open_envelope,
    read_fault,
    read_receipt,
)
from hub.errors import Culprit, ExchangeError
from hub.exchange import ExchangeState
from hub.outbox import DeadLetterSearch, DeliveryState
from hub.registry import AccessRight, DeliveryPolicy, Service
from hub.tlog import EntryEvent
from tests.hub.exchange.conftest import sent, signed
from tests.journeys.departments import ECHO, LABOUR_ECHO

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import Outcome
    from hub.outbox import Delivery
    from tests.hub.exchange.conftest import Courier
    from tests.pki import ServedPki

UNREACHABLE = ExchangeError("exchange.undeliverable", "the test says so")


def taken(hub: Hub, request: Envelope) -> Outcome:
    return asyncio.run(hub.pipeline.take(request.raw, received_at=SystemClock().now()))


def worked(hub: Hub) -> int:
    return asyncio.run(hub.worker.work())


def delivery(hub: Hub, request: Envelope) -> Delivery:
    [only] = hub.outbox.of_message(request.header.id)
    return only


def state(hub: Hub, request: Envelope) -> tuple[ExchangeState, str | None]:
    record = hub.archive.exchange(request.header.id)
    return record.state, record.code


def events(hub: Hub, request: Envelope) -> list[EntryEvent]:
    return [each.entry.event for each in hub.log.entries_of(request.header.id)]


def by_policy(hub: Hub, **policy: float) -> None:
    service = hub.registry.require_entry(Service, LABOUR_ECHO)
    changed = replace(service, delivery=DeliveryPolicy(**policy))  # type: ignore[arg-type]  # numbers, as each wants
    hub.registry.put(changed, by="tests")


@pytest.fixture(autouse=True)
def _claimed(hub: Hub) -> None:
    hub.claim.take()
    by_policy(hub, first_pause_seconds=0.01, longest_pause_seconds=0.01, tries=3, breaker_failures=1000)


def test_a_message_nobody_waits_for_is_receipted_at_once_and_answered_later(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    outcome = taken(hub, request_)
    assert (outcome.code, outcome.is_queued, outcome.message_id) == (None, True, request_.header.id)
    receipt = read_receipt(open_envelope(outcome.container))
    assert receipt.status is ReceiptStatus.ACCEPTED
    assert state(hub, request_) == (ExchangeState.QUEUED, None)
    assert courier.delivered == []
    assert worked(hub) == 1
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)
    record = hub.archive.exchange(request_.header.id)
    assert record.answer_sha256 is not None
    assert record.receipt_sha256 is not None
    final = read_receipt(open_envelope(hub.archive.container(record.receipt_sha256)))
    assert (final.status, final.answer.container_sha256 if final.answer else None) == (
        ReceiptStatus.PROCESSED,
        record.answer_sha256,
    )
    assert delivery(hub, request_).state is DeliveryState.DONE
    assert events(hub, request_) == [EntryEvent.ACCEPTED]
    assert worked(hub) == 0


def test_sending_it_again_returns_the_receipt_while_it_waits_and_the_final_one_afterwards(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    first = taken(hub, request_)
    again = taken(hub, request_)
    assert (again.container, again.is_queued, again.code) == (first.container, True, None)
    [waiting] = sent(hub.pipeline, request_)
    assert waiting.container == first.container, "also when its sender would wait"
    worked(hub)
    after = taken(hub, request_)
    assert after.code == "exchange.duplicate_message"
    assert after.receipt is not None
    assert read_receipt(open_envelope(after.receipt)).status is ReceiptStatus.PROCESSED
    assert len(courier.delivered) == 1


def test_a_failed_attempt_is_followed_by_another_until_the_recipient_is_back(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.failure = UNREACHABLE
    taken(hub, request_)
    worked(hub)
    waiting = delivery(hub, request_)
    assert (waiting.state, waiting.code) == (DeliveryState.WAITING, "exchange.undeliverable")
    assert state(hub, request_) == (ExchangeState.QUEUED, None)
    courier.failure = None
    finish(hub)
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)
    attempts = hub.outbox.attempts_of(waiting.number)
    assert [(each.attempt, each.code) for each in attempts] == [(1, "exchange.undeliverable"), (2, None)]


def finish(hub: Hub) -> None:
    """Work until nothing is open any more."""

    async def work() -> None:
        for _ in range(200):
            await hub.worker.work()
            if not any(each.waiting or each.claimed for each in hub.outbox.depth().values()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("something is still open")

    asyncio.run(work())


def test_when_no_attempt_is_left_it_is_refused_and_a_dead_letter(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.failure = UNREACHABLE
    taken(hub, request_)
    finish(hub)
    assert state(hub, request_) == (ExchangeState.REFUSED, "exchange.undeliverable")
    [letter] = hub.outbox.search(DeadLetterSearch()).letters
    assert (letter.message_id, letter.attempts, letter.code) == (
        request_.header.id,
        3,
        "exchange.undeliverable",
    )
    assert events(hub, request_) == [EntryEvent.ACCEPTED, EntryEvent.FAILED]
    record = hub.archive.exchange(request_.header.id)
    assert record.receipt_sha256 is not None
    final = read_receipt(open_envelope(hub.archive.container(record.receipt_sha256)))
    assert (final.status, final.code) == (ReceiptStatus.REFUSED, "exchange.undeliverable")
    assert hub.archive.container(letter.request_sha256) == request_.raw


@pytest.mark.parametrize(
    ("culprit", "is_retryable", "ends"),
    [
        (Culprit.SENDER, False, DeliveryState.DONE),
        (Culprit.RECIPIENT, False, DeliveryState.DEAD),
        (Culprit.RECIPIENT, True, DeliveryState.DEAD),
    ],
)
def test_a_fault_of_the_department_ends_it_or_is_tried_again(
    hub: Hub,
    courier: Courier,
    request_: Envelope,
    culprit: Culprit,
    *,
    is_retryable: bool,
    ends: DeliveryState,
) -> None:
    courier.fault = (culprit, is_retryable)
    taken(hub, request_)
    finish(hub)
    ended = delivery(hub, request_)
    assert ended.state is ends
    assert ended.attempts == (3 if is_retryable else 1)
    assert state(hub, request_) == (ExchangeState.REFUSED, "adapter.system_timeout")
    assert ended.answer_sha256 is not None
    fault = open_envelope(hub.archive.container(ended.answer_sha256))
    assert read_fault(fault).culprit is culprit
    assert fault.header.sender == courier.party.subsystem, "the department's own words reach the sender"


def test_what_has_expired_is_delivered_no_more(hub: Hub, courier: Courier, expiring: Envelope) -> None:
    courier.failure = UNREACHABLE
    taken(hub, expiring)
    courier.failure = None
    hub.pauses.pause(LABOUR_ECHO, by="tests", reason="test", until=SystemClock().now() + timedelta(hours=1))
    assert worked(hub) == 0
    while SystemClock().now() < expiring.header.expires_at:
        asyncio.run(asyncio.sleep(0.05))
    assert worked(hub) == 1
    assert courier.delivered == []
    assert state(hub, expiring) == (ExchangeState.REFUSED, "exchange.expired")
    assert delivery(hub, expiring).state is DeliveryState.DEAD


def test_a_right_that_was_withdrawn_meanwhile_is_withdrawn(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    taken(hub, request_)
    right = next(r for r in hub.registry.snapshot.all_of(AccessRight) if r.service == LABOUR_ECHO)
    hub.registry.remove(right, by="tests")
    worked(hub)
    assert courier.delivered == []
    assert state(hub, request_) == (ExchangeState.REFUSED, "access.service_not_granted")
    assert delivery(hub, request_).state is DeliveryState.DEAD


def test_every_attempt_comes_with_a_fresh_receipt_for_the_same_place_in_the_log(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.failure = UNREACHABLE
    taken(hub, request_)
    finish(hub)
    receipts = [read_receipt(each) for each in courier.receipts]
    assert len({each.header.id for each in courier.receipts}) == len(receipts) == 3
    assert {each.status for each in receipts} == {ReceiptStatus.ACCEPTED}
    assert {each.log.index for each in receipts if each.log} == {
        hub.log.entries_of(request_.header.id)[0].position.index
    }


def test_a_promised_answer_is_asked_for_when_it_was_promised(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    promised = SystemClock().now() + timedelta(seconds=1)
    courier.expected_by = promised
    taken(hub, request_)
    worked(hub)
    assert state(hub, request_) == (ExchangeState.DEFERRED, None)
    waiting = delivery(hub, request_)
    assert (waiting.state, waiting.due_at) == (DeliveryState.DEFERRED, promised)
    outcome = taken(hub, request_)
    receipt = read_receipt(open_envelope(outcome.container))
    assert (outcome.code, receipt.status, receipt.expected_by) == (None, ReceiptStatus.DELIVERED, promised)
    courier.expected_by = None
    assert worked(hub) == 0
    while SystemClock().now() < promised:
        asyncio.run(asyncio.sleep(0.05))
    assert worked(hub) == 1
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)
    assert events(hub, request_)[0] is EntryEvent.ACCEPTED


def test_who_promises_what_has_passed_is_not_asked_without_a_pause(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    by_policy(hub, first_pause_seconds=60, tries=3)
    courier.expected_by = SystemClock().now() + timedelta(milliseconds=200)
    taken(hub, request_)
    worked(hub)
    courier.expected_by = SystemClock().now() + timedelta(milliseconds=1)
    assert delivery(hub, request_).due_at > SystemClock().now() + timedelta(seconds=30)


def test_a_sender_that_waits_is_told_of_the_promise_and_the_outbox_asks_for_the_answer(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    by_policy(hub, first_pause_seconds=0.01)
    promised = SystemClock().now() + timedelta(seconds=1)
    courier.expected_by = promised
    [outcome] = sent(hub.pipeline, request_)
    receipt = read_receipt(open_envelope(outcome.container))
    assert (outcome.code, outcome.is_queued) == (None, True)
    assert (receipt.status, receipt.expected_by) == (ReceiptStatus.DELIVERED, promised)
    assert state(hub, request_) == (ExchangeState.DEFERRED, None)
    courier.expected_by = None
    while SystemClock().now() < promised:
        asyncio.run(asyncio.sleep(0.05))
    assert worked(hub) == 1
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)


def test_what_is_ordered_waits_for_what_came_before_it_in_its_conversation(
    courier: Courier, pki: ServedPki, ordered: Hub
) -> None:
    first = signed(pki)
    second, third = (signed(pki, conversation=first.header.conversation) for _ in range(2))
    elsewhere = signed(pki)
    courier.failure = UNREACHABLE
    for each in (first, second, third):
        taken(ordered, each)
    assert worked(ordered) == 1
    courier.failure = None
    taken(ordered, elsewhere)
    finish(ordered)
    order = [each.header.id for each in courier.delivered]
    assert elsewhere.header.id in order
    order.remove(elsewhere.header.id)
    assert order == [first.header.id, first.header.id, second.header.id, third.header.id]


def test_a_dead_letter_holds_up_what_is_behind_it_until_it_is_closed(
    courier: Courier, pki: ServedPki, ordered: Hub
) -> None:
    first = signed(pki)
    second = signed(pki, conversation=first.header.conversation)
    courier.fault = (Culprit.RECIPIENT, False)
    taken(ordered, first)
    taken(ordered, second)
    assert worked(ordered) == 1
    courier.fault = None
    assert worked(ordered) == 0
    dead = delivery(ordered, first)
    assert dead.state is DeliveryState.DEAD
    ordered.dead_letters.close([dead.number], by="tests", reason="test")
    assert worked(ordered) == 1
    assert state(ordered, second) == (ExchangeState.PROCESSED, None)


@pytest.fixture
def ordered(hub: Hub) -> Hub:
    """The hub, with an echo whose messages are delivered in order."""
    contracts = hub.pipeline.contracts
    assert isinstance(contracts, dict)
    contracts[ECHO] = replace(contracts[ECHO], is_ordered=True)
    return hub


def test_a_service_that_fails_again_and_again_is_left_alone(
    hub: Hub, courier: Courier, pki: ServedPki
) -> None:
    by_policy(hub, first_pause_seconds=0.01, longest_pause_seconds=0.01, breaker_failures=2, tries=100)
    courier.failure = UNREACHABLE
    requests = [signed(pki) for _ in range(4)]
    for each in requests:
        taken(hub, each)
    for _ in range(5):
        worked(hub)
    assert len(courier.delivered) == 4, "what began together, and nothing after it"
    assert all(delivery(hub, each).state is DeliveryState.WAITING for each in requests)


def test_no_more_are_delivered_at_a_time_than_the_policy_says(hub: Hub, pki: ServedPki) -> None:
    by_policy(hub, concurrency=2)
    for _ in range(5):
        taken(hub, signed(pki))
    assert [worked(hub) for _ in range(4)] == [2, 2, 1, 0]


def test_while_a_service_is_maintained_messages_wait_and_who_would_wait_is_told(
    hub: Hub, request_: Envelope, pki: ServedPki
) -> None:
    until = SystemClock().now() + timedelta(hours=1)
    hub.pauses.pause(LABOUR_ECHO, by="tests", reason="new disks", until=until)
    taken(hub, request_)
    assert worked(hub) == 0
    [outcome] = sent(hub.pipeline, signed(pki))
    assert outcome.code == "exchange.service_paused"
    fault = read_fault(open_envelope(outcome.container))
    assert fault.is_retryable
    assert fault.detail.startswith("until ")
    hub.pauses.resume(LABOUR_ECHO, by="tests")
    assert worked(hub) == 1
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)


def test_a_worker_that_is_stopped_gives_back_what_it_was_at(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.is_holding = True
    taken(hub, request_)

    async def work() -> None:
        running = asyncio.create_task(hub.worker.run())
        while not courier.delivered:  # noqa: ASYNC110 - the courier is no event of asyncio
            await asyncio.sleep(0.01)
        hub.worker.stop()
        await running

    asyncio.run(work())
    waiting = delivery(hub, request_)
    assert (waiting.state, waiting.tries, waiting.attempts) == (DeliveryState.WAITING, 0, 1)
    [attempt] = hub.outbox.attempts_of(waiting.number)
    assert (attempt.code, attempt.detail) == ("exchange.internal", "the worker was stopped")


def test_a_worker_outlives_a_database_that_is_away_for_a_while(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    """The table is away, which is as good as a server that is."""
    taken(hub, request_)

    async def work() -> None:
        rename(hub, "deliveries", "elsewhere")
        running = asyncio.create_task(hub.worker.run())
        await asyncio.sleep(0.5)
        rename(hub, "elsewhere", "deliveries")
        while not courier.delivered:  # noqa: ASYNC110 - the courier is no event of asyncio
            await asyncio.sleep(0.01)
        hub.worker.stop()
        await running

    asyncio.run(work())
    assert state(hub, request_) == (ExchangeState.PROCESSED, None)


def rename(hub: Hub, one: str, other: str) -> None:
    with hub.engine.begin() as connection:
        connection.exec_driver_sql(f'ALTER TABLE "{one}" RENAME TO "{other}"')


def test_a_message_whose_content_was_erased_ends_without_being_delivered(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    taken(hub, request_)
    hub.vault.refresh()
    later = replace(hub.eraser, clock=FixedClock(SystemClock().now() + timedelta(days=40)))
    for key_id in hub.vault.keys_on_record:
        later.erase(key_id, reason="test", by="tests", before_its_time=True)
    worked(hub)
    assert courier.delivered == []
    assert state(hub, request_) == (ExchangeState.REFUSED, "vault.erased")
    assert delivery(hub, request_).state is DeliveryState.DEAD
    assert events(hub, request_) == [EntryEvent.ACCEPTED, EntryEvent.FAILED]
    assert hub.dead_letters.preview([delivery(hub, request_).number]).cannot == (
        (delivery(hub, request_).number, "vault.erased"),
    )
