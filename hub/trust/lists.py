# SPDX-License-Identifier: Apache-2.0
"""CRLs as they are read. Nothing here believes one; `crls` does.

Source: RFC 5280 section 5.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509

from hub.trust.algorithms import ANY_ALGORITHM, is_signed_by, signature_problem
from hub.trust.distinguishednames import comparable
from hub.trust.model import AnswerKind, RevocationAnswer
from hub.trust.reading import MALFORMED, ReadOnce, generalized_time
from hub.trust.refusals import refusal
from hub.trust.statements import Revocation

if TYPE_CHECKING:
    from datetime import datetime

_EXPIRED_CERTS_ON_CRL = "2.5.29.60"
_KNOWN_IN_CRL = (
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
    x509.DeltaCRLIndicator,
    x509.IssuingDistributionPoint,
    x509.FreshestCRL,
    x509.IssuerAlternativeName,
    x509.AuthorityInformationAccess,
)
_KNOWN_IN_ENTRY = (x509.CRLReason, x509.InvalidityDate, x509.CertificateIssuer)
_CRITICAL_TRUE = b"\x01\x01\xff"


class ReadCrl:
    """A CRL, complete or delta.

    Raises:
        TrustError: `trust.revocation_unknown` when it cannot be read or states no next update.

    Source: RFC 5280 section 5.1; nextUpdate is required there (5.1.2.5).
    """

    def __init__(self, der: bytes) -> None:
        try:
            self._crl = x509.load_der_x509_crl(der)
            self.issuer = self._crl.issuer
            self.issuer_name = comparable(self._crl.issuer)
            self.this_update = self._crl.last_update_utc
            next_update = self._crl.next_update_utc
            self.weak_algorithm = signature_problem(self._crl, allowed=ANY_ALGORITHM)
            self.extensions = {type(each.value): each.value for each in self._crl.extensions}
            self._read_extensions()
        except MALFORMED as exc:
            raise refusal("crl_unreadable") from exc
        if next_update is None:
            raise refusal("crl_without_next_update")
        self.next_update: datetime = next_update
        self._signers: dict[x509.Certificate, bool] = {}

    def _read_extensions(self) -> None:
        number = self.extensions.get(x509.CRLNumber)
        self.number = number.crl_number if isinstance(number, x509.CRLNumber) else None
        base = self.extensions.get(x509.DeltaCRLIndicator)
        self.base_number = base.crl_number if isinstance(base, x509.DeltaCRLIndicator) else None
        scope = self.extensions.get(x509.IssuingDistributionPoint)
        self.scope = scope if isinstance(scope, x509.IssuingDistributionPoint) else None
        key = self.extensions.get(x509.AuthorityKeyIdentifier)
        self.key_id = key.key_identifier if isinstance(key, x509.AuthorityKeyIdentifier) else None
        freshest = self.extensions.get(x509.FreshestCRL)
        self.freshest = tuple(freshest) if isinstance(freshest, x509.FreshestCRL) else ()
        self.covers_from: datetime | None = None
        self.unknown_critical = ""
        for each in self._crl.extensions:
            if each.oid.dotted_string == _EXPIRED_CERTS_ON_CRL:
                self.covers_from = generalized_time(each.value)
            elif each.critical and not isinstance(each.value, _KNOWN_IN_CRL):
                self.unknown_critical = self.unknown_critical or each.oid.dotted_string

    def is_signed_by(self, certificate: x509.Certificate) -> bool:
        """Tell whether an allowed signature under a certificate's key holds."""
        if certificate not in self._signers:
            self._signers[certificate] = is_signed_by(self._crl, certificate, ANY_ALGORITHM)
        return self._signers[certificate]

    def entry(self, certificate: x509.Certificate) -> Revocation | None:
        """Return what the list says about a certificate of its scope, None when it is not listed.

        Source: RFC 5280 sections 5.3.3 (certificateIssuer holds for the entries after it) and 6.3.3 (i), (j).
        """
        if self.scope is None or not self.scope.indirect_crl:
            if certificate.serial_number <= 0:
                return self._index.get((self.issuer_name, certificate.serial_number))
            found = self._crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            return _revocation(found) if found else None
        return self._index.get((comparable(certificate.issuer), certificate.serial_number))

    @cached_property
    def unknown_critical_in_entries(self) -> str:
        """The first critical entry extension that is not understood, or nothing.

        Going through a long list costs; it is gone through only where the encoding of `critical TRUE` occurs
        more often than in the list's own extensions.
        """
        own = sum(each.critical for each in self._crl.extensions)
        if self._crl.tbs_certlist_bytes.count(_CRITICAL_TRUE) <= own:
            return ""
        for entry in self._crl:
            for each in entry.extensions:
                if each.critical and not isinstance(each.value, _KNOWN_IN_ENTRY):
                    return str(each.oid.dotted_string)
        return ""

    @cached_property
    def _index(self) -> dict[tuple[object, int], Revocation]:
        found: dict[tuple[object, int], Revocation] = {}
        issuer: object = self.issuer_name
        for entry in self._crl:
            for each in entry.extensions:
                if isinstance(each.value, x509.CertificateIssuer):
                    names = each.value.get_values_for_type(x509.DirectoryName)
                    issuer = comparable(names[0]) if names else ()
            found[issuer, entry.serial_number] = _revocation(entry)
        return found


load_crl = ReadOnce(ReadCrl)
"""Read a CRL once."""


def crl_answer(der: bytes, obtained_at: datetime | None = None) -> RevocationAnswer:
    """Read a CRL.

    Raises:
        TrustError: `trust.revocation_unknown` when it cannot be read, or states no next update.
    """
    crl = load_crl(der)
    return RevocationAnswer(AnswerKind.CRL, der, crl.this_update, crl.next_update, obtained_at)


def _revocation(entry: x509.RevokedCertificate) -> Revocation:
    reason, invalid_from = "unspecified", None
    for each in entry.extensions:
        if isinstance(each.value, x509.CRLReason):
            reason = each.value.reason.value
        elif isinstance(each.value, x509.InvalidityDate):
            invalid_from = each.value.invalidity_date_utc
    return Revocation(entry.revocation_date_utc, reason, invalid_from)
