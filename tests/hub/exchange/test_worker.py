# SPDX-License-Identifier: Apache-2.0
"""What nobody waits for is delivered from the outbox, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import SystemClock
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
from tests.hub.exchange.conftest import sent
from tests.journeys.departments import LABOUR_ECHO

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import Outcome
    from hub.outbox import Delivery
    from tests.hub.exchange.conftest import Courier

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
