# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hub.errors import TrustError
from hub.trust import (
    AnswerKind,
    OnlineRevocation,
    RevocationPolicy,
    TrustList,
    Use,
    Validator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pki import ServedPki


@pytest.fixture(scope="module")
def validator(pki: ServedPki) -> Iterator[Validator]:
    source = OnlineRevocation()
    yield Validator(pki.approved(), source)
    source.close()


def now() -> datetime:
    return datetime.now(UTC)


def refusal(validator: Validator, pki: ServedPki, label: str, use: Use = Use.ENVELOPE) -> TrustError:
    with pytest.raises(TrustError) as refused:
        validator.validate(pki.certificates(label), use=use, at=now())
    return refused.value


@pytest.mark.parametrize(
    ("label", "use", "member"),
    [
        ("labour-sign", Use.ENVELOPE, "11510108MB1A00002M"),
        ("hub-sign", Use.ENVELOPE, "11510108MB1A00001J"),
        ("labour-p384", Use.ENVELOPE, "11510108MB1A00002M"),
        ("labour-rsa", Use.ENVELOPE, "11510108MB1A00002M"),
        ("labour-ed25519", Use.ENVELOPE, "11510108MB1A00002M"),
        ("labour-ocsp-only", Use.ENVELOPE, "11510108MB1A00002M"),
        ("labour-seal", Use.SEAL, "11510108MB1A00002M"),
        ("tsa", Use.TIMESTAMP, None),
    ],
)
def test_an_approved_certificate_is_believed(
    validator: Validator, pki: ServedPki, label: str, use: Use, member: str | None
) -> None:
    chain = pki.certificates(label)
    at = now()

    path = validator.validate(chain, use=use, at=at)

    assert path.leaf == chain[0]
    assert path.path[:2] == chain
    assert len(path.path) == 3
    assert path.path[2].subject == path.path[2].issuer
    assert path.member_id == member
    assert path.authority.certificate == chain[1]
    assert {answer.kind for answer in path.revocation} == {AnswerKind.OCSP}
    assert len(path.revocation) == 2
    assert path.fresh_from <= at < path.fresh_until <= at + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("label", "code", "hint"),
    [
        ("labour-expired", "trust.certificate_expired", "expired at"),
        ("labour-not-yet-valid", "trust.certificate_not_yet_valid", "valid from"),
        ("labour-revoked", "trust.certificate_revoked", "the key is compromised"),
        ("labour-revoked-crl-only", "trust.certificate_revoked", "it was replaced"),
        ("labour-under-revoked-ca", "trust.certificate_revoked", "已被吊销的CA"),
        ("rogue/labour-sign", "trust.unknown_authority", "no path"),
        ("labour-unlisted", "trust.unknown_authority", "not listed"),
        ("labour-wrong-usage", "trust.usage_not_allowed", "digitalSignature"),
        ("labour-without-usage", "trust.usage_not_allowed", "no key usage"),
        ("labour-as-authority", "trust.usage_not_allowed", "authority"),
        ("envelope-ca", "trust.usage_not_allowed", "authority"),
        ("root", "trust.usage_not_allowed", "authority"),
        ("labour-seal", "trust.usage_not_allowed", "not approved"),
        ("tsa", "trust.usage_not_allowed", "other purposes"),
        ("no-member-sign", "trust.wrong_member", "0 organizationIdentifiers"),
        ("wrong-check-sign", "trust.wrong_member", "valid USCC"),
        ("labour-rsa-short", "trust.algorithm_not_allowed", "key"),
        ("labour-sha1", "trust.algorithm_not_allowed", "SHA-1"),
        ("labour-unreachable", "trust.revocation_unknown", "404"),
        ("labour-silent", "trust.revocation_unknown", "names no OCSP service"),
        ("labour-stranger-ocsp", "trust.revocation_unknown", "not appointed by the certificate's own issuer"),
        ("labour-usurper-ocsp", "trust.revocation_unknown", "lacks the extended usage OCSPSigning"),
        ("labour-forged-crl", "trust.revocation_unknown", "signature of the CRL does not hold"),
    ],
)
def test_a_certificate_that_must_not_be_believed_is_refused_with_its_own_reason(
    validator: Validator, pki: ServedPki, label: str, code: str, hint: str
) -> None:
    refused = refusal(validator, pki, label)

    assert refused.code == code
    assert hint in refused.detail
    assert "serial" in refused.detail


@pytest.mark.parametrize(
    ("label", "use"),
    [
        ("labour-sign", Use.SEAL),
        ("labour-sign", Use.TIMESTAMP),
        ("labour-sign", Use.OCSP),
        ("labour-seal", Use.TIMESTAMP),
        ("tsa", Use.SEAL),
        ("tsa-lenient", Use.TIMESTAMP),
        ("envelope-ocsp", Use.OCSP),
    ],
)
def test_a_certificate_serves_no_use_it_was_not_approved_for(
    validator: Validator, pki: ServedPki, label: str, use: Use
) -> None:
    assert refusal(validator, pki, label, use).code == "trust.usage_not_allowed"


def test_a_refusal_names_the_certificate_and_the_instant(validator: Validator, pki: ServedPki) -> None:
    certificate = pki.certificates("labour-expired")[0]

    detail = refusal(validator, pki, "labour-expired").detail

    assert "成华区人力资源和社会保障局 报文签名" in detail
    assert "Heliograph 开发用报文签名CA" in detail
    assert f"serial {certificate.serial_number:x}" in detail
    assert f"{now():%Y-%m-%dT%H:}" in detail


