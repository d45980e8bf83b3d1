# SPDX-License-Identifier: Apache-2.0
"""A partner that fails again and again is left alone, and one delivery finds out whether it is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.outbox import Breaker, BreakerState
from hub.registry import DeliveryPolicy

POLICY = DeliveryPolicy(breaker_failures=3, breaker_seconds=32)
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
    assert not breaker.allows(at(1.9))
    assert breaker.state(at(2)) is BreakerState.HALF_OPEN
    assert breaker.allows(at(2))
    breaker.begun(at(2))
    assert not breaker.allows(at(3))


def test_an_answer_closes_it() -> None:
    breaker = opened()
    breaker.begun(at(2))
    breaker.succeeded()
    assert breaker.state(at(3)) is BreakerState.CLOSED
    breaker.failed(at(4))
    assert breaker.allows(at(4)), "failures are counted anew"


def test_each_failed_trial_opens_it_for_twice_as_long_until_the_longest() -> None:
    breaker = opened()
    now = 2.0
    for seconds in (4, 8, 16, 32, 32, 32):
        breaker.begun(at(now))
        breaker.failed(at(now))
        assert not breaker.allows(at(now + seconds - 0.1))
        assert breaker.allows(at(now + seconds))
        now += seconds


def test_after_an_answer_it_opens_for_a_short_time_again() -> None:
    breaker = opened()
    for now in (2, 6):
        breaker.begun(at(now))
        breaker.failed(at(now))
    breaker.begun(at(14))
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(at(20))
    assert not breaker.allows(at(21.9))
    assert breaker.allows(at(22))


def test_what_was_under_way_when_it_opened_does_not_keep_it_open_longer() -> None:
    breaker = opened()
    breaker.failed(at(1))
    assert breaker.allows(at(2))


def test_a_trial_that_was_broken_off_makes_room_for_another() -> None:
    breaker = opened()
    breaker.begun(at(2))
    breaker.gave_up()
    assert breaker.allows(at(2))
