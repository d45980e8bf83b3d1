# SPDX-License-Identifier: Apache-2.0
"""The weather map: counts that are right, alarms that begin and end, and a cost that does not grow."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text

from hub.errors import Culprit
from hub.operations import store
from hub.operations.model import FAILED, LIMITS_MS, limit_for, percentile
from hub.outbox import BreakerState, Lane
from tests.hub.operations.conftest import NOW, SERVICE
from tests.postgresql import on_postgresql, on_sqlite

if TYPE_CHECKING:
    from hub.operations import PartnerWeather
    from tests.hub.operations.conftest import Bench


def only(bench: Bench) -> PartnerWeather:
    (found,) = bench.weather.now()
    return found


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [(0, 1), (0.001, 1), (0.0011, 2), (0.02, 20), (0.1, 100), (0.15, 150), (299, 300_000), (999, 300_000)],
)
def test_an_answer_is_counted_by_the_limit_it_kept_to(seconds: float, limit: int) -> None:
    assert limit_for(seconds) == limit


def test_a_percentile_is_right_to_within_half_of_itself() -> None:
    luck = random.Random(5)  # noqa: S311 - the same numbers every time
    seconds = sorted(luck.lognormvariate(-3, 1) for _ in range(5_000))
    counts = dict.fromkeys(LIMITS_MS, 0)
    for each in seconds:
        counts[limit_for(each)] += 1
    for share in (0.5, 0.95, 0.99):
        true = seconds[int(share * len(seconds))] * 1_000
        told = percentile(counts | {FAILED: 100}, share)
        assert told is not None
        assert true <= told * 1.01
        assert told <= true * 1.7


def test_who_was_not_asked_has_no_rate_and_no_latency(bench: Bench) -> None:
    weather = only(bench)
    assert (weather.service, weather.gateway_host) == (SERVICE, "gateway.labour.example")
    assert (weather.attempts, weather.success_rate, weather.p50_ms, weather.last_contact) == (
        0,
        None,
        None,
        None,
    )
    assert weather.breaker is BreakerState.CLOSED


def test_the_map_tells_success_latency_and_who_failed_last(bench: Bench) -> None:
    for number in range(98):
        bench.seen(seconds=0.02 if number < 90 else 0.4)
    bench.seen("exchange.delivery_timeout", Culprit.RECIPIENT, seconds=10)
    bench.seen("adapter.record_not_found", Culprit.SENDER)
    bench.watch.flush()
    weather = only(bench)
    assert (weather.attempts, weather.success_rate) == (100, 0.99)
    assert (weather.p50_ms, weather.p95_ms) == (20, 500)
    assert (weather.last_contact, weather.last_failure) == (NOW, NOW)
    assert weather.last_failure_code == "exchange.delivery_timeout"


def test_counts_of_several_processes_and_flushes_add_up_and_go_out_of_sight(bench: Bench) -> None:
    for _ in range(3):
        bench.seen()
        bench.watch.flush()
    assert only(bench).attempts == 3
    bench.clock.move_to(NOW + timedelta(minutes=59))
    bench.seen()
    bench.watch.flush()
    assert only(bench).attempts == 4
    bench.clock.move_to(NOW + timedelta(minutes=61))
    assert only(bench).attempts == 1
    assert only(bench).last_contact == NOW + timedelta(minutes=59)


def test_what_could_not_be_written_is_written_the_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.seen()
    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_heard", _lost)
        with pytest.raises(OSError, match="gone"):
            bench.watch.flush()
    bench.seen()
    bench.watch.flush()
    assert only(bench).attempts == 2


def _lost(*_: object) -> None:
    raise OSError("the database is gone")


def test_an_open_breaker_is_shown_and_is_an_alarm_until_it_closes(bench: Bench) -> None:
    bench.deliverer.states = {Lane(SERVICE): BreakerState.OPEN}
    bench.watch.flush()
    bench.watch.look()
    assert only(bench).breaker is BreakerState.OPEN
    assert bench.open_alarms() == {"delivery.breaker_open": SERVICE}
    bench.deliverer.states = {Lane(SERVICE): BreakerState.CLOSED}
    bench.watch.flush()
    bench.watch.look()
    assert only(bench).breaker is BreakerState.CLOSED
    assert bench.open_alarms() == {}


def test_what_a_worker_said_that_has_ended_is_forgotten(bench: Bench) -> None:
    bench.deliverer.states = {Lane(SERVICE): BreakerState.OPEN}
    bench.watch.flush()
    bench.deliverer.is_at_work = False
    bench.clock.move_to(NOW + timedelta(minutes=2))
    bench.watch.flush()
    assert only(bench).breaker is BreakerState.CLOSED


def test_a_disk_that_is_nearly_full_is_an_alarm(bench: Bench) -> None:
    bench.watch._disk_alarm_mebibytes = 10**12  # noqa: SLF001 - no disk here is as full
    bench.watch.look()
    assert bench.open_alarms() == {"hub.disk_nearly_full": "data_folder"}
    bench.watch._disk_alarm_mebibytes = 0  # noqa: SLF001 - likewise
    bench.watch.look()
    assert bench.open_alarms() == {}


def fill(bench: Bench, minutes: int) -> None:
    """Enter so many minutes of a busy hub: 30 services, six limits each."""
    rows = [
        {
            "minute": store.minute_of(NOW - timedelta(minutes=minute)),
            "lane": f"{SERVICE}-{service}",
            "limit_ms": limit,
            "count": 50,
        }
        for minute in range(minutes)
        for service in range(30)
        for limit in LIMITS_MS[6:12]
    ]
    bench.writer.run(lambda connection: connection.execute(insert(store.traffic_minutes), rows).rowcount)


@on_sqlite
def test_sqlite_reads_one_piece_of_the_key_and_not_the_table(bench: Bench) -> None:
    fill(bench, 200)
    query = str(store.WEATHER.compile(bench.engine, compile_kwargs={"literal_binds": False}))
    with bench.engine.connect() as connection:
        since = store.minute_of(NOW - timedelta(hours=1))
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (since,))]
    assert plan[0] == "SEARCH traffic_minutes USING PRIMARY KEY (minute>?)"


@on_postgresql
def test_postgresql_reads_one_piece_of_the_key_and_not_the_table(bench: Bench) -> None:
    fill(bench, 600)
    bench.writer.run(lambda connection: connection.execute(text("ANALYZE traffic_minutes")).rowcount)
    query = (
        "EXPLAIN SELECT lane, limit_ms, sum(count) FROM traffic_minutes "
        "WHERE minute >= :since GROUP BY lane, limit_ms"
    )
    with bench.engine.connect() as connection:
        since = {"since": store.minute_of(NOW - timedelta(hours=1))}
        plan = "\n".join(connection.execute(text(query), since).scalars())
    assert "traffic_minutes_pkey" in plan
    assert "Seq Scan" not in plan


def test_minutes_long_gone_are_dropped(bench: Bench) -> None:
    bench.seen()
    bench.watch.flush()
    bench.clock.move_to(NOW + timedelta(days=36))
    bench.watch.tidy()
    with bench.engine.connect() as connection:
        assert store.read_counts(connection, NOW - timedelta(days=1)) == {}
