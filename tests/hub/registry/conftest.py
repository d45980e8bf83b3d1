# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
from hub.registry import (
    AccessRight,
    AccessRightId,
    Member,
    MemberStatus,
    Registry,
    RegistryEntry,
    Service,
    Subsystem,
    Title,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
LABOUR = MemberId("11510108MB1A00002M")
FEDERATION = MemberId("13510108MB1A00003J")
FUND = SubsystemId(f"{FEDERATION}/fund")
EMPLOYMENT = SubsystemId(f"{LABOUR}/employment")
PROOF = ServiceId(f"{LABOUR}/employment/proof")
PURPOSE = "000788002000"
CONTRACT = ContractId("disability-employment-proof/v1")

LABOUR_MEMBER = Member(
    id=LABOUR,
    names=Title(zh="成华区人力资源和社会保障局", en="Labour and Social Security Bureau"),
    status=MemberStatus.ACTIVE,
)
FEDERATION_MEMBER = Member(
    id=FEDERATION, names=Title(zh="成华区残疾人联合会", en="Federation"), status=MemberStatus.ACTIVE
)
FUND_SYSTEM = Subsystem(id=FUND, titles=Title(zh="保障金系统", en="Fund system"))
EMPLOYMENT_SYSTEM = Subsystem(id=EMPLOYMENT, titles=Title(zh="就业系统", en="Employment system"))
PROOF_SERVICE = Service(
    id=PROOF,
    contract=CONTRACT,
    gateway_url="http://127.0.0.1:8101/",
    timeout_seconds=30,
    titles=Title(zh="残疾人就业证明", en="Disability employment proof"),
)
RIGHT = AccessRight(
    id=AccessRightId("fund-asks-proof"),
    consumer=FUND,
    service=PROOF,
    purposes=(PURPOSE,),
    legal_basis="残疾人就业条例 第八条",
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
)
ENTRIES: tuple[RegistryEntry, ...] = (
    LABOUR_MEMBER,
    FEDERATION_MEMBER,
    FUND_SYSTEM,
    EMPLOYMENT_SYSTEM,
    PROOF_SERVICE,
    RIGHT,
)
FILE = f"""\
members:
  - id: {LABOUR}
    names: {{zh: 成华区人力资源和社会保障局, en: Labour and Social Security Bureau}}
    status: active
  - id: {FEDERATION}
    names: {{zh: 成华区残疾人联合会, en: Federation}}
    status: active
subsystems:
  - id: {FUND}
    titles: {{zh: 保障金系统, en: Fund system}}
  - id: {EMPLOYMENT}
    titles: {{zh: 就业系统, en: Employment system}}
services:
  - id: {PROOF}
    contract: {CONTRACT}
    gateway_url: http://127.0.0.1:8101/
    timeout_seconds: 30
    titles: {{zh: 残疾人就业证明, en: Disability employment proof}}
access_rights:
  - id: fund-asks-proof
    consumer: {FUND}
    service: {PROOF}
    purposes: ["{PURPOSE}"]
    legal_basis: 残疾人就业条例 第八条
    valid_from: 2026-01-01
    valid_until: 2026-12-31
"""


@dataclass(frozen=True)
class RunningRegistry:
    engine: Engine
    writer: Writer
    clock: FixedClock
    registry: Registry


@pytest.fixture
def running(database_url: str) -> Iterator[RunningRegistry]:
    engine = open_database(database_url)
    writer = Writer(engine)
    clock = FixedClock(NOW)
    yield RunningRegistry(engine, writer, clock, Registry(engine, writer, clock))
    writer.close()
    engine.dispose()


@pytest.fixture
def registry(running: RunningRegistry) -> Registry:
    running.registry.apply(ENTRIES, by="set-up")
    return running.registry
