# SPDX-License-Identifier: Apache-2.0
"""What the weather is called, and what is put before an operator first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.alarms import Alarm, alarm_kinds
from hub.identifiers import ServiceId, SubsystemId
from hub.operations import FlowState, PartnerWeather
from hub.outbox import BreakerState, Depth, Pause
from hub.portal.attention import Attention, attention_of
from hub.portal.weather import Sky, forecasts, sky_over

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
PROVIDER = SubsystemId("11510108MB1A00002M/employment")
SERVICE = ServiceId(f"{PROVIDER}/echo")
OTHER = ServiceId(f"{PROVIDER}/other")
FINE = PartnerWeather(
    service=SERVICE,
    subscriber=None,
    gateway_host="gateway.example:8444",
    attempts=100,
    success_rate=1.0,
    p50_ms=30,
    p95_ms=90,
    last_contact=NOW,
    last_failure=None,
    last_failure_code=None,
    breaker=BreakerState.CLOSED,
    waiting=0,
    oldest_waiting_since=None,
    dead=0,
    pause=None,
)
PAUSE = Pause(service=SERVICE, by="Li", reason="disks", since=NOW, until=NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("changes", "sky"),
    [
        ({}, Sky.SUN),
        ({"success_rate": 0.99}, Sky.SUN),
        ({"success_rate": 0.98}, Sky.CLOUDS),
        ({"success_rate": 0.9}, Sky.CLOUDS),
        ({"success_rate": 0.89}, Sky.RAIN),
        ({"success_rate": None, "attempts": 0}, Sky.CALM),
        ({"breaker": BreakerState.HALF_OPEN}, Sky.CLOUDS),
        ({"breaker": BreakerState.OPEN}, Sky.STORM),
        ({"oldest_waiting_since": NOW - timedelta(minutes=15)}, Sky.SUN),
        ({"oldest_waiting_since": NOW - timedelta(minutes=16)}, Sky.RAIN),
        ({"breaker": BreakerState.OPEN, "pause": PAUSE}, Sky.PAUSED),
    ],
)
def test_many_figures_become_one_word(changes: dict[str, Any], sky: Sky) -> None:
    assert sky_over(replace(FINE, **changes), NOW) is sky


def test_the_worst_weather_stands_first() -> None:
    partners = [
        FINE,
        replace(FINE, service=OTHER, breaker=BreakerState.OPEN),
        replace(FINE, success_rate=0.5),
        replace(FINE, pause=PAUSE),
    ]
    assert [each.sky for each in forecasts(partners, NOW)] == [Sky.STORM, Sky.RAIN, Sky.PAUSED, Sky.SUN]


def test_the_partner_of_an_event_service_is_the_subscriber() -> None:
    subscriber = SubsystemId("13510108MB1A00003J/fund")
    [own] = forecasts([FINE], NOW)
    [events] = forecasts([replace(FINE, subscriber=subscriber)], NOW)
    assert (own.partner, events.partner) == (PROVIDER, subscriber)


def alarm(number: int, code: str = "log.not_sealed", by: str | None = None) -> Alarm:
    return Alarm(number, alarm_kinds()[code], "x", "y", NOW, NOW, 1, acknowledged_by=by)


def attention(**given: Any) -> Attention:
    nothing: dict[str, Any] = {"alarms": (), "depth": {}, "flows": (), "partners": (), "pauses": ()}
    return attention_of(**nothing | given)


def flow(is_silent: bool) -> FlowState:  # noqa: FBT001 - the one thing that matters
    return FlowState(
        consumer=PROVIDER,
        service=SERVICE,
        longest_silence=timedelta(minutes=30),
        last_at=NOW,
        is_silent=is_silent,
        since=NOW,
    )


class TestAttention:
    def test_when_all_is_well_nothing_needs_attention(self) -> None:
        calm = attention(
            alarms=[alarm(1, by="Li")],
            depth={SERVICE: Depth(claimed=2, deferred=1)},
            flows=[flow(is_silent=False)],
            partners=forecasts([FINE], NOW),
            pauses=[PAUSE],
        )
        assert (calm.matters, calm.dead_letters, calm.messages_waiting) == (0, 0, 0)
        assert [each.id for each in calm.claimed] == [1]

    @pytest.mark.parametrize(
        "given",
        [
            {"alarms": [alarm(1)]},
            {"depth": {SERVICE: Depth(dead=1)}},
            {"flows": [flow(is_silent=True)]},
            {"partners": forecasts([replace(FINE, success_rate=0.1)], NOW)},
        ],
    )
    def test_each_kind_of_trouble_counts(self, given: dict[str, Any]) -> None:
        assert attention(**given).matters == 1

    def test_what_presses_most_and_has_nobody_stands_first(self) -> None:
        warning = next(each.code for each in alarm_kinds().values() if each.severity == "warning")
        info = [each.code for each in alarm_kinds().values() if each.severity == "info"]
        alarms = [alarm(1, warning), alarm(2), alarm(3, by="Li"), alarm(4)]
        alarms += [alarm(5, each) for each in info[:1]]
        found = attention(alarms=alarms)
        assert [each.id for each in found.unclaimed] == [4, 2, 1]
        assert [each.id for each in found.claimed] == [3]

    def test_queues_are_told_by_what_matters_in_each(self) -> None:
        hour, minute = NOW - timedelta(hours=1), NOW - timedelta(minutes=1)
        found = attention(
            depth={
                SERVICE: Depth(waiting=5, dead=1, oldest_waiting_since=minute),
                OTHER: Depth(waiting=2, dead=7, oldest_waiting_since=hour),
            }
        )
        assert [each.service for each in found.dead] == [OTHER, SERVICE]
        assert [each.service for each in found.waiting] == [OTHER, SERVICE]
        assert (found.dead_letters, found.messages_waiting) == (8, 7)
