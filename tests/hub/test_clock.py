# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clock import FixedClock, SystemClock, format_instant, parse_instant, to_milliseconds

NOW = datetime(2026, 3, 1, 8, 0, 0, 123_456, tzinfo=UTC)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    beijing = timezone(timedelta(hours=8))
    assert format_instant(NOW) == "2026-03-01T08:00:00.123Z"
    assert format_instant(NOW.astimezone(beijing)) == "2026-03-01T08:00:00.123Z"
    assert format_instant(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00.000Z"


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_an_instant_reads_back_as_it_was_written(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == to_milliseconds(instant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T08:00:00Z",
        "2026-03-01T08:00:00.123456Z",
        "2026-03-01T08:00:00.123+00:00",
        "2026-03-01t08:00:00.123z",
        "2026-03-01 08:00:00.123Z",
        "2026-02-30T08:00:00.123Z",
        "2026-03-01T24:00:01.000Z",
        "2026-03-01T08:00:00.123Z\n",
        "\uff12026-03-01T08:00:00.123Z",
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library words some of these
        parse_instant(text)


def test_the_machines_clock_gives_utc_cut_to_milliseconds() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert timedelta(milliseconds=-1) < now - before < timedelta(minutes=1)


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    clock = FixedClock(NOW)
    assert clock.now() == clock.now() == to_milliseconds(NOW)
    clock.move_to(NOW + timedelta(hours=1))
    assert clock.now() == to_milliseconds(NOW + timedelta(hours=1))
