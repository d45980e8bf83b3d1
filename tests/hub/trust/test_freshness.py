# SPDX-License-Identifier: Apache-2.0
"""A remembered result is given again only while it is fresh."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography import x509

from adapters.simulators.pki import TIME_HEADER, serve
from hub.clock import FixedClock
from hub.errors import TrustError
from hub.trust import OnlineRevocation, TrustList, Use, ValidatedPath, Validator
from tests.pki import PASSPHRASE, make_served_pki

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki


class TimeTravel:
    """A validator and a clock; the services answer as of the clock's instant, and requests are noted."""

    def __init__(self, pki: ServedPki) -> None:
        self.pki = pki
        self.clock = FixedClock(datetime.now(UTC).replace(microsecond=0))
        self.requests: list[str] = []
        client = httpx2.Client(
            event_hooks={"request": [self._travel]},
            limits=httpx2.Limits(max_keepalive_connections=0),
            trust_env=False,
        )
        self.validator = Validator(pki.approved(), OnlineRevocation(client))

    def _travel(self, request: httpx2.Request) -> None:
        self.requests.append(request.url.path)
        request.headers[TIME_HEADER] = self.clock.now().isoformat()

    def move(self, **by: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**by))

    def validate(self, label: str) -> ValidatedPath:
        chain = self.pki.certificates(label)
        return self.validator.validate(chain, use=Use.ENVELOPE, at=self.clock.now())


class ChangingLists:
    """A list that another one replaces from an instant on."""

    def __init__(self, first: TrustList) -> None:
        self.first = first
        self.second: tuple[datetime, TrustList] | None = None

    def of(self, at: datetime) -> TrustList:
        return self.second[1] if self.second and at >= self.second[0] else self.first


@pytest.fixture
def travel(pki: ServedPki) -> TimeTravel:
    return TimeTravel(pki)


def test_a_fresh_result_is_given_again_without_asking_anybody(travel: TimeTravel) -> None:
    first = travel.validate("labour-sign")
    asked = len(travel.requests)
    assert asked == 2

    travel.move(minutes=4, seconds=59)
    assert travel.validate("labour-sign") is first
    assert len(travel.requests) == asked


def test_an_old_result_is_checked_again(travel: TimeTravel) -> None:
    first = travel.validate("labour-sign")
    travel.move(minutes=5)

    second = travel.validate("labour-sign")
    assert second is not first
    assert second.checked_at == travel.clock.now()
    assert len(travel.requests) == 4


def test_an_answer_shared_by_two_certificates_makes_no_result_last_longer(travel: TimeTravel) -> None:
    travel.validate("labour-sign")
    first_fetch = travel.clock.now()
    travel.move(minutes=3)

    path = travel.validate("tax-sign")
    assert len(travel.requests) == 3, "the authority's own answer is used again"
    assert path.fresh_until == first_fetch + timedelta(minutes=5)


def test_a_revocation_is_noticed_when_the_freshness_has_passed(travel: TimeTravel) -> None:
    # The recipe revokes it an hour after making the PKI, which may have been a while ago.
    made_at = datetime.fromtimestamp(travel.pki.chain("labour-revoked-soon").stat().st_mtime, UTC)
    revoked_at = made_at + timedelta(minutes=61)
    travel.validate("labour-revoked-soon")
    travel.clock.move_to(revoked_at - timedelta(minutes=5))

    travel.validate("labour-revoked-soon")

    travel.move(minutes=5)
    with pytest.raises(TrustError) as refused:
        travel.validate("labour-revoked-soon")
    assert refused.value.code == "trust.certificate_revoked"


def test_no_result_outlives_the_certificate(travel: TimeTravel) -> None:
    end = travel.pki.certificates("labour-sign")[0].not_valid_after_utc
    travel.clock.move_to(end - timedelta(seconds=30))
    assert travel.validate("labour-sign").fresh_until == end

    travel.clock.move_to(end + timedelta(seconds=1))
    with pytest.raises(TrustError) as refused:
        travel.validate("labour-sign")
    assert refused.value.code == "trust.certificate_expired"


def test_no_result_outlives_its_revocation_answer(pki: ServedPki) -> None:
    patient = Validator(
        pki.approved(),
        OnlineRevocation(longest_age=timedelta(days=1)),
        longest_age=timedelta(1),
    )
    path = patient.validate(pki.certificates("labour-sign"), use=Use.ENVELOPE, at=datetime.now(UTC))
    assert path.fresh_until == min(answer.usable_until for answer in path.revocation)
    assert path.fresh_until <= datetime.now(UTC) + timedelta(minutes=10)


def test_an_instant_before_the_check_is_checked_by_itself(travel: TimeTravel) -> None:
    first = travel.validate("labour-sign")
    travel.move(days=-2)

    earlier = travel.validate("labour-sign")
    assert earlier is not first
    assert earlier.checked_at == travel.clock.now()


def test_refusals_are_not_remembered(travel: TimeTravel) -> None:
    for expected in (3, 6):
        with pytest.raises(TrustError):
            travel.validate("labour-unreachable")
        assert travel.requests.count("/development/ocsp/nobody") == expected // 3


def test_many_threads_renew_an_old_result_once(travel: TimeTravel) -> None:
    results: list[ValidatedPath] = []
    threads = [
        threading.Thread(target=lambda: results.append(travel.validate("labour-sign"))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert len(results) == 12
    assert len({id(result) for result in results}) == 1
    assert len(travel.requests) == 2


def test_when_the_services_go_down_the_last_answer_serves_to_its_end_and_then_nothing_passes(
    tmp_path: Path,
) -> None:
    """The development PKI's OCSP answers hold for ten minutes; then it is refused, retryably."""
    pki = make_served_pki(tmp_path)
    travel = TimeTravel(pki)
    with serve(pki, PASSPHRASE):
        travel.validate("labour-sign")

    travel.move(minutes=4)
    travel.validate("labour-sign")
    travel.move(minutes=4)
    assert travel.validate("labour-sign").fresh_until == travel.clock.now() + timedelta(minutes=1)
    travel.move(minutes=3, seconds=30)
    with pytest.raises(TrustError) as refused:
        travel.validate("labour-sign")
    assert refused.value.code == "trust.revocation_unknown"
    assert refused.value.is_retryable
    assert "cannot be reached" in refused.value.detail


def test_a_stranger_s_certificate_makes_nobody_call(pki: ServedPki) -> None:
    """Its addresses are the stranger's choice, so they are not visited before its signatures were checked."""
    travel = TimeTravel(pki)
    with pytest.raises(TrustError):
        travel.validate("rogue/labour-sign")
    leaf = pki.certificates("rogue/labour-sign")[0]
    assert leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert travel.requests == []


def test_a_result_is_not_given_under_another_version_of_the_list(pki: ServedPki) -> None:
    lists = ChangingLists(pki.approved())
    validator = Validator(lists, OnlineRevocation())
    chain, then = pki.certificates("labour-sign"), datetime.now(UTC)
    assert validator.validate(chain, use=Use.ENVELOPE, at=then) == validator.known(
        chain, use=Use.ENVELOPE, at=then
    )

    left = tuple(row for row in lists.first.authorities if row.certificate != chain[1])
    now = datetime.now(UTC)
    lists.second = (now, replace(lists.first, authorities=left))
    assert validator.known(chain, use=Use.ENVELOPE, at=now) is None
    with pytest.raises(TrustError) as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=now)
    assert refused.value.code == "trust.unknown_authority"
    assert validator.validate(chain, use=Use.ENVELOPE, at=then).leaf == chain[0], "the list of its day"
