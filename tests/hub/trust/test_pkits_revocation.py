# SPDX-License-Identifier: Apache-2.0
"""NIST's PKITS about CRLs, put to the judge directly: sections 4.4, 4.14 and 4.15, and what else needs a CRL.

Two certificates of 4.4 have a negative serial number, which cryptography reads with a warning.

The certificates and CRLs come with cryptography's vectors, what has to come out is in ../shared/data/pki.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from hub.alarms import LoggedAlarms
from hub.errors import TrustError
from hub.trust import HeldRevocation, RevocationJudge, TrustList, Use

_SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "pki" / "pkits_expectations_pyhanko.json"
_PKITS = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
_AT = datetime(2025, 6, 1, tzinfo=UTC)
_ABOUT_CRLS = ("404", "414", "415", "40506", "40507", "40704", "40705")

pytestmark = pytest.mark.skipif(not _SHARED.exists(), reason="../shared is not beside the work tree")


def _cases() -> list[dict[str, Any]]:
    if not _SHARED.exists():
        return []
    cases: list[dict[str, Any]] = json.loads(_SHARED.read_text(encoding="utf-8"))
    return [case for case in cases if case["id"].startswith(_ABOUT_CRLS)]


def _certificate(name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate((_PKITS / "certs" / name).read_bytes())


class Pkits:
    """One case: its certificates and CRLs, and the judge, which is asked from the root down."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.root = _certificate("TrustAnchorRootCertificate.crt")
        self.leaf = _certificate(case["cert"])
        self.others = [_certificate(name) for name in case["other_certs"]]
        names = ["TrustAnchorRootCRL.crl", *(case.get("crls") or [])]
        crls = [(_PKITS / "crls" / name).read_bytes() for name in names]
        self.judge = RevocationJudge(HeldRevocation([], crls), LoggedAlarms())

    def path(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        path = [leaf]
        while path[-1] != self.root:
            path.append(next(each for each in [self.root, *self.others] if _has_issued(each, path[-1])))
        return path

    def check(self, leaf: x509.Certificate) -> None:
        path = self.path(leaf)
        for position in range(len(path) - 2, -1, -1):
            self.judge.judge(
                path[position],
                path[position + 1],
                row=None,
                trust_list=TrustList(()),
                at=_AT,
                judged_at=_AT,
                validate_signer=self._validate_signer,
                supplied=self.others,
            )

    def _validate_signer(self, signer: x509.Certificate, use: Use, at: datetime) -> None:
        assert use is Use.CRL
        assert at == _AT
        self.check(signer)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate != issuer or issuer.subject == issuer.issuer


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case['id']}-{case['name']}")
def test_the_judge_says_of_a_pkits_certificate_what_has_to_be_said(case: dict[str, Any]) -> None:
    pkits = Pkits(case)
    if "error" not in case:
        pkits.check(pkits.leaf)
        return
    with pytest.raises(TrustError) as refused:
        pkits.check(pkits.leaf)
    is_revoked = "was revoked at" in case["error"]["msg_regex"]
    is_signer = "CRL issuer was revoked" in case["error"]["msg_regex"]
    expected = "trust.certificate_revoked" if is_revoked and not is_signer else "trust.revocation_unknown"
    assert refused.value.code == expected
    assert refused.value.finding is not None


def test_every_case_about_crls_is_there() -> None:
    ids = [case["id"] for case in _cases()]
    counts = [sum(each.startswith(section) for each in ids) for section in ("404", "414", "415")]
    assert counts == [21, 35, 10]
