# SPDX-License-Identifier: Apache-2.0
"""Who may answer about a certificate, which answers are used, and what is asked when. RFC 6960."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asn1crypto.ocsp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from hub.errors import TrustError
from hub.trust import (
    AnswerKind,
    ListedService,
    OnlineRevocation,
    RevocationAnswer,
    RevocationPolicy,
    Use,
    Validator,
)
from tests.hub.trust.revocationworld import OCSP_PATH, World, make_world, responding
from tests.responders import Services, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.responders import Holder

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services().running() as running:
        yield running


@pytest.fixture
def world(services: Services) -> World:
    return make_world(services, with_ocsp=True, with_crl=False)


def told(world: World, **how: Any) -> RevocationAnswer:
    """Make an answer about the leaf that comes along with a message."""
    der = world.pki.respond(world.leaf.certificate, **how)
    begin = world.pki.now + how.get("begin", timedelta(minutes=-1))
    end = how.get("end", timedelta(minutes=10))
    return RevocationAnswer(AnswerKind.OCSP, der, begin, None if end is None else world.pki.now + end)


def asked(world: World) -> int:
    return world.pki.services.requests.count(OCSP_PATH)


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
@pytest.mark.parametrize("who", ["ca", "responder"])
def test_issuer_and_delegate_may_answer_under_name_and_key(
    world: World, who: str, by: ocsp.OCSPResponderEncoding
) -> None:
    world.pki.serve(OCSP_PATH, responding(world, signer=getattr(world.pki, who), by=by))
    assert world.validate().leaf == world.leaf.certificate


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
def test_an_answer_that_names_another_responder_than_signed_it_is_refused(
    world: World, by: ocsp.OCSPResponderEncoding
) -> None:
    """The name and the key hash are both compared with the certificate whose key has to fit."""
    other = world.pki.make_responder(world.pki.sibling)
    said = signed_again(world, asn1crypto.ocsp.OCSPResponse.load(told(world, signer=other, by=by).der))
    world.pki.serve(OCSP_PATH, answer(said))
    assert world.refused() == "ocsp_signature_invalid"


def test_a_delegate_whose_certificate_does_not_come_along_cannot_be_known(world: World) -> None:
    world.pki.serve(OCSP_PATH, responding(world, with_certificate=False))
    assert world.refused() == "ocsp_signer_missing"


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        (hashes.SHA1(), ""),  # noqa: S303 (it names a certificate and protects nothing)
        (hashes.SHA256(), ""),
        (hashes.SHA512(), "ocsp_other_certificate"),
    ],
)
def test_certificates_are_named_with_sha1_or_sha256(
    world: World, digest: hashes.HashAlgorithm, reason: str
) -> None:
    world.pki.serve(OCSP_PATH, responding(world, digest=digest))
    if reason:
        assert world.refused() == reason
    else:
        world.validate()


def test_a_certificate_of_the_same_number_by_another_issuer_is_another(world: World) -> None:
    world.pki.serve(OCSP_PATH, responding(world, issuer=world.pki.sibling))
    assert world.refused() == "ocsp_other_certificate"


class TestListedResponder:
    """A responder that the trust list approves by its own certificate; it is under no authority of ours."""

    @staticmethod
    def listed(world: World, begin: timedelta, end: timedelta | None) -> Holder:
        signer = world.pki.make_responder(world.pki.imposter)
        until = None if end is None else world.pki.now + end
        world.responders = (ListedService(signer.certificate, "central", None, world.pki.now + begin, until),)
        world.pki.serve(OCSP_PATH, responding(world, signer=signer))
        return signer

    def test_answers_while_approved(self, world: World) -> None:
        self.listed(world, -DAY, DAY)
        assert world.validate().revocation

    @pytest.mark.parametrize(("begin", "end"), [(-2 * DAY, -DAY), (DAY, None)])
    def test_does_not_answer_before_or_after(self, world: World, begin: timedelta, end: timedelta) -> None:
        self.listed(world, begin, end)
        assert world.refused() == "ocsp_signer_not_approved"

    def test_another_with_its_name_does_not_answer(self, world: World) -> None:
        self.listed(world, -DAY, DAY)
        world.pki.serve(OCSP_PATH, responding(world, signer=world.pki.make_responder(world.pki.imposter)))
        assert world.refused() == "ocsp_signer_not_appointed"


def test_a_responder_does_not_vouch_for_itself(world: World) -> None:
    pki = world.pki
    signer = pki.make_responder(is_unchecked=False, ocsp_urls=[pki.url("/self")])
    pki.serve(OCSP_PATH, responding(world, signer=signer))
    pki.serve("/self", responding(world, certificate=signer.certificate, signer=signer))
    assert world.refused() in {"answer_signer_refused", "answer_signer_unknown"}


def test_a_responder_another_one_vouches_for_is_believed_and_the_word_for_it_kept(world: World) -> None:
    pki = world.pki
    signer = pki.make_responder(is_unchecked=False, ocsp_urls=[pki.url("/other")])
    pki.serve(OCSP_PATH, responding(world, signer=signer))
    pki.serve("/other", responding(world, certificate=signer.certificate))
    kinds = [each.kind for each in world.validate().revocation]
    assert kinds.count(AnswerKind.OCSP) == 2


class TestStapled:
    """Answers that came along with a message or a document."""

    def test_are_used_before_anybody_is_asked(self, world: World) -> None:
        before = asked(world)
        path = world.validate(stapled=[told(world)])
        assert asked(world) == before
        assert [each.obtained_at for each in path.revocation if each.kind is AnswerKind.OCSP] == [None]

    def test_may_carry_the_nonce_of_whoever_asked(self, world: World) -> None:
        before = asked(world)
        world.validate(stapled=[told(world, nonce=b"of the sender" * 2)])
        assert asked(world) == before

    @pytest.mark.parametrize("how", [{"begin": -2 * DAY, "end": -DAY}, {"by_imposter": True}])
    def test_that_do_not_suffice_are_passed_over(self, world: World, how: dict[str, Any]) -> None:
        if how.pop("by_imposter", False):
            how["signer"] = world.pki.make_responder(world.pki.imposter)
        before = asked(world)
        path = world.validate(stapled=[told(world, **how)])
        assert asked(world) == before + 1
        assert all(each.obtained_at for each in path.revocation)

    def test_that_are_forged_forfeit_the_exception(self, world: World) -> None:
        world.pki.serve(OCSP_PATH, answer(b"", status=503))
        forged = told(world, signer=world.pki.make_responder(world.pki.imposter))
        assert world.refused(unsafe=True, stapled=[forged]) == "ocsp_signer_not_appointed"
        assert world.validate(unsafe=True).warnings

    def test_revoke(self, world: World) -> None:
        assert world.refused(stapled=[told(world, status=REVOKED), told(world)]) == "revoked"

    def test_revoke_what_is_remembered_as_good(self, world: World) -> None:
        validator = Validator(world.trust_list(RevocationPolicy.EITHER), world.source)
        chain = (world.leaf.certificate, world.pki.ca.certificate)
        validator.validate(chain, use=Use.ENVELOPE, at=world.at)
        with pytest.raises(TrustError) as refused:
            validator.validate(chain, use=Use.ENVELOPE, at=world.at, stapled=[told(world, status=REVOKED)])
        assert refused.value.code == "trust.certificate_revoked"

    def test_do_not_hide_a_newer_answer_that_is_remembered(self, world: World) -> None:
        world.pki.serve(OCSP_PATH, responding(world, status=REVOKED, begin=timedelta(0)))
        assert world.refused() == "revoked"
        assert world.refused(stapled=[told(world, begin=timedelta(minutes=-5))]) == "revoked"

    def test_garbage_among_them_is_passed_over(self, world: World) -> None:
        rubbish = [RevocationAnswer(kind, b"0\x03rub", world.at, None) for kind in AnswerKind]
        assert world.validate(stapled=rubbish).leaf == world.leaf.certificate


class TestFreshness:
    """How old an answer may be."""

    def test_the_trust_list_limits_the_age(self, world: World) -> None:
        world.longest_answer_age = timedelta(minutes=10)
        world.pki.serve(OCSP_PATH, responding(world, begin=timedelta(hours=-1), end=DAY))
        assert world.refused() == "answer_too_old"
        world.pki.serve(OCSP_PATH, responding(world, begin=timedelta(minutes=-9), end=DAY))
        assert world.validate().fresh_until == world.at + timedelta(minutes=1)

    @pytest.mark.parametrize(("age", "reason"), [(5.9, ""), (6.1, "answer_stale")])
    def test_an_answer_without_next_update_holds_five_minutes(
        self, world: World, age: float, reason: str
    ) -> None:
        """And one more for clocks."""
        world.pki.serve(OCSP_PATH, responding(world, begin=timedelta(minutes=-age), end=None))
        if reason:
            assert world.refused() == reason
        else:
            world.validate()

    @pytest.mark.parametrize("seconds", [-50, 50])
    def test_clocks_may_differ_by_a_minute(self, world: World, seconds: int) -> None:
        begin, end = timedelta(0), timedelta(seconds=1)
        world.pki.serve("/root.crl", answer(world.pki.crl(world.pki.root, begin=-DAY, end=DAY)))
        world.pki.serve(OCSP_PATH, responding(world, begin=begin, end=end))
        world.validate(at=world.at + timedelta(seconds=seconds))


class TestServices:
    """Which responder is asked when."""

    @staticmethod
    def two(world: World) -> None:
        pki = world.pki
        world.leaf = pki.leaf(ocsp_urls=[pki.url("/first"), pki.url("/second")])
        pki.serve("/second", responding(world))
        pki.services.requests.clear()

    @pytest.mark.parametrize("fault", ["down", "liar", "stale", "stranger"])
    def test_the_second_is_asked_when_the_first_is_no_use(self, world: World, fault: str) -> None:
        self.two(world)
        world.pki.serve(
            "/first",
            {
                "down": answer(b"", status=502),
                "liar": responding(world, signer=world.pki.make_responder(world.pki.imposter)),
                "stale": responding(world, begin=-2 * DAY, end=-DAY),
                "stranger": responding(world, certificate=world.pki.leaf().certificate),
            }[fault],
        )
        world.validate()
        requests = [path for path in world.pki.services.requests if path != "/root.crl"]
        assert requests == ["/first", "/second"]

    def test_one_that_revokes_ends_it_and_no_better_word_is_looked_for(self, world: World) -> None:
        self.two(world)
        world.pki.serve("/first", responding(world, status=REVOKED))
        assert world.refused() == "revoked"
        assert "/second" not in world.pki.services.requests

    def test_what_a_liar_gave_does_not_stay(self, world: World) -> None:
        """Who gets one forged answer in must not block the certificate for as long as answers are kept."""
        liar = world.pki.make_responder(world.pki.imposter)
        world.pki.serve(OCSP_PATH, responding(world, signer=liar))
        assert world.refused() == "ocsp_signer_not_appointed"
        world.pki.serve(OCSP_PATH, responding(world))
        world.validate()

    def test_a_certificate_its_authority_disowns_is_not_saved_by_an_earlier_word(self, world: World) -> None:
        world.validate()
        world.pki.serve(OCSP_PATH, responding(world, status=ocsp.OCSPCertStatus.UNKNOWN))
        assert world.refused(at=world.at + timedelta(minutes=6)) == "ocsp_says_unknown"

    def test_what_was_good_before_a_liar_came_still_serves(self, world: World) -> None:
        world.validate()
        world.pki.serve(OCSP_PATH, responding(world, signer=world.pki.make_responder(world.pki.imposter)))
        path = world.validate(at=world.at + timedelta(minutes=6))
        assert path.fresh_until <= world.at + timedelta(minutes=7), "it is soon asked for again"

    def test_a_slow_one_is_left_alone_for_a_while(self, world: World) -> None:
        world.pki.serve(OCSP_PATH, world.pki.services.slow(30, responding(world)))
        before = asked(world)
        assert world.refused() == "revocation_too_slow"
        begun = time.monotonic()
        for _ in range(20):
            assert world.refused() == "revocation_skipped"
        assert time.monotonic() - begun < 10, "twenty times the time limit would be longer"
        assert asked(world) == before + 1

    def test_many_slow_ones_together_take_no_longer_than_one_judgement_may(self, world: World) -> None:
        pki = world.pki
        paths = [f"/slow{number}" for number in range(8)]
        world.leaf = pki.leaf(ocsp_urls=[pki.url(path) for path in paths])
        for path in paths:
            pki.serve(path, pki.services.slow(30, responding(world)))
        pki.services.requests.clear()
        assert world.refused() == "revocation_too_slow"
        assert 3 <= len(set(pki.services.requests) & set(paths)) <= 5, "four times 0.6 s fit into 2.4 s"

    def test_every_request_carries_a_nonce_of_32_bytes_of_its_own(self, world: World) -> None:
        nonces: list[bytes] = []

        def behave(handler: Any, body: bytes) -> None:
            request = ocsp.load_der_ocsp_request(body)
            nonces.append(request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce)
            responding(world)(handler, body)

        world.pki.serve(OCSP_PATH, behave)
        for _ in range(3):
            world.source = OnlineRevocation()
            world.validate()
        assert {len(nonce) for nonce in nonces} == {32}
        assert len(set(nonces)) == 3


class TestThenAndNow:
    """Was it valid when it was used, asked later."""

    @pytest.fixture
    def then(self, world: World) -> World:
        world.at = world.pki.now - 10 * DAY
        world.pki.serve("/root.crl", answer(world.pki.crl(world.pki.root, begin=-20 * DAY, end=20 * DAY)))
        return world

    @pytest.mark.parametrize(
        ("revoked", "reason"), [(-11 * DAY, "revoked"), (-10 * DAY, "revoked"), (-9 * DAY, ""), (-DAY, "")]
    )
    def test_a_revocation_counts_from_its_date_on(self, then: World, revoked: timedelta, reason: str) -> None:
        then.pki.serve(OCSP_PATH, responding(then, status=REVOKED, revoked_at=then.pki.now + revoked))
        if reason:
            assert then.refused(judged_at=then.pki.now) == reason
        else:
            assert then.validate(judged_at=then.pki.now).checked_at == then.at
            assert then.refused(at=then.pki.now) == "revoked"

    def test_without_the_later_instant_later_answers_are_of_the_future(self, then: World) -> None:
        assert then.refused() == "answer_from_the_future"

    def test_the_invalidity_date_counts_before_the_revocation(self, then: World) -> None:
        invalid = then.at - DAY
        revoked = told(then, status=REVOKED, revoked_at=then.pki.now - DAY)
        later = with_single_extension(then, revoked, "invalidity_date", invalid)
        assert then.refused(judged_at=then.pki.now, stapled=[later]) == "revoked"
        assert then.validate(judged_at=then.pki.now, stapled=[revoked]).warnings == ()

    def test_a_later_good_word_counts_for_then(self, then: World) -> None:
        assert then.validate(judged_at=then.pki.now).checked_at == then.at

    def test_a_responder_appointed_since_may_speak_about_then(self, then: World) -> None:
        now = then.pki.now
        signer = then.pki.make_responder(valid=(now - DAY, now + DAY))
        then.pki.serve(OCSP_PATH, responding(then, signer=signer))
        assert then.validate(judged_at=now).checked_at == then.at

    def test_a_hold_that_was_lifted_still_counts_while_it_lasted(self, then: World) -> None:
        hold = {"status": REVOKED, "reason": x509.ReasonFlags.certificate_hold}
        held = told(then, begin=-11 * DAY, end=-9 * DAY, revoked_at=then.at - DAY, **hold)
        lifted = told(then, begin=-DAY)
        judged_at = then.pki.now
        assert then.refused(judged_at=judged_at, stapled=[held, lifted]) == "revoked"
        assert then.validate(at=judged_at, stapled=[lifted]).warnings == ()

    @pytest.mark.parametrize(
        ("cutoff", "reason"), [(None, "answer_after_expiry"), (-90, ""), (-5, "answer_after_expiry")]
    )
    def test_a_good_word_after_the_end_counts_only_from_who_still_knows(
        self, then: World, cutoff: int | None, reason: str
    ) -> None:
        """The certificate ended eight days ago; authorities forget such certificates."""
        now = then.pki.now
        then.leaf = then.pki.leaf(valid=(now - 50 * DAY, now - 8 * DAY))
        said = told(then)
        if cutoff is not None:
            said = with_single_extension(then, said, "archive_cutoff", now + cutoff * DAY)
        if reason:
            assert then.refused(judged_at=now, stapled=[said]) == reason
        else:
            then.validate(judged_at=now, stapled=[said])


def with_single_extension(
    world: World, said: RevocationAnswer, name: str, value: object, *, times: int = 1
) -> RevocationAnswer:
    """Add an extension to what an answer says of the certificate, and sign it again."""
    response = asn1crypto.ocsp.OCSPResponse.load(said.der)
    basic = response["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"]
    wrapped = {
        "invalidity_date": asn1crypto.core.GeneralizedTime,
        "archive_cutoff": asn1crypto.core.GeneralizedTime,
    }[name]
    single = data["responses"][0].copy()
    single["single_extensions"] = [{"extn_id": name, "extn_value": wrapped(value)}]
    data["responses"] = [single, *(data["responses"][0] for _ in range(times - 1))]
    return replace(said, der=signed_again(world, response))


def signed_again(world: World, response: asn1crypto.ocsp.OCSPResponse) -> bytes:
    """Let the delegate sign what an answer says now."""
    basic = response["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"].dump(force=True)
    basic["signature"] = world.pki.responder.key.sign(data, ec.ECDSA(hashes.SHA256()))
    response["response_bytes"]["response"] = asn1crypto.core.ParsableOctetString(basic.dump(force=True))
    der: bytes = response.dump(force=True)
    return der


def test_an_answer_about_several_certificates_is_read_with_all_it_says(world: World) -> None:
    """The first of the two carries the date since when the key is not to be believed."""
    now = world.pki.now
    world.at = now - 10 * DAY
    world.pki.serve("/root.crl", answer(world.pki.crl(world.pki.root, begin=-20 * DAY, end=20 * DAY)))
    revoked = told(world, status=REVOKED, revoked_at=now - DAY)
    twice = with_single_extension(world, revoked, "invalidity_date", world.at - DAY, times=2)
    assert world.refused(RevocationPolicy.OCSP, judged_at=now, stapled=[twice]) == "revoked"


def test_whatever_byte_of_an_answer_is_changed_it_is_refused_and_nothing_else_happens(world: World) -> None:
    """Some parts, as the names in a certificate that comes along, are read only when they are looked at."""
    world.pki.serve(OCSP_PATH, answer(b"", status=503))
    said = told(world)
    for position in range(0, len(said.der), 7):
        for bit in (0, 7):
            changed = bytearray(said.der)
            changed[position] ^= 1 << bit
            assert world.refused(stapled=[replace(said, der=bytes(changed))]) != "revoked"
