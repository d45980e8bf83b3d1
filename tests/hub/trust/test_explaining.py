# SPDX-License-Identifier: Apache-2.0
"""Explanations: always the validator's own verdict, and everything else that is wrong beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import SystemClock
from hub.errors import Language, TrustError
from hub.trust import (
    Explanation,
    HeldRevocation,
    OnlineRevocation,
    TrustList,
    Use,
    Validator,
    cures,
    explanation_to_json,
    failures,
    spoken,
    verdict,
)
from tests.hub.trust.strangers import certificate_naming_services, listener

if TYPE_CHECKING:
    from tests.pki import ServedPki

LABELS = [
    ("labour-sign", Use.ENVELOPE),
    ("labour-seal", Use.SEAL),
    ("tsa", Use.TIMESTAMP),
    ("labour-p384", Use.ENVELOPE),
    ("labour-ed25519", Use.ENVELOPE),
    ("labour-revoked", Use.ENVELOPE),
    ("labour-revoked-crl-only", Use.ENVELOPE),
    ("labour-expired", Use.ENVELOPE),
    ("labour-not-yet-valid", Use.ENVELOPE),
    ("labour-wrong-usage", Use.ENVELOPE),
    ("labour-as-authority", Use.ENVELOPE),
    ("labour-without-usage", Use.ENVELOPE),
    ("labour-unreachable", Use.ENVELOPE),
    ("labour-silent", Use.ENVELOPE),
    ("labour-usurper-ocsp", Use.ENVELOPE),
    ("labour-forged-crl", Use.ENVELOPE),
    ("labour-rsa-short", Use.ENVELOPE),
    ("labour-sha1", Use.ENVELOPE),
    ("labour-unlisted", Use.ENVELOPE),
    ("labour-under-revoked-ca", Use.ENVELOPE),
    ("labour-seal", Use.ENVELOPE),
    ("labour-sign", Use.TIMESTAMP),
    ("no-member-sign", Use.ENVELOPE),
]


def online(pki: ServedPki) -> Validator:
    return Validator(pki.trust_lists(), OnlineRevocation())


def explain(pki: ServedPki, label: str, use: Use = Use.ENVELOPE) -> Explanation:
    return online(pki).explain(pki.certificates(label), use=use, at=SystemClock().now())


@pytest.mark.parametrize(("label", "use"), LABELS, ids=[f"{label} for {use}" for label, use in LABELS])
def test_an_explanation_says_what_the_validator_decides(pki: ServedPki, label: str, use: Use) -> None:
    chain, at = pki.certificates(label), SystemClock().now()
    code = None
    try:
        online(pki).validate(chain, use=use, at=at)
    except TrustError as refused:
        code = refused.code
    told = online(pki).explain(chain, use=use, at=at)
    assert told.is_believed == (code is None)
    assert code is None or code in {finding.code for finding in told.failed}
    assert told.path[0].certificate == chain[0]
    json.dumps(explanation_to_json(told))


def test_a_believed_certificate_shows_every_check_the_approval_and_the_answers(pki: ServedPki) -> None:
    told = explain(pki, "labour-sign")
    leaf, issuer, root = told.path
    assert [one.role for one in told.path] == ["leaf", "issuer", "anchor"]
    assert {each.reason_id for each in leaf.findings} >= {
        "form", "days", "usage", "strength", "signature", "approval", "policies", "member", "revocation"
    }  # fmt: skip
    assert all(each.clause and each.reason[Language.ZH] and each.is_passed for each in leaf.findings)
    assert issuer.approval is not None
    assert root.approval is not None
    assert leaf.approval is None
    assert len(leaf.answers) == len(issuer.answers) == 1
    assert not root.answers
    as_data = explanation_to_json(told)
    assert as_data["path"][0]["revocation"][0]["status"] == "good"
    assert as_data["path"][2]["approval"]["is_anchor"] is True
    assert as_data["is_believed"] is True
    assert as_data["cures"] == {"zh-CN": [], "en": []}


def test_everything_that_is_wrong_is_told_at_once(pki: ServedPki) -> None:
    told = explain(pki, "labour-expired", Use.TIMESTAMP)
    assert {"trust.certificate_expired", "trust.usage_not_allowed"} <= {each.code for each in told.failed}
    for language in Language:
        assert len(cures(told, language)) >= 2
        assert str(len(failures(told))) in verdict(told, language)


def test_a_path_that_ends_nowhere_shows_as_much_as_is_known(pki: ServedPki) -> None:
    chain = pki.certificates("labour-unlisted")
    alone = online(pki).explain(chain[:1], use=Use.ENVELOPE, at=SystemClock().now())
    assert [one.certificate for one in alone.path] == [chain[0]]
    assert alone.failed
    helped = online(pki).explain(chain, use=Use.ENVELOPE, at=SystemClock().now())
    assert len(helped.path) == 3
    assert helped.path[1].approval is None


def test_a_list_that_cannot_be_used_is_an_explanation_too(pki: ServedPki) -> None:
    class Outdated:
        def of(self, at: object) -> TrustList:
            raise TrustError("trust.trust_list_invalid", f"the list of {at}")

    told = Validator(Outdated(), OnlineRevocation()).explain(
        pki.certificates("labour-sign"), use=Use.ENVELOPE, at=SystemClock().now()
    )
    assert not told.is_believed
    assert "trust.trust_list_invalid" in {each.code for each in told.failed}


def test_without_answers_nobody_is_believed(pki: ServedPki) -> None:
    validator = Validator(pki.trust_lists(), HeldRevocation((), ()))
    told = validator.explain(pki.certificates("labour-sign"), use=Use.ENVELOPE, at=SystemClock().now())
    assert {each.code for each in failures(told)} == {"trust.revocation_unknown"}


def test_every_use_has_a_name_in_every_language() -> None:
    for use in Use:
        names = [spoken(use, language) for language in Language]
        assert all(names)
        assert use.value not in names
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("impersonates", [False, True])
def test_a_strangers_certificate_makes_nobody_call(pki: ServedPki, *, impersonates: bool) -> None:
    issuer = pki.certificates("labour-sign")[1].subject if impersonates else None
    with listener() as (url, asked):
        chain = certificate_naming_services(url, issuer)
        told = online(pki).explain(chain, use=Use.ENVELOPE, at=SystemClock().now())
        assert not told.is_believed
        assert asked == []


def test_the_listener_would_have_heard_a_call() -> None:
    with listener() as (url, asked):
        certificate = certificate_naming_services(url)[0]
        with pytest.raises(TrustError):
            OnlineRevocation().ocsp_answers(certificate, certificate, SystemClock().now())
        assert asked == ["/ocsp"]


def test_a_certificate_with_hostile_bytes_is_explained_and_not_tripped_over(pki: ServedPki) -> None:
    chain = pki.certificates("labour-sign")
    der = bytearray(chain[0].public_bytes(Encoding.DER))
    refused = readable = 0
    for position in range(0, len(der), 7):
        changed = bytearray(der)
        changed[position] ^= 0x55
        try:
            certificate = x509.load_der_x509_certificate(bytes(changed))
        except ValueError:
            continue
        readable += 1
        told = Validator(pki.trust_lists(), HeldRevocation((), ())).explain(
            [certificate, *chain[1:]], use=Use.ENVELOPE, at=SystemClock().now()
        )
        refused += not told.is_believed
        json.dumps(explanation_to_json(told))
    assert refused == readable > 50