def test_a_true_certificate_under_a_twin_of_its_authority_is_still_found(
    validator: Validator, pki: ServedPki
) -> None:
    """The sender's chain only helps to search; the listed authority is found without it, or despite it."""
    leaf = pki.certificates("federation-sign")[0]
    twin = pki.certificates("rogue/envelope-ca")[0]

    assert validator.validate([leaf, twin], use=Use.ENVELOPE, at=now()).path[1] != twin
    assert validator.validate([leaf], use=Use.ENVELOPE, at=now()).leaf == leaf


def test_a_rogue_chain_that_brings_its_own_root_is_refused(validator: Validator, pki: ServedPki) -> None:
    chain = [*pki.certificates("rogue/labour-sign"), *pki.certificates("rogue/root")]
    with pytest.raises(TrustError) as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=now())
    assert refused.value.code == "trust.unknown_authority"


@pytest.mark.parametrize("count", [0, 7])
def test_an_empty_or_overlong_chain_is_refused(validator: Validator, pki: ServedPki, count: int) -> None:
    chain = pki.certificates("labour-sign")[:1] * count
    with pytest.raises(TrustError) as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=now())
    assert refused.value.code == "trust.certificate_unreadable"


# cryptography warns of what it will refuse one day, such as a negative serial number; here that is the point.
@pytest.mark.filterwarnings("ignore")
def test_a_certificate_with_any_byte_changed_is_refused_with_a_code(
    validator: Validator, pki: ServedPki
) -> None:
    leaf, issuer = pki.certificates("labour-sign")
    der = leaf.public_bytes(serialization.Encoding.DER)
    tried = 0
    for position in range(0, len(der), 5):
        changed = bytearray(der)
        changed[position] ^= 0x01
        try:
            damaged = x509.load_der_x509_certificate(bytes(changed))
        except (ValueError, x509.InvalidVersion):
            continue
        tried += 1
        with pytest.raises(TrustError):
            validator.validate([damaged, issuer], use=Use.ENVELOPE, at=now())
    assert tried > 50


def test_a_certificate_that_only_bears_its_issuer_s_name_and_key_id_is_refused(
    validator: Validator, pki: ServedPki
) -> None:
    leaf, issuer = pki.certificates("labour-sign")
    forged = bytearray(leaf.public_bytes(serialization.Encoding.DER))
    forged[-1] ^= 1
    chain = [x509.load_der_x509_certificate(bytes(forged)), issuer]
    with pytest.raises(TrustError, match="not signed by the approved") as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=now())
    assert refused.value.code == "trust.unknown_authority"


def test_a_certificate_has_one_form_only(validator: Validator, pki: ServedPki) -> None:
    """The count of unused bits before the signature is signed by nobody."""
    labels = sorted(path.stem for path in (pki.folder / "certificates").glob("*-s*.pem"))
    leaf = next(
        each for each in (pki.certificates(label)[0] for label in labels) if each.signature[-1] % 2 == 0
    )
    der = bytearray(leaf.public_bytes(serialization.Encoding.DER))
    der[-len(leaf.signature) - 1] = 1
    with pytest.raises(TrustError, match="unused bits") as refused:
        validator.validate([x509.load_der_x509_certificate(bytes(der))], use=Use.ENVELOPE, at=now())
    assert refused.value.code == "trust.certificate_unreadable"


def with_rows(trust_list: TrustList, issuer: object, **changes: object) -> TrustList:
    """Change the row of one authority."""
    return TrustList(
        tuple(
            replace(row, **changes) if row.certificate == issuer else row  # type: ignore[arg-type]
            for row in trust_list.authorities
        )
    )


@pytest.mark.parametrize("label", ["envelope-ca", "root"])
def test_an_approval_that_ended_is_no_approval_from_that_instant(pki: ServedPki, label: str) -> None:
    end = now().replace(microsecond=0)
    row = pki.certificates(label)[0]
    ended = with_rows(pki.approved(), row, approved_until=end)
    validator = Validator(ended, OnlineRevocation())

    before = end - timedelta(seconds=1)
    chain = pki.certificates("labour-sign")
    assert validator.validate(chain, use=Use.ENVELOPE, at=before).fresh_until <= end
    with pytest.raises(TrustError, match="approval") as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=end)
    assert refused.value.code == "trust.unknown_authority"


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (RevocationPolicy.EITHER, [AnswerKind.OCSP]),
        (RevocationPolicy.OCSP, [AnswerKind.OCSP]),
        (RevocationPolicy.CRL, [AnswerKind.CRL]),
        (RevocationPolicy.BOTH, [AnswerKind.OCSP, AnswerKind.CRL]),
    ],
)
def test_an_authority_s_policy_says_which_answers_are_needed(
    pki: ServedPki, policy: RevocationPolicy, kinds: list[AnswerKind]
) -> None:
    issuer = pki.certificates("envelope-ca")[0]
    trust_list = with_rows(pki.approved(), issuer, revocation=policy)
    validator = Validator(trust_list, OnlineRevocation())

    path = validator.validate(pki.certificates("labour-sign"), use=Use.ENVELOPE, at=now())
    assert [answer.kind for answer in path.revocation[1:]] == kinds
    lacking = "labour-revoked-crl-only" if policy is RevocationPolicy.OCSP else "labour-ocsp-only"
    if policy is not RevocationPolicy.EITHER:
        assert refusal(validator, pki, lacking).code == "trust.revocation_unknown"


def test_validation_works_inside_a_running_event_loop(validator: Validator, pki: ServedPki) -> None:
    async def validate() -> str | None:
        chain = pki.certificates("tax-sign")
        return validator.validate(chain, use=Use.ENVELOPE, at=now()).member_id

    assert asyncio.run(validate()) == "11510108MB1A00005Y"
