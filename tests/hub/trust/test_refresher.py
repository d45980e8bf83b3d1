# SPDX-License-Identifier: Apache-2.0
"""CRLs in use are renewed before they run out, and an operator hears when that fails."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import FixedClock
from hub.trust import OnlineRevocation, RevocationRefresher
from tests.hub.trust.revocationworld import Alarms
from tests.responders import MiniPki, Services, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = "/ca.crl"


class Refreshing:
    """A source with one CRL in use, a clock, and the refresher."""

    def __init__(self, services: Services) -> None:
        self.pki = MiniPki(services)
        self.pki.serve(_URL, answer(self.pki.crl()))
        self.url = self.pki.url(_URL)
        self.leaf = self.pki.leaf(crls=[self.url]).certificate
        self.clock = FixedClock(self.pki.now)
        self.source = OnlineRevocation()
        self.alarms = Alarms()
        self.refresher = RevocationRefresher(self.source, self.alarms, self.clock)
        self.ask()
        services.requests.clear()

    def ask(self) -> bytes:
        now = self.clock.now()
        return self.source.crl_answers(self.leaf, self.pki.ca.certificate, now)[0].der

    def look_after(self, **time: float) -> list[str]:
        """Move the clock, look, and return what was asked for."""
        self.clock.move_to(self.clock.now() + timedelta(**time))
        self.pki.services.requests.clear()
        self.refresher.look()
        return list(self.pki.services.requests)


@pytest.fixture
def refreshing() -> Iterator[Refreshing]:
    with Services().running() as services:
        yield Refreshing(services)


def test_a_crl_is_renewed_before_a_message_has_to_wait_for_it(refreshing: Refreshing) -> None:
    assert refreshing.look_after(minutes=2.9) == []
    newer = refreshing.pki.crl(number=2, begin=timedelta(0))
    refreshing.pki.serve(_URL, answer(newer))
    assert refreshing.look_after(minutes=1.7) == [_URL]
    refreshing.pki.services.requests.clear()
    assert refreshing.ask() == newer
    assert refreshing.pki.services.requests == []
    assert refreshing.look_after(seconds=1) == [], "it is not due again yet"


def test_a_crl_that_ends_soon_is_renewed_sooner(refreshing: Refreshing) -> None:
    refreshing.pki.serve(_URL, answer(refreshing.pki.crl(end=timedelta(minutes=6))))
    refreshing.look_after(minutes=4.6)  # it now has 84 seconds left, of which at most 76 are waited
    assert refreshing.look_after(seconds=76) == [_URL]


def test_the_alarm_comes_with_the_second_failure_and_goes_with_the_next_crl(refreshing: Refreshing) -> None:
    refreshing.pki.serve(_URL, answer(b"", status=503))
    refreshing.look_after(minutes=4.6)
    assert refreshing.alarms.open == {}
    refreshing.look_after(seconds=15)
    assert list(refreshing.alarms.open) == [("trust.revocation_stale", refreshing.url)]
    assert refreshing.ask(), "what is kept still serves"

    refreshing.pki.serve(_URL, answer(refreshing.pki.crl(number=2)))
    refreshing.look_after(seconds=15)
    assert refreshing.alarms.open == {}


def test_an_authority_that_publishes_nothing_new_is_a_failure_too(refreshing: Refreshing) -> None:
    refreshing.look_after(hours=2)
    refreshing.look_after(seconds=15)
    assert "ended at" in refreshing.alarms.open["trust.revocation_stale", refreshing.url]


def test_an_older_crl_does_not_take_the_place_of_a_newer_one(refreshing: Refreshing) -> None:
    newer = refreshing.ask()
    refreshing.pki.serve(_URL, answer(refreshing.pki.crl(begin=timedelta(minutes=-30))))
    assert refreshing.look_after(minutes=4.6) == [_URL]
    assert refreshing.ask() == newer
    assert refreshing.look_after(seconds=1) == []


def test_what_nobody_needs_is_not_renewed_for_ever(refreshing: Refreshing) -> None:
    refreshing.pki.serve(_URL, answer(refreshing.pki.crl(end=timedelta(days=9))))
    assert refreshing.look_after(hours=23) == [_URL]
    assert refreshing.look_after(hours=2) == []


def test_a_service_that_knows_entity_tags_sends_nothing_twice(refreshing: Refreshing) -> None:
    content = refreshing.pki.crl(number=2)
    sent: list[int] = []

    def behave(handler: object, body: bytes) -> None:
        is_known = handler.headers.get("If-None-Match") == '"2"'  # type: ignore[attr-defined]
        sent.append(304 if is_known else 200)
        answer(b"" if is_known else content, status=sent[-1], headers={"ETag": '"2"'})(
            handler,  # type: ignore[arg-type]
            body,
        )

    refreshing.pki.serve(_URL, behave)
    for _ in range(3):
        refreshing.look_after(minutes=4.6)
    assert sent == [200, 304, 304]
    assert refreshing.ask() == content
    assert sent == [200, 304, 304]


def test_the_thread_looks_until_it_is_closed(refreshing: Refreshing) -> None:
    refresher = RevocationRefresher(
        refreshing.source, refreshing.alarms, refreshing.clock, seconds_between_looks=0.01
    )
    refreshing.clock.move_to(refreshing.clock.now() + timedelta(minutes=4.6))
    refresher.start()
    until = time.monotonic() + 10
    while not refreshing.pki.services.requests and time.monotonic() < until:
        time.sleep(0.01)
    refresher.close()
    assert refreshing.pki.services.requests == [_URL]
