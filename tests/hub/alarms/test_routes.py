# SPDX-License-Identifier: Apache-2.0
# Annotations are evaluated here, as in the module under test.
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.accounts import Accounts, Principal, Role, authenticated
from hub.alarms import Alarms, alarm_routes
from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.problems import install_problems

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    http: TestClient
    alarms: Alarms
    writer: Writer
    headers: dict[str, str]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = open_database(database_url)
    writer = Writer(engine)
    clock = FixedClock(NOW)
    accounts, alarms = Accounts(engine, writer, clock), Alarms(engine, writer, clock)
    token = accounts.issue(Principal("Li Wei", frozenset({Role.OPERATOR})), timedelta(days=1)).secret
    app = FastAPI()
    install_problems(app)
    app.include_router(alarm_routes(alarms, authenticated(accounts)))
    with TestClient(app) as http:
        yield Desk(http, alarms, writer, {"Authorization": f"Bearer {token}"})
    writer.close()
    engine.dispose()


def test_an_operator_sees_what_is_open_and_takes_care(desk: Desk) -> None:
    desk.alarms.raise_alarm("trust.tsa_unreachable", "the log", "both were asked")
    desk.alarms.raise_alarm("trust.stamps_waiting", "the log", "7 wait")
    desk.alarms.clear("trust.stamps_waiting", "the log")
    desk.writer.run(lambda _connection: None)

    [row] = desk.http.get("/api/v1/alarms", headers=desk.headers).json()
    assert (row["code"], row["severity"], row["subject"], row["detail"], row["count"]) == (
        "trust.tsa_unreachable",
        "warning",
        "the log",
        "both were asked",
        1,
    )
    assert row["raised_at"] == "2026-03-01T08:00:00.000Z"
    assert row["message"].keys() == row["cure"].keys() == {"en", "zh-CN"}

    answer = desk.http.post(f"/api/v1/alarms/{row['id']}/acknowledgement", headers=desk.headers)
    assert answer.json() == row | {
        "acknowledged_by": "Li Wei",
        "acknowledged_at": "2026-03-01T08:00:00.000Z",
    }

    both = desk.http.get("/api/v1/alarms?cleared=true&most=5", headers=desk.headers).json()
    assert [(each["code"], each["cleared_at"] is None) for each in both] == [
        ("trust.stamps_waiting", False),
        ("trust.tsa_unreachable", True),
    ]


@pytest.mark.parametrize(("alarm_id", "status"), [("4711", 404), ("0", 400), ("x", 400), ("9" * 30, 400)])
def test_an_alarm_that_is_none_cannot_be_acknowledged(desk: Desk, alarm_id: str, status: int) -> None:
    answer = desk.http.post(f"/api/v1/alarms/{alarm_id}/acknowledgement", headers=desk.headers)
    assert answer.status_code == status
    assert answer.json()["code"] == ("alarm.unknown" if status == 404 else "exchange.request_invalid")
