# SPDX-License-Identifier: Apache-2.0
"""A database with a registry of one service and one expectation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub.alarms import Alarms
from hub.clock import FixedClock
from hub.database import ServingClaim, Writer, open_database
from hub.exchange import Seen
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
from hub.operations import Flows, Traffic, Watch, WeatherMap
from hub.outbox import BreakerState, Lane, Outbox, Pauses
from hub.registry import AccessRight, Member, MemberStatus, Registry, Service, Subsystem, Title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from hub.errors import Culprit

NOW = datetime(2026, 3, 2, 8, 0, 0, tzinfo=UTC)
ASKING = SubsystemId("13510108MB1A00003J/fund")
ASKED = SubsystemId("11510108MB1A00002M/employment")
SERVICE = ServiceId(f"{ASKED}/record")
NAME = Title(zh="测试", en="Test")


@dataclass
class Delivering:
    """A deliverer whose breakers are told."""

    number: int = 7
    is_at_work: bool = True
    states: Mapping[Lane, BreakerState] | None = None

    def breakers(self) -> Mapping[Lane, BreakerState]:
        return self.states or {}


@dataclass
class Bench:
    """Everything of the slice on one database."""

    engine: Engine
    writer: Writer
    clock: FixedClock
    registry: Registry
    alarms: Alarms
    traffic: Traffic
    flows: Flows
    weather: WeatherMap
    outbox: Outbox
    pauses: Pauses
    deliverer: Delivering
    watch: Watch

    def expect(self, minutes: int | None) -> None:
        """Grant the right, with an expectation or without."""
        right = AccessRight(
            id="fund-asks",  # type: ignore[arg-type]  # a literal id
            consumer=ASKING,
            service=SERVICE,
            purposes=("000788002000",),
            legal_basis="测试",
            valid_from=date(2026, 1, 1),
            silent_after_minutes=minutes,
        )
        self.registry.put(right, by="test")

    def seen(self, code: str | None = None, culprit: Culprit | None = None, *, seconds: float = 0.02) -> None:
        """Let a message pass now."""
        lane = Lane(SERVICE)
        self.traffic.note(
            Seen(
                at=self.clock.now(),
                sender=ASKING,
                service=SERVICE,
                lane=lane,
                code=code,
                culprit=culprit,
                seconds=seconds,
            )
        )

    def pass_minutes(self, minutes: float) -> None:
        """Let time pass, with a look every minute, as the watch has it."""
        for _ in range(int(minutes)):
            self.clock.move_to(self.clock.now() + timedelta(minutes=1))
            self.watch.flush()
            self.watch.look()

    def settle(self) -> None:
        """Wait until alarms that were raised are written."""
        self.writer.run(lambda _connection: None)

    def open_alarms(self) -> dict[str, str]:
        """Return the subjects of the open alarms, by code."""
        self.settle()
        return {each.kind.code: each.subject for each in self.alarms.alarms()}

    def raised(self, code: str) -> int:
        """Return how many alarms of a code there were, those that are over included."""
        self.settle()
        return sum(each.kind.code == code for each in self.alarms.alarms(with_cleared=True))


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    engine = open_database(database_url)
    writer, clock = Writer(engine), FixedClock(NOW)
    alarms = Alarms(engine, writer, clock)
    registry = Registry(engine, writer, clock)
    registry.apply(
        (
            *(
                Member(id=MemberId(each[:18]), names=NAME, status=MemberStatus.ACTIVE)
                for each in (ASKING, ASKED)
            ),
            Subsystem(id=ASKING, titles=NAME),
            Subsystem(id=ASKED, titles=NAME),
            Service(
                id=SERVICE,
                contract=ContractId("record/v1"),
                gateway_url="https://gateway.labour.example:8500/messages",
                timeout_seconds=10,
                titles=NAME,
            ),
        ),
        by="test",
    )
    outbox, pauses = Outbox(engine, writer, clock, ServingClaim(engine)), Pauses(engine, writer, clock)
    traffic = Traffic()
    flows = Flows(engine, writer, registry, alarms, clock)
    deliverer = Delivering()
    watch = Watch(
        engine=engine,
        writer=writer,
        clock=clock,
        alarms=alarms,
        traffic=traffic,
        flows=flows,
        outbox=outbox,
        pauses=pauses,
        deliverer=deliverer,
        data_folder=tmp_path,
        disk_alarm_mebibytes=0,
        outbox_alarm=timedelta(minutes=30),
    )
    weather = WeatherMap(engine, registry, outbox, pauses, clock)
    yield Bench(
        engine, writer, clock, registry, alarms, traffic, flows, weather, outbox, pauses, deliverer, watch
    )
    writer.close()
    engine.dispose()
