# SPDX-License-Identifier: Apache-2.0
"""A partner that fails again and again is left alone, and one delivery finds out whether it is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.outbox import Breaker, BreakerState
from hub.registry import DeliveryPolicy

POLICY = DeliveryPolicy(breaker_failures=3, breaker_seconds=30)
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def opened() -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(3):
        breaker.failed(START)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(POLICY)
    breaker.failed(START)
    breaker.failed(START)
    breaker.succeeded()
    breaker.failed(START)
    breaker.failed(START)
    assert breaker.allows(START)
    breaker.failed(START)
    assert not breaker.allows(START)
    assert breaker.state(START) is BreakerState.OPEN


def test_when_its_time_is_over_one_delivery_goes_out_and_no_second_one() -> None:
    breaker = opened()
    assert not breaker.allows(at(29.9))
    assert breaker.state(at(30)) is BreakerState.HALF_OPEN
    assert breaker.allows(at(30))
    breaker.begun(at(30))
    assert not breaker.allows(at(31))


def test_an_answer_closes_it() -> None:
    breaker = opened()
    breaker.begun(at(30))
    breaker.succeeded()
    assert breaker.state(at(31)) is BreakerState.CLOSED
    breaker.failed(at(32))
    assert breaker.allows(at(32)), "failures are counted anew"


def test_a_failed_trial_opens_it_again_for_as_long() -> None:
    breaker = opened()
    breaker.begun(at(30))
    breaker.failed(at(31))
    assert not breaker.allows(at(60.9))
    assert breaker.allows(at(61))


def test_what_was_under_way_when_it_opened_does_not_keep_it_open_longer() -> None:
    breaker = opened()
    breaker.failed(at(20))
    assert breaker.allows(at(30))


def test_a_trial_that_was_broken_off_makes_room_for_another() -> None:
    breaker = opened()
    breaker.begun(at(30))
    breaker.gave_up()
    assert breaker.allows(at(30))
