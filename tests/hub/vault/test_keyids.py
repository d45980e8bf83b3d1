# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from hub.contracts import RetentionPeriod
from hub.vault import KeyId
from hub.vault.keyids import month_of


@pytest.mark.parametrize("text", ["2026-03_P10Y_1", "2026-12_P1Y6M_2", "2026-01_permanent_1"])
def test_a_name_reads_as_it_is_written(text: str) -> None:
    assert str(KeyId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-13_P10Y_1",
        "2026-03_P10Y_0",
        "2026-03_P_1",
        "2026-03_P0Y_1",
        "../2026-03_P10Y_1",
        "2026-03_P10Y",
    ],
)
def test_nothing_else_is_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"named|retention"):
        KeyId.parse(text)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("2026-03_P10Y_1", datetime(2036, 4, 1, tzinfo=UTC)),
        ("2026-12_P30D_1", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2026-02_P6M_1", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-03_permanent_1", None),
    ],
)
def test_retention_counts_from_the_end_of_the_month(name: str, end: datetime | None) -> None:
    assert KeyId.parse(name).retention_ends_at == end


def test_a_key_is_in_use_until_a_day_after_its_month_so_that_a_slow_clock_finds_it() -> None:
    key_id = KeyId.parse("2026-03_P1D_1")
    assert key_id.is_in_use(datetime(2026, 4, 1, 23, 59, tzinfo=UTC))
    assert not key_id.is_in_use(datetime(2026, 4, 2, tzinfo=UTC))


def test_months_are_those_of_utc() -> None:
    in_china = datetime(2026, 4, 1, 7, tzinfo=timezone(timedelta(hours=8)))
    assert month_of(in_china) == "2026-03"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("P1M", date(2026, 2, 28)),
        ("P1Y1M", date(2027, 2, 28)),
        ("P1M1D", date(2026, 3, 1)),
        ("P25M", date(2028, 2, 29)),
        ("permanent", None),
    ],
)
def test_a_month_s_last_day_stands_in_for_a_day_it_has_not(text: str, end: date | None) -> None:
    assert RetentionPeriod(text).end_from(date(2026, 1, 31)) == end


@pytest.mark.parametrize(
    "text", ["", "P", "P0D", "10Y", "P10W", "PT1H", "P-1Y", "P1D1Y", "P10Y ", "forever", "P１Y"]
)
def test_what_is_no_retention_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="retention"):
        RetentionPeriod(text)


def test_the_longer_period_is_the_one_that_ends_later() -> None:
    assert RetentionPeriod("P10Y").is_longer_than(RetentionPeriod("P119M"))
    assert RetentionPeriod("permanent").is_longer_than(RetentionPeriod("P100Y"))
    assert not RetentionPeriod("P10Y").is_longer_than(RetentionPeriod("permanent"))
    assert not RetentionPeriod("P1Y").is_longer_than(RetentionPeriod("P12M"))
