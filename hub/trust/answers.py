# SPDX-License-Identifier: Apache-2.0
"""Reading OCSP responses and CRLs: what they are about, and from when until when they hold.

Pure. Nothing here believes an answer; its signature is checked in `validation`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp

from hub.errors import TrustError
from hub.trust.algorithms import signature_problem
from hub.trust.model import AnswerKind, RevocationAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from hub.trust.algorithms import SignedObject

CLOCK_SKEW = timedelta(seconds=60)
"""How far an authority's clock may run ahead of ours before its fresh answer counts as one of the future."""


def read_ocsp(
    der: bytes, certificate: x509.Certificate, issuer: x509.Certificate, obtained_at: datetime | None = None
) -> RevocationAnswer | None:
    """Read an OCSP response, or return None when it says nothing about this certificate.

    Raises:
        TrustError: `trust.revocation_unknown` when it is no successful response, or its digest is weak.

    Source: RFC 6960 section 4.2.
    """
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            detail = f"the OCSP responder answered {response.response_status.name}"
            raise TrustError("trust.revocation_unknown", detail)
        _check_algorithm(response, "OCSP answer")
        singles = [single for single in response.responses if _is_about(single, certificate, issuer)]
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise TrustError("trust.revocation_unknown", "the OCSP answer cannot be read") from exc
    if not singles:
        return None
    newest = max(singles, key=lambda single: single.this_update_utc)
    return RevocationAnswer(
        AnswerKind.OCSP, der, newest.this_update_utc, newest.next_update_utc, obtained_at=obtained_at
    )


def read_crl(der: bytes, obtained_at: datetime | None = None) -> tuple[x509.Name, RevocationAnswer]:
    """Read a CRL and return whose it says it is.

    Raises:
        TrustError: `trust.revocation_unknown` when it cannot be read, states no next update, or its digest is
            weak.

    Source: RFC 5280 section 5.1; nextUpdate is required there (5.1.2.5).
    """
    try:
        crl = x509.load_der_x509_crl(der)
        _check_algorithm(crl, "CRL")
        begin, end = crl.last_update_utc, crl.next_update_utc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise TrustError("trust.revocation_unknown", "the CRL cannot be read") from exc
    if end is None:
        raise TrustError("trust.revocation_unknown", "the CRL does not say when the next one comes")
    return crl.issuer, RevocationAnswer(AnswerKind.CRL, der, begin, end, obtained_at=obtained_at)


def is_current(answer: RevocationAnswer, at: datetime) -> bool:
    """Tell whether an answer holds at an instant."""
    return answer.this_update - CLOCK_SKEW <= at < answer.usable_until


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """Compare the CertID of an answer with the one a request would carry (RFC 6960 section 4.1.1)."""
    if single.serial_number != certificate.serial_number:
        return False
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    return (single.issuer_name_hash, single.issuer_key_hash) == (
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


def _check_algorithm(signed: SignedObject, what: str) -> None:
    problem = signature_problem(signed)
    if problem:
        raise TrustError("trust.revocation_unknown", f"the {what}: {problem}")
