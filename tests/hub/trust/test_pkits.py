# SPDX-License-Identifier: Apache-2.0
"""All of NIST's PKITS, put to the validator as it is, revocation included.

Nothing that must fail may be believed, and it has to fail for its own reason: a refusal for another one would
be an accident.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.errors import TrustError
from hub.trust import USE_POLICIES, HeldRevocation, Use, ValidatedPath, Validator
from tests.hub.trust.pkits import AT, EXPECTATIONS, Case, cases, load_certificate, trust_list

pytestmark = [
    pytest.mark.skipif(not EXPECTATIONS.exists(), reason="../shared is not beside the work tree"),
    # Two certificates have a negative serial number, which cryptography reads with a warning.
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
]

REASONS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (pattern, frozenset(reasons.split()))
    for pattern, reasons in (
        (r"signature of .* could not be verified", "not_signed_by_issuer unused_bits"),
        (r"is not valid until", "not_yet_valid"),
        (r"expired \d", "expired"),
        (r"issuer name could not be matched", "no_path"),
        (r"is not a CA", "not_an_authority"),
        (r"exceeds the maximum path length", "path_too_long"),
        (r"not allowed to sign certificates", "may_not_sign_certificates"),
        (r"no valid set of policies", "no_valid_policy no_wanted_policy"),
        (r"policy mapping for the .any policy", "any_policy_mapped"),
        (r"in the permitted namespace", "name_not_permitted"),
        (r"excluded from the namespace", "name_excluded"),
        (r"unsupported critical extension: ", "unknown_critical_extension"),
        (r"CRL signature could not be verified", "answer_weak"),
        (r"unrecognized critical extensions .* in the CRL entry", "crl_entry_critical_extension"),
        (r"unrecognized critical extensions .* in the CRL", "crl_critical_extension"),
        (r"not recent enough", "answer_stale"),
        (r"not authorized to sign CRLs", "crl_signer_without_usage"),
        (r"CRL issuer certificate path could not be validated", "answer_signer_refused"),
        (r"CRL only contains ", "crl_out_of_scope"),
        (r"do not cover all revocation reasons", "crl_reasons_open"),
        (
            r"no revocation information could be found",
            "revocation_not_held crl_out_of_scope crl_delta_without_base",
        ),
        (r"^CRL indicates .* was revoked at", "revoked"),
    )
)
"""pyHanko's words, and the reasons of ours that say the same; the first pattern that fits counts.

PKITS spoils the signatures of 40102, 40106 and of the CRL of 40404 so that their first octet, the count of
unused bits, is wrong too; that is seen first.
"""

EXCEPTION = re.compile(r"^\| (?P<case>[0-9]{5}) \| `(?P<code>[a-z_.]+)` \|", re.MULTILINE)
"""A row of the table of exceptions in docs/trust.md."""


def validate(case: Case) -> ValidatedPath:
    source = HeldRevocation([], case.crl_bytes())
    validator = Validator(trust_list(), source, policies={**USE_POLICIES, Use.ENVELOPE: case.policy})
    return validator.validate(case.chain(), use=Use.ENVELOPE, at=AT)


def exceptions() -> dict[str, str]:
    """The codes of the cases that end otherwise than PKITS has it, as docs/trust.md lists them."""
    text = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
    return {row["case"]: row["code"] for row in EXCEPTION.finditer(text)}


HOLDING = [case for case in cases() if not case.must_fail]
FAILING = [case for case in cases() if case.must_fail]


def test_every_expectation_is_there_and_at_most_six_are_not_met() -> None:
    assert (len(HOLDING), len(FAILING)) == (110, 136)
    assert len(exceptions()) <= 6
    assert set(exceptions()) <= {case.id[:5] for case in HOLDING}, "an exception refuses, it never accepts"


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_what_must_fail_fails_for_its_own_reason(case: Case) -> None:
    with pytest.raises(TrustError) as refused:
        validate(case)

    finding = refused.value.finding
    assert finding is not None
    expected = next(reasons for pattern, reasons in REASONS if re.search(pattern, case.error_words))
    assert finding.reason_id in expected
    assert finding.serial, "it is said which certificate"


@pytest.mark.parametrize("case", HOLDING, ids=lambda case: case.id)
def test_what_must_hold_holds_or_is_a_listed_exception(case: Case) -> None:
    code = exceptions().get(case.id[:5])
    if code is None:
        path = validate(case)
        assert path.path[-1] == trust_list().authorities[0].certificate
        assert path.revocation
        return
    try:
        validate(case)
    except TrustError as refused:
        assert refused.code == code  # noqa: PT017 (a certificate that cannot even be loaded raises ValueError)
    except ValueError:
        assert code == "trust.certificate_unreadable"
    else:
        pytest.fail("it is believed, so it is no exception")


@pytest.mark.parametrize("case", ["40102", "40106"])
def test_signatures_that_pkits_spoiled_fail_with_whole_octets_too(case: str) -> None:
    """The count of unused bits is set right, so that the signature itself has to be refused."""
    found = next(each for each in FAILING if each.id.startswith(case))
    mended = [_with_whole_octets(certificate) for certificate in found.chain()]
    validator = Validator(
        trust_list(),
        HeldRevocation([], found.crl_bytes()),
        policies={**USE_POLICIES, Use.ENVELOPE: found.policy},
    )

    with pytest.raises(TrustError) as refused:
        validator.validate(mended, use=Use.ENVELOPE, at=AT)

    assert refused.value.finding is not None
    # DSA is refused before anybody looks at the signature.
    assert refused.value.finding.reason_id in {"not_signed_by_issuer", "algorithm_not_allowed"}


def test_the_root_by_itself_is_no_certificate_of_anybody() -> None:
    root = load_certificate("TrustAnchorRootCertificate.crt")
    policy = next(iter(HOLDING)).policy
    validator = Validator(
        trust_list(), HeldRevocation([], []), policies={**USE_POLICIES, Use.ENVELOPE: policy}
    )
    with pytest.raises(TrustError) as refused:
        validator.validate([root], use=Use.ENVELOPE, at=AT)
    assert refused.value.code == "trust.unknown_authority"


def _with_whole_octets(certificate: x509.Certificate) -> x509.Certificate:
    der = bytearray(certificate.public_bytes(Encoding.DER))
    der[-len(certificate.signature) - 1] = 0
    return x509.load_der_x509_certificate(bytes(der))
