# SPDX-License-Identifier: Apache-2.0
"""A judgement that is remembered is the one that would be made anew, at whatever instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asn1crypto.core
import asn1crypto.ocsp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ReasonFlags, ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import TrustError
from hub.trust import HeldRevocation, RevocationPolicy, TrustList
from hub.verifier.certificates import SignerCertificate
from tests.hub.trust.revocationworld import World
from tests.responders import MiniPki, Services

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hub.trust import RevocationAnswer
    from tests.responders import Holder

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
REVOKED = ocsp.OCSPCertStatus.REVOKED


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Services().running() as services:
        pki = MiniPki(services)
        yield World(pki, pki.leaf(valid=(pki.now - 50 * HOUR, pki.now + 50 * HOUR)))


def root_crl(world: World) -> bytes:
    """Return what says for days that the authority itself is not revoked."""
    return world.pki.crl(world.pki.root, begin=-100 * HOUR, end=100 * HOUR)


def outcome(certificate: SignerCertificate, world: World, at: datetime, leaf: Holder | None = None) -> str:
    chain = ((leaf or world.leaf).certificate, world.pki.ca.certificate)
    judgement = certificate.judge(chain, at)
    said = []
    for step in (judgement.path, lambda: judgement.revocation(at)):
        try:
            said.append(step())
        except TrustError as exc:
            said.append(exc.code)
    return "; ".join(said)


def respond(world: World, leaf: Holder | None = None, signer: Holder | None = None, **how: Any) -> bytes:
    """Sign an OCSP answer that was made when it begins to hold; cryptography dates all of them today."""
    signer = signer or world.pki.responder
    der = world.pki.respond((leaf or world.leaf).certificate, signer, **how)
    response = asn1crypto.ocsp.OCSPResponse.load(der)
    basic = response["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"]
    data["produced_at"] = data["responses"][0]["this_update"].native
    basic["signature"] = signer.key.sign(data.dump(force=True), ec.ECDSA(hashes.SHA256()))
    response["response_bytes"]["response"] = asn1crypto.core.ParsableOctetString(basic.dump(force=True))
    dated: bytes = response.dump(force=True)
    return dated


def judge(world: World, answers: Sequence[bytes], *, judged_at: datetime | None = None) -> SignerCertificate:
    held = HeldRevocation(answers, [root_crl(world)])
    return SignerCertificate(world.trust_list(RevocationPolicy.EITHER), held, judged_at=judged_at)


def test_a_certificate_revoked_between_two_signings_is_believed_for_the_first_alone(world: World) -> None:
    at = world.pki.now
    good = respond(world, begin=-MINUTE, end=HOUR)
    revoked = respond(world, status=REVOKED, begin=10 * MINUTE, end=HOUR, revoked_at=at + 5 * MINUTE)
    both = judge(world, [good, revoked])

    for _ in range(2):
        assert "nobody in the path was revoked" in outcome(both, world, at)
        assert "trust.certificate_revoked" in outcome(both, world, at + 11 * MINUTE)


def test_asked_later_an_answer_of_later_speaks_and_undoes_nothing_from_before_the_revocation(
    world: World,
) -> None:
    at, later = world.pki.now, world.pki.now + 10 * HOUR
    good = respond(world, begin=-MINUTE, end=HOUR)
    revoked = respond(world, status=REVOKED, begin=HOUR, end=9 * HOUR, revoked_at=at + 5 * MINUTE)
    both = judge(world, [good, revoked], judged_at=later)

    for _ in range(2):
        assert "nobody in the path was revoked" in outcome(both, world, at)
        assert "trust.certificate_revoked" in outcome(both, world, at + 6 * MINUTE)
    only_later = judge(world, [respond(world, begin=HOUR, end=9 * HOUR)])
    assert "trust.revocation_unknown" in outcome(only_later, world, at)


def test_a_signer_that_ended_between_two_signings_is_believed_for_the_first_alone(world: World) -> None:
    at = world.pki.now
    leaf = world.pki.leaf(valid=(at - HOUR, at + 10 * MINUTE))
    answers = judge(world, [respond(world, leaf, begin=-MINUTE, end=9 * HOUR)])

    for _ in range(2):
        assert "nobody in the path was revoked" in outcome(answers, world, at, leaf)
        assert outcome(answers, world, at + 11 * MINUTE, leaf).startswith("trust.certificate_expired")


def test_an_answer_too_old_for_the_second_signing_speaks_for_the_first_alone(world: World) -> None:
    at = world.pki.now
    answers = judge(world, [respond(world, begin=-MINUTE, end=20 * MINUTE)])

    for _ in range(2):
        assert "nobody in the path was revoked" in outcome(answers, world, at)
        assert "trust.revocation_unknown" in outcome(answers, world, at + 22 * MINUTE)


def test_a_list_that_ended_an_approval_judges_what_was_signed_under_it(world: World) -> None:
    at = world.pki.now
    before = world.trust_list(RevocationPolicy.EITHER)
    ended = [replace(row, approved_until=at + HOUR) for row in before.authorities]
    lists = _Changing(before, replace(before, authorities=tuple(ended)), at + 2 * HOUR)
    held = HeldRevocation([respond(world, begin=-MINUTE, end=9 * HOUR)], [root_crl(world)])
    certificate = SignerCertificate(lists, held)

    for _ in range(2):
        assert "nobody in the path was revoked" in outcome(certificate, world, at + 90 * MINUTE)
        assert "trust.unknown_authority" in outcome(certificate, world, at + 130 * MINUTE)


def test_a_folder_of_a_whole_day_is_judged_by_the_answer_of_the_hour(world: World) -> None:
    answers = [
        respond(world, begin=number * 5 * MINUTE, end=(number + 1) * 5 * MINUTE) for number in range(60)
    ]
    certificate = judge(world, answers)
    inside = {
        outcome(certificate, world, world.pki.now + number * 5 * MINUTE + MINUTE) for number in range(60)
    }

    assert len(inside) == 60
    assert not any("trust." in each for each in inside)


class _Changing:
    """Two versions of a trust list."""

    def __init__(self, first: TrustList, second: TrustList, turn: datetime) -> None:
        self._first, self._second, self._turn = first, second, turn

    def of(self, at: datetime) -> TrustList:
        return self._first if at < self._turn else self._second


_AROUND = (-61, -60, -1, 0, 1, 60, 61)
_Answer = tuple[int, int | None, str, int]
_Crl = tuple[int, int, str | None, int]
_minutes = st.integers(-90, 180)
_answers = st.lists(
    st.tuples(
        _minutes,  # begins
        st.none() | st.integers(1, 120),  # lasts
        st.sampled_from(["good", "revoked", "hold", "unknown", "other signer", "short-lived signer"]),
        _minutes,  # revoked since
    ),
    max_size=3,
)
_crls = st.lists(
    st.tuples(_minutes, st.integers(1, 120), st.none() | st.sampled_from(["revoked", "hold"]), _minutes),
    max_size=3,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.tuples(_answers, _crls),
    minutes=st.lists(_minutes, max_size=2),
    asked_after=st.none() | st.integers(0, 400),
    row=st.tuples(st.sampled_from(list(RevocationPolicy)), st.none() | st.integers(1, 60)),
)
def test_what_is_remembered_is_what_would_be_judged_anew(
    world: World,
    said: tuple[list[_Answer], list[_Crl]],
    minutes: list[int],
    asked_after: int | None,
    row: tuple[RevocationPolicy, int | None],
) -> None:
    now, (answers, crls), (policy, longest_age) = world.pki.now, said, row
    held = HeldRevocation(
        [_ocsp(world, *each) for each in answers],
        [root_crl(world), *(_crl(world, number, each) for number, each in enumerate(crls, start=2))],
    )
    age = None if longest_age is None else longest_age * MINUTE
    trust_list = replace(world, longest_answer_age=age).trust_list(policy)
    judged_at = None if asked_after is None else now + 180 * MINUTE + asked_after * MINUTE
    remembering = SignerCertificate(trust_list, held, judged_at=judged_at)
    turns = [*minutes, *(each[0] for each in (*answers, *crls)), *(each[3] for each in (*answers, *crls))]
    turns += [each[0] + each[1] for each in (*answers, *crls) if each[1]]
    instants = [now + turn * MINUTE + timedelta(seconds=off) for turn in turns for off in _AROUND]

    for at in dict.fromkeys(instants):
        anew = SignerCertificate(trust_list, held, judged_at=judged_at)
        assert outcome(remembering, world, at) == outcome(anew, world, at)


def _ocsp(world: World, begins: int, lasts: int | None, kind: str, since: int) -> bytes:
    pki, status, reason, signer = world.pki, ocsp.OCSPCertStatus.GOOD, None, None
    begin = begins * MINUTE
    if kind in {"revoked", "hold"}:
        status = REVOKED
        reason = ReasonFlags.certificate_hold if kind == "hold" else ReasonFlags.key_compromise
    elif kind == "unknown":
        status = ocsp.OCSPCertStatus.UNKNOWN
    elif kind == "other signer":
        signer = pki.make_responder(pki.sibling)
    elif kind == "short-lived signer":
        signer = pki.make_responder(valid=(pki.now + begin - MINUTE, pki.now + begin + 10 * MINUTE))
    end = None if lasts is None else begin + lasts * MINUTE
    return respond(
        world,
        signer=signer,
        status=status,
        reason=reason,
        begin=begin,
        end=end,
        revoked_at=pki.now + since * MINUTE,
    )


def _crl(world: World, number: int, crl: _Crl) -> bytes:
    begins, lasts, kind, since = crl
    reason = ReasonFlags.certificate_hold if kind == "hold" else ReasonFlags.key_compromise
    entry = world.pki.entry(world.leaf, at=world.pki.now + since * MINUTE, reason=reason)
    begin = begins * MINUTE
    return world.pki.crl(
        revoked=[entry] if kind else [], begin=begin, end=begin + lasts * MINUTE, number=number
    )


class _Counted(HeldRevocation):
    """Answers at hand that count how often they are asked for."""

    asked = 0

    def crl_answers(self, *about: Any) -> tuple[RevocationAnswer, ...]:
        self.asked += 1
        return super().crl_answers(*about)


def test_a_thousand_signings_of_half_an_hour_cost_one_judgement(world: World) -> None:
    held = _Counted([respond(world, begin=-MINUTE, end=HOUR)], [root_crl(world)])
    certificate = SignerCertificate(world.trust_list(RevocationPolicy.EITHER), held)

    for second in range(1, 1800, 10):
        outcome(certificate, world, world.pki.now + timedelta(seconds=second))

    assert held.asked == 1
