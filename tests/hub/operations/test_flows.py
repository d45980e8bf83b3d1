# SPDX-License-Identifier: Apache-2.0
"""Silent flows: one alarm when a flow falls silent, its end when it is heard again, and none in between."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.errors import Culprit
from hub.operations.model import FlowMark, is_silent
from tests.hub.operations.conftest import ASKING, NOW, SERVICE

if TYPE_CHECKING:
    from tests.hub.operations.conftest import Bench

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("last", "watched", "silent_since", "told"),
    [
        (NOW - HOUR, None, None, "heard"),
        (NOW - HOUR, NOW - 9 * HOUR, None, "heard"),
        (NOW - 2 * HOUR, NOW - 9 * HOUR, None, "silent"),
        (None, NOW - 2 * HOUR, None, "silent"),
        (None, NOW - HOUR, None, "heard"),
        (None, None, None, "heard"),
        # Nobody watched for a while: it has its whole time again, unless it was silent before.
        (NOW - 9 * HOUR, NOW, None, "heard"),
        (NOW - 9 * HOUR, NOW, NOW - 3 * HOUR, "silent"),
        (NOW, NOW - 9 * HOUR, NOW - 3 * HOUR, "heard"),
    ],
)
def test_a_flow_is_silent_when_nothing_was_answered_for_longer_than_allowed(
    last: object, watched: object, silent_since: object, told: str
) -> None:
    mark = FlowMark(last_at=last, watched_since=watched, silent_since=silent_since)  # type: ignore[arg-type]  # a table
    assert is_silent(mark, HOUR, NOW) is (told == "silent")


def test_there_is_one_alarm_when_a_flow_falls_silent_and_it_ends_when_it_is_heard(bench: Bench) -> None:
    bench.expect(10)
    bench.watch.look()
    bench.seen()
    bench.pass_minutes(10)
    assert bench.open_alarms() == {}
    bench.pass_minutes(15)
    assert bench.open_alarms() == {"flow.silent": f"{ASKING} {SERVICE}"}
    (state,) = bench.flows.list()
    assert (state.is_silent, state.longest_silence) == (True, timedelta(minutes=10))
    assert bench.raised("flow.silent") == 1
    bench.seen()
    bench.pass_minutes(1)
    assert bench.open_alarms() == {}
    (state,) = bench.flows.list()
    assert (state.is_silent, state.last_at) == (False, bench.clock.now() - timedelta(minutes=1))
    bench.pass_minutes(15)
    assert bench.raised("flow.silent") == 2


def test_requests_that_are_not_answered_are_silence(bench: Bench) -> None:
    bench.expect(5)
    bench.watch.look()
    for _ in range(8):
        bench.seen("exchange.undeliverable", Culprit.RECIPIENT)
        bench.pass_minutes(1)
    assert "flow.silent" in bench.open_alarms()


def test_a_fault_that_its_sender_has_to_act_on_is_an_answer(bench: Bench) -> None:
    bench.expect(5)
    bench.watch.look()
    for _ in range(8):
        bench.seen("adapter.record_not_found", Culprit.SENDER)
        bench.pass_minutes(1)
    assert bench.open_alarms() == {}


def test_an_expectation_begins_when_it_is_entered_and_ends_with_it(bench: Bench) -> None:
    bench.expect(None)
    bench.pass_minutes(20)
    assert bench.flows.list() == ()
    bench.expect(10)
    bench.pass_minutes(9)
    assert bench.open_alarms() == {}
    bench.pass_minutes(5)
    assert "flow.silent" in bench.open_alarms()
    bench.expect(None)
    bench.pass_minutes(1)
    assert bench.open_alarms() == {}


def test_time_during_which_no_hub_watched_is_no_silence(bench: Bench) -> None:
    bench.expect(10)
    bench.pass_minutes(3)
    bench.clock.move_to(bench.clock.now() + timedelta(hours=5))
    bench.pass_minutes(9)
    assert bench.open_alarms() == {}
    bench.pass_minutes(3)
    assert "flow.silent" in bench.open_alarms()


def test_a_flow_that_was_silent_stays_so_over_a_restart_and_is_told_once(bench: Bench) -> None:
    bench.expect(10)
    bench.pass_minutes(15)
    bench.clock.move_to(bench.clock.now() + timedelta(hours=5))
    bench.pass_minutes(2)
    assert "flow.silent" in bench.open_alarms()
    assert bench.raised("flow.silent") == 1
