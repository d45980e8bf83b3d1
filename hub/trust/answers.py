# SPDX-License-Identifier: Apache-2.0
"""OCSP responses as they are read: what they are about, and from when until when they hold.

Nothing here believes an answer; `ocsp` does. What was read is remembered, since one answer speaks for many
messages.

Source: RFC 6960 section 4.2.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import asn1crypto.ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from hub.trust.algorithms import ANY_ALGORITHM, is_signed_by, public_key_bits, signature_problem
from hub.trust.distinguishednames import comparable
from hub.trust.model import AnswerKind, RevocationAnswer
from hub.trust.reading import MALFORMED, ReadOnce, generalized_time
from hub.trust.refusals import refusal
from hub.trust.statements import Revocation

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")

_ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
_INVALIDITY_DATE = x509.InvalidityDate.oid.dotted_string
_KNOWN_IN_OCSP = frozenset({x509.OCSPNonce.oid.dotted_string})
_KNOWN_IN_SINGLE = frozenset(
    {
        _ARCHIVE_CUTOFF,
        _INVALIDITY_DATE,
        "1.3.6.1.5.5.7.48.1.3",  # crlReference: where the responder read it
        x509.CRLReason.oid.dotted_string,
    }
)


class CertId(NamedTuple):
    """How OCSP names a certificate (RFC 6960 section 4.1.1)."""

    name_hash: bytes
    key_hash: bytes
    serial: int


class Single(NamedTuple):
    """What an OCSP response says about one certificate.

    Attributes:
        cert_id: whom it is about.
        digest: the digest of the hashes in `cert_id`.
        status: good, revoked or unknown.
        this_update: UTC.
        next_update: UTC, where stated.
        revocation: where the status is revoked.
        covers_from: UTC; the archive cutoff, where stated.
        unknown_critical: the first critical extension that is not understood, or nothing.
    """

    cert_id: CertId
    digest: hashes.HashAlgorithm
    status: ocsp.OCSPCertStatus
    this_update: datetime
    next_update: datetime | None
    revocation: Revocation | None
    covers_from: datetime | None
    unknown_critical: str


class ReadOcsp:
    """A successful OCSP response.

    Raises:
        TrustError: `trust.revocation_unknown`.
    """

    def __init__(self, der: bytes) -> None:
        try:
            response = ocsp.load_der_ocsp_response(der)
            status = response.response_status
        except MALFORMED as exc:
            raise refusal("ocsp_unreadable") from exc
        if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise refusal("ocsp_not_successful", status=status.name)
        self._response = response
        self._signers: dict[x509.Certificate, bool] = {}
        try:
            self.produced_at = response.produced_at_utc
            self.responder_name = response.responder_name
            self.responder_key_hash = response.responder_key_hash
            self.certificates = tuple(response.certificates)
            self.weak_algorithm = signature_problem(response, allowed=ANY_ALGORITHM)
            self.unknown_critical, self.nonce = _response_extensions(response)
            self.singles = _singles(response, der)
        except MALFORMED as exc:
            raise refusal("ocsp_unreadable") from exc

    def newest_about(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Single | None:
        """Return the newest statement about a certificate; of two equally new ones the worse."""
        about = [
            each for each in self.singles if each.cert_id == cert_id(certificate, issuer, each.digest.name)
        ]
        return max(about, key=lambda each: (each.this_update, each.status.value), default=None)

    def names(self, certificate: x509.Certificate) -> bool:
        """Tell whether the ResponderID is that of a certificate (RFC 6960 section 4.2.2.3)."""
        if self.responder_key_hash is not None:
            return self.responder_key_hash == _key_hash(certificate)
        return self.responder_name is not None and comparable(self.responder_name) == comparable(
            certificate.subject
        )

    def is_signed_by(self, certificate: x509.Certificate) -> bool:
        """Tell whether an allowed signature under a certificate's key holds."""
        if certificate not in self._signers:
            self._signers[certificate] = is_signed_by(self._response, certificate, ANY_ALGORITHM)
        return self._signers[certificate]


load_ocsp = ReadOnce(ReadOcsp)
"""Read an OCSP response once."""


