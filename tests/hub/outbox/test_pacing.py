# SPDX-License-Identifier: Apache-2.0
"""A partner gets no more at a time, and no more in a second, than its policy says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.outbox import Lane, Pace, Paces
from hub.registry import DeliveryPolicy

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_no_more_run_at_a_time_than_the_policy_says() -> None:
    pace = Pace(DeliveryPolicy(concurrency=2))
    assert pace.room(START) == 2
    pace.begin(START)
    pace.begin(START)
    assert pace.room(START) == 0
    pace.end(START, is_answered=True)
    assert pace.room(START) == 1


def test_no_more_begin_in_a_second_than_the_policy_says() -> None:
    pace = Pace(DeliveryPolicy(concurrency=100, per_second=5))
    begun = 0
    for tenth in range(100):
        now = at(tenth / 10)
        for _ in range(pace.room(now)):
            pace.begin(now)
            begun += 1
    assert 48 <= begun <= 55


def test_less_than_one_in_a_second_is_possible() -> None:
    pace = Pace(DeliveryPolicy(per_second=0.1))
    assert pace.room(START) == 1
    pace.begin(START)
    assert pace.room(at(9)) == 0
    assert pace.room(at(11)) == 1


def test_what_was_not_used_is_not_saved_up() -> None:
    pace = Pace(DeliveryPolicy(concurrency=100, per_second=5))
    pace.room(START)
    assert pace.room(at(3600)) == 5


def test_workers_share_concurrency_and_rate() -> None:
    paces = Paces()
    policy = DeliveryPolicy(concurrency=8, per_second=8)
    pace = paces.of(Lane("a"), policy, workers=4)
    pace.room(START)
    assert pace.room(at(100)) == 2


def test_an_open_breaker_leaves_no_room_and_a_half_open_one_room_for_one() -> None:
    pace = Pace(DeliveryPolicy(breaker_failures=1, breaker_seconds=10))
    pace.begin(START)
    pace.end(START, is_answered=False)
    assert pace.room(START) == 0
    assert pace.room(at(10)) == 1
    pace.begin(at(10))
    assert pace.room(at(10)) == 0
    pace.end(at(11), is_answered=None)
    assert pace.room(at(11)) == 1


def test_a_changed_policy_holds_at_once_and_forgives() -> None:
    paces = Paces()
    pace = paces.of(Lane("a"), DeliveryPolicy(concurrency=1, breaker_failures=1))
    assert pace.room(START) == 1
    pace.begin(START)
    pace.end(START, is_answered=False)
    assert paces.of(Lane("a"), DeliveryPolicy(concurrency=1, breaker_failures=1)).room(START) == 0
    assert paces.of(Lane("a"), DeliveryPolicy(concurrency=6, breaker_failures=1)).room(START) == 6
