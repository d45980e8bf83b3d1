# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Accounts, Principal, Role
from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.identifiers import SubsystemId

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FUND = SubsystemId("13510108MB1A00003J/fund")
ADMINISTRATOR = Principal("operations desk", frozenset({Role.ADMINISTRATOR}))
GATEWAY = Principal("federation gateway", frozenset({Role.GATEWAY}), FUND)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def accounts(database_url: str, clock: FixedClock) -> Iterator[Accounts]:
    engine = open_database(database_url)
    writer = Writer(engine)
    yield Accounts(engine, writer, clock)
    writer.close()
    engine.dispose()