def ocsp_answer(
    der: bytes, certificate: x509.Certificate, issuer: x509.Certificate, obtained_at: datetime | None = None
) -> RevocationAnswer | None:
    """Read an OCSP response, or return None when it says nothing about this certificate.

    Raises:
        TrustError: `trust.revocation_unknown` when it is no successful response.
    """
    single = load_ocsp(der).newest_about(certificate, issuer)
    if single is None:
        return None
    return RevocationAnswer(AnswerKind.OCSP, der, single.this_update, single.next_update, obtained_at)


@lru_cache(maxsize=4096)
def cert_id(certificate: x509.Certificate, issuer: x509.Certificate, digest: str) -> CertId | None:
    """Name a certificate as OCSP does, with SHA-1 or SHA-256, which here only name and protect nothing."""
    algorithm = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}.get(digest)  # noqa: S303 (see above)
    if algorithm is None:
        return None
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
    return CertId(asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number)


@lru_cache(maxsize=1024)
def _key_hash(certificate: x509.Certificate) -> bytes:
    # Names the key (RFC 6960 section 4.2.1) and protects nothing.
    return hashlib.sha1(public_key_bits(certificate), usedforsecurity=False).digest()


def _response_extensions(response: ocsp.OCSPResponse) -> tuple[str, bytes | None]:
    unknown, nonce = "", None
    for each in response.extensions:
        if isinstance(each.value, x509.OCSPNonce):
            nonce = each.value.nonce
        elif each.critical and each.oid.dotted_string not in _KNOWN_IN_OCSP:
            unknown = unknown or each.oid.dotted_string
    return unknown, nonce


class _SingleExtensions(NamedTuple):
    covers_from: datetime | None
    invalid_from: datetime | None
    unknown_critical: str


def _singles(response: ocsp.OCSPResponse, der: bytes) -> tuple[Single, ...]:
    singles = tuple(response.responses)
    extensions = [_read_single_extensions(response)] if len(singles) == 1 else _read_extensions_of_many(der)
    return tuple(_single(single, more) for single, more in zip(singles, extensions, strict=True))


def _single(single: ocsp.OCSPSingleResponse, more: _SingleExtensions) -> Single:
    revocation = None
    if single.revocation_time_utc is not None:
        reason = single.revocation_reason
        revocation = Revocation(
            single.revocation_time_utc, reason.value if reason else "unspecified", more.invalid_from
        )
    return Single(
        CertId(single.issuer_name_hash, single.issuer_key_hash, single.serial_number),
        single.hash_algorithm,
        single.certificate_status,
        single.this_update_utc,
        single.next_update_utc,
        revocation,
        more.covers_from,
        more.unknown_critical,
    )


def _read_single_extensions(response: ocsp.OCSPResponse) -> _SingleExtensions:
    covers_from, invalid_from, unknown = None, None, ""
    for each in response.single_extensions:
        oid = each.oid.dotted_string
        if oid == _ARCHIVE_CUTOFF:
            covers_from = generalized_time(each.value)
        elif isinstance(each.value, x509.InvalidityDate):
            invalid_from = each.value.invalidity_date_utc
        elif each.critical and oid not in _KNOWN_IN_SINGLE:
            unknown = unknown or oid
    return _SingleExtensions(covers_from, invalid_from, unknown)


def _read_extensions_of_many(der: bytes) -> list[_SingleExtensions]:
    """Read the extensions of several single responses, which cryptography gives only where there is one."""
    basic = asn1crypto.ocsp.OCSPResponse.load(der)["response_bytes"]["response"].parsed
    found = []
    for single in basic["tbs_response_data"]["responses"]:
        covers_from, invalid_from, unknown = None, None, ""
        for each in single["single_extensions"] or ():
            oid = each["extn_id"].dotted
            if oid == _ARCHIVE_CUTOFF:
                covers_from = each["extn_value"].parsed.native
            elif oid == _INVALIDITY_DATE:
                invalid_from = each["extn_value"].parsed.native
            elif each["critical"].native and oid not in _KNOWN_IN_SINGLE:
                unknown = unknown or oid
        found.append(_SingleExtensions(covers_from, invalid_from, unknown))
    return found
