# SPDX-License-Identifier: Apache-2.0
"""Time passes by a clock that is moved, with alarms in a database and the hub restarted now and then."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hub.alarms import Alarm, Alarms, LoggedAlarms
from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.trust import EXPIRY_ALARM, ExpiryWatch, WatchedCertificate, latest_certificates
from hub.trust.expiry import reached_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def certificate(begins: datetime, ends: datetime) -> x509.Certificate:
    """Make a certificate with these days; nobody validates it here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "测试")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
    return builder.sign(key, hashes.SHA256())


def digest(certificate_: x509.Certificate) -> str:
    return certificate_.fingerprint(hashes.SHA256()).hex()


@dataclass
class Office:
    """A hub's alarms in a database that outlives the hub."""

    database_url: str
    clock: FixedClock

    @contextmanager
    def opened(self) -> Iterator[tuple[Alarms, Writer, ExpiryWatch]]:
        engine = open_database(self.database_url)
        writer = Writer(engine)
        alarms = Alarms(engine, writer, self.clock)
        watch = ExpiryWatch(
            alarms, lambda: [each.subject for each in alarms.alarms() if each.kind.code == EXPIRY_ALARM]
        )
        try:
            yield alarms, writer, watch
        finally:
            writer.close()
            engine.dispose()

    def check(self, *watched: x509.Certificate) -> None:
        """Open the hub, look once, and close it again."""
        with self.opened() as (_, _, watch):
            watch.check([WatchedCertificate(each, "test") for each in watched], self.clock.now())

    def alarms(self) -> Sequence[Alarm]:
        """Return every alarm there ever was, the oldest first."""
        with self.opened() as (alarms, _, _):
            return sorted(alarms.alarms(with_cleared=True), key=lambda each: each.id)


@pytest.fixture
def office(database_url: str) -> Office:
    return Office(database_url, FixedClock(START))


def test_sixty_one_days_of_hours_and_restarts_raise_four_alarms_once_each(office: Office) -> None:
    ends = START + 61 * DAY
    watched = [WatchedCertificate(certificate(START - DAY, ends), "test")]
    for day in range(0, 61, 3):
        with office.opened() as (_, _, watch):
            for hour in range(3 * 24):
                office.clock.move_to(START + day * DAY + hour * HOUR)
                watch.check(watched, office.clock.now())
    alarms = office.alarms()
    name = digest(watched[0].certificate)
    assert [each.subject for each in alarms] == [f"{name}/{days}" for days in (60, 30, 7, 1)]
    assert [each.raised_at for each in alarms] == [ends - days * DAY for days in (60, 30, 7, 1)]
    assert all(each.count == 1 and each.is_open for each in alarms), "each was raised once"


def test_the_alarms_end_when_the_certificate_is_replaced_even_while_the_hub_was_down(office: Office) -> None:
    old, new = certificate(START, START + 20 * DAY), certificate(START, START + 700 * DAY)
    office.check(old)
    office.clock.move_to(START + 14 * DAY)
    office.check(old)
    assert [each.subject.split("/")[1] for each in office.alarms()] == ["30", "7"]
    office.clock.move_to(START + 15 * DAY)
    office.check(new)
    assert [each.cleared_at for each in office.alarms()] == [START + 15 * DAY] * 2


def test_alarms_of_other_kinds_and_certificates_stay(office: Office) -> None:
    one, other = certificate(START, START + 5 * DAY), certificate(START, START + 6 * DAY)
    with office.opened() as (alarms, _, _):
        alarms.raise_alarm("trust.trust_list_outdated", "list", "test")
    office.check(one, other)
    office.check(other)
    states = {(each.kind.code, each.subject.split("/")[0]): each.is_open for each in office.alarms()}
    assert states == {
        ("trust.trust_list_outdated", "list"): True,
        (EXPIRY_ALARM, digest(one)): False,
        (EXPIRY_ALARM, digest(other)): True,
    }


@pytest.mark.parametrize(
    ("left", "threshold"),
    [
        (60 * DAY + timedelta(seconds=1), None),
        (60 * DAY, 60),
        (31 * DAY, 60),
        (30 * DAY, 30),
        (7 * DAY + timedelta(seconds=1), 30),
        (7 * DAY, 7),
        (DAY, 1),
        (timedelta(0), 1),
        (-5 * DAY, 1),
    ],
)
def test_a_threshold_is_reached_to_the_second(left: timedelta, threshold: int | None) -> None:
    assert reached_threshold(certificate(START - 900 * DAY, START + left), START) == threshold


def test_what_is_first_seen_late_raises_one_alarm_and_not_those_it_has_missed(office: Office) -> None:
    office.check(certificate(START - DAY, START + 5 * DAY))
    assert [each.subject.split("/")[1] for each in office.alarms()] == ["7"]


def test_one_that_ends_later_takes_over_if_it_begins_in_time() -> None:
    old = certificate(START - DAY, START + 10 * DAY)
    new = certificate(START + 9 * DAY, START + 700 * DAY)
    too_late = certificate(START + 11 * DAY, START + 700 * DAY)
    assert latest_certificates([old, new]) == [new]
    assert latest_certificates([old, too_late]) == [old, too_late]
    assert latest_certificates([old, old]) == [old, old]


def test_a_process_without_a_database_says_it_once_and_takes_it_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = certificate(START - DAY, START + 5 * DAY)
    watch = ExpiryWatch(LoggedAlarms())
    for _ in range(3):
        watch.check([WatchedCertificate(old, "this gateway's own key")], START)
    watch.check([], START)
    watch.check([], START)
    lines = [line for line in capsys.readouterr().out.splitlines() if digest(old) in line]
    assert ["alarm.raised" in lines[0], "alarm.cleared" in lines[1], len(lines)] == [True, True, 2]
