# SPDX-License-Identifier: Apache-2.0
"""A gateway tells the hub how it is; silence and a clock that is off raise an alarm, which ends."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from adapters.configuration import ConfiguredAdapter
from adapters.queue import QueueDepth
from adapters.reporting import Fortunes, Reported, StatusReporter
from hub.accounts import Role
from hub.clock import Clock, SystemClock
from hub.demo.preparation import FUND
from hub.errors import HubError
from hub.operations import Gateways
from hub.telemetry import State
from tests.journeys.departments import ECHO, LABOUR_ECHO
from tests.journeys.portal import PORTAL, text_of, visiting
from tests.journeys.test_collection import Desk, Office

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.journeys.world import World


@dataclass
class ShiftedClock(Clock):
    """The machine's clock, put forward or back by a test."""

    forward: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return SystemClock().now() + self.forward


def reporter(world: World, clock: Clock, folder: Path, fortunes: Fortunes | None = None) -> StatusReporter:
    client = replace(Office(world, folder).client(FUND), clock=clock)
    adapter = ConfiguredAdapter(LABOUR_ECHO, ECHO, "rest", 10.0, Desk(), digest="a" * 64, version=3)
    return StatusReporter(
        client=client,
        reported=Reported(
            services=lambda: [adapter],
            fortunes=fortunes or Fortunes(),
            depth=lambda: QueueDepth(waiting=2, oldest_waiting_since=clock.now()),
            certificates=lambda: [("signing", world.pki.signer("federation-sign").certificate_chain[0])],
            collects=True,
        ),
        every_seconds=60,
        clock=clock,
    )


def shown(world: World) -> dict[str, Any]:
    """Return what the hub shows of the fund's gateway."""
    answer = world.http.get(f"{world.url}/api/v1/gateways", headers=world.token(Role.OPERATOR))
    [found] = [each for each in answer.json() if each["gateway"] == FUND]
    return dict(found)


def open_alarms(world: World) -> set[str]:
    world.hub.writer.run(lambda _connection: None)
    return {each.kind.code for each in world.hub.alarms.alarms() if each.subject == FUND}


def test_the_hub_shows_what_a_gateway_says_of_itself(world: World, tmp_path: Path) -> None:
    fortunes, clock = Fortunes(), SystemClock()
    at = clock.now()
    fortunes.note(LABOUR_ECHO, None, at)
    fortunes.note(LABOUR_ECHO, "adapter.system_timeout", at)
    # What its sender did wrong says nothing of the adapter.
    fortunes.note(LABOUR_ECHO, "contract.request_invalid", at + timedelta(hours=1))
    told = reporter(world, clock, tmp_path, fortunes)
    told.report()
    found = shown(world)
    assert not found["is_silent"]
    assert abs(found["clock_ahead_ms"]) < 30_000
    [adapter] = found["report"]["adapters"]
    assert (adapter["digest"], adapter["version"]) == ("a" * 64, 3)
    assert adapter["last_failure_code"] == "adapter.system_timeout"
    assert adapter["last_success"] == adapter["last_failure"]
    assert found["report"]["queue"]["waiting"] == 2
    assert [each["use"] for each in found["report"]["certificates"]] == ["signing"]
    assert told.clock_condition().state is State.OK


@pytest.mark.parametrize(("language", "words"), [("en", "Reports"), ("zh-CN", "正常报告")])
def test_operators_see_gateways_on_the_page_of_partners(
    world: World, tmp_path: Path, language: str, words: str
) -> None:
    reporter(world, SystemClock(), tmp_path).report()
    with visiting(world, Role.OPERATOR, language=language) as visit:
        page = visit.get(f"{PORTAL}/partners")
    assert page.status_code == 200
    _, _, gateways = text_of(page.text).partition("What each gateway" if language == "en" else "各前置机")
    assert words in gateways
    assert "fund" in gateways


@pytest.mark.parametrize("minutes", [2, -3])
def test_a_clock_that_is_off_raises_an_alarm_and_ends_it_when_it_is_set(
    world: World, tmp_path: Path, minutes: int
) -> None:
    clock = ShiftedClock()
    told = reporter(world, clock, tmp_path)
    clock.forward = timedelta(minutes=minutes)
    # By a clock that is behind, fresh revocation answers are from the future: the hub is not believed.
    with nullcontext() if minutes > 0 else suppress(HubError):
        told.report()
        assert told.clock_condition().state is State.IMPAIRED
    world.hub.operations.gateways.look(is_new=False)
    assert open_alarms(world) == {"gateway.clock_off"}
    clock.forward = timedelta()
    told.report()
    world.hub.operations.gateways.look(is_new=False)
    assert open_alarms(world) == set()
    assert told.clock_condition().state is State.OK


def test_a_clock_far_ahead_is_refused_and_the_gateway_knows_why(world: World, tmp_path: Path) -> None:
    told = reporter(world, ShiftedClock(timedelta(minutes=30)), tmp_path)
    with pytest.raises(HubError) as refused:
        told.report()
    # Its certificates still hold then, and what the hub signs is believed: only the time is wrong.
    assert refused.value.code == "exchange.from_the_future"
    condition = told.clock_condition()
    assert condition.state is State.FAILED
    assert "from_the_future" in condition.detail


def test_a_gateway_that_falls_silent_raises_an_alarm_that_ends_when_it_speaks(
    world: World, tmp_path: Path
) -> None:
    told = reporter(world, SystemClock(), tmp_path)
    told.report()
    later, hub = ShiftedClock(), world.hub
    gateways = Gateways(hub.engine, hub.writer, hub.alarms, later)
    gateways.look(is_new=False)
    assert open_alarms(world) == set()
    later.forward = timedelta(minutes=4)
    # A hub that was away itself could hear nobody, and accuses nobody.
    gateways.look(is_new=True)
    assert open_alarms(world) == set()
    later.forward += timedelta(minutes=4)
    gateways.look(is_new=False)
    assert open_alarms(world) == {"gateway.silent"}
    told.report()
    hub.operations.gateways.look(is_new=False)
    assert open_alarms(world) == set()


def test_a_gateway_that_is_gone_for_good_is_forgotten(world: World, tmp_path: Path) -> None:
    told = reporter(world, SystemClock(), tmp_path)
    told.report()
    later = ShiftedClock(timedelta(days=31))
    gateways = Gateways(world.hub.engine, world.hub.writer, world.hub.alarms, later)
    gateways.tidy()
    assert FUND not in {each.gateway for each in gateways.list()}
