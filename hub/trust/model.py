# SPDX-License-Identifier: Apache-2.0
"""The words of trust: uses, approved authorities, revocation answers, and a path that held.

The trust list's file form is described in certs/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.errors import Finding
    from hub.identifiers import MemberId

OCSP_AGE_WITHOUT_NEXT_UPDATE = timedelta(minutes=5)
"""How long an OCSP answer holds that does not say when the next one comes (RFC 6960 section 4.2.2.1)."""


class Use(StrEnum):
    """What a certificate is to be used for."""

    ENVELOPE = "envelope"
    SEAL = "seal"
    TIMESTAMP = "timestamp"
    OCSP = "ocsp"
    CRL = "crl"
    TLS_CLIENT = "tls-client"
    TLS_SERVER = "tls-server"
    ENCRYPTION = "encryption"


class RevocationPolicy(StrEnum):
    """Which revocation answers an authority's certificates need; there is no way to need none."""

    EITHER = "either"
    OCSP = "ocsp"
    CRL = "crl"
    BOTH = "both"


class AnswerKind(StrEnum):
    """How an authority says what it has revoked; the values are the ending of a stored answer's file."""

    OCSP = "ocsp"
    CRL = "crl"


@dataclass(frozen=True)
class Authority:
    """One approved authority; one row of the trust list.

    Attributes:
        certificate: the authority's own.
        is_anchor: whether paths may end here; a root.
        uses: what certificates it issued itself may be used for.
        approved_from: UTC; the first instant of the approval.
        approved_until: UTC; the first instant after it, or None while it lasts.
        revocation: which answers its certificates need.
        name: for people.
        reaches_below: whether the uses also hold for what the authorities below it issued.
        longest_answer_age: how old an answer about its certificates may be, whatever the answer says itself;
            None leaves it to the answer.
        unsafe_accepts_unknown_revocation: whether its certificates are believed while no answer is to be had,
            with an alarm; never when an answer says revoked.
    """

    certificate: x509.Certificate
    is_anchor: bool
    uses: frozenset[Use]
    approved_from: datetime
    approved_until: datetime | None
    revocation: RevocationPolicy
    name: str = ""
    reaches_below: bool = False
    longest_answer_age: timedelta | None = None
    unsafe_accepts_unknown_revocation: bool = False

    def is_approved(self, at: datetime) -> bool:
        """Tell whether the approval holds at an instant."""
        return self.approved_from <= at and (self.approved_until is None or at < self.approved_until)


@dataclass(frozen=True)
class ListedService:
    """A time-stamping authority or OCSP responder that is approved by its own certificate.

    Attributes:
        certificate: the service's own; it is still validated and checked for revocation.
        name: for people.
        url: where it answers, or None where callers learn that elsewhere.
        approved_from: UTC; the first instant of the approval.
        approved_until: UTC; the first instant after it, or None while it lasts.
    """

    certificate: x509.Certificate
    name: str
    url: str | None
    approved_from: datetime
    approved_until: datetime | None

    def is_approved(self, at: datetime) -> bool:
        """Tell whether the approval holds at an instant."""
        return self.approved_from <= at and (self.approved_until is None or at < self.approved_until)


@dataclass(frozen=True)
class TrustList:
    """Everybody who is approved; one version of the list.

    Attributes:
        authorities: certification authorities.
        time_stamping: time-stamping authorities, in the order in which they are asked.
        ocsp_responders: responders approved by their own certificate, beside those an authority appoints.
        sequence: number of the version, from 1 on; 0 for a list that was never published.
        issued_at: UTC; from here on this version is in force.
        next_update: UTC; by then a newer version is due, or None.
    """

    authorities: tuple[Authority, ...]
    time_stamping: tuple[ListedService, ...] = ()
    ocsp_responders: tuple[ListedService, ...] = ()
    sequence: int = 0
    issued_at: datetime | None = None
    next_update: datetime | None = None

    def find(self, certificate: x509.Certificate) -> Authority | None:
        """Return the row of exactly this certificate, if it has one."""
        return next((row for row in self.authorities if row.certificate == certificate), None)

    def of(self, at: datetime) -> TrustList:
        """Return the list in force at an instant; a single version is always in force."""
        del at
        return self


@dataclass(frozen=True)
class RevocationAnswer:
    """An authority's signed statement, as it was received.

    Attributes:
        kind: OCSP response or CRL.
        der: its bytes; what an auditor verifies again.
        this_update: UTC; from when the statement is known to be right.
        next_update: UTC; when a newer one is due, or None where it does not say.
        obtained_at: UTC; when it was fetched, or None for one that was stored.
    """

    kind: AnswerKind
    der: bytes
    this_update: datetime
    next_update: datetime | None
    obtained_at: datetime | None = None

    @property
    def usable_until(self) -> datetime:
        """The instant from which the answer is too old."""
        return self.next_update or self.this_update + OCSP_AGE_WITHOUT_NEXT_UPDATE


@dataclass(frozen=True)
class ValidatedPath:
    """A certificate that may be believed for one use, and why.

    Attributes:
        path: the certificate first, then its issuers, the root last.
        use: what it was checked for.
        member_id: the member it speaks for; None where members do not matter, as for time stamps.
        authority: the approved authority that issued it.
        revocation: every answer that was relied on; stored, they let the check be repeated offline.
        checked_at: UTC; the instant the check was made for.
        fresh_from: UTC; from here on the result holds.
        fresh_until: UTC; from here on the check has to be made again.
        warnings: what was let pass although it should not be so.
    """

    path: tuple[x509.Certificate, ...]
    use: Use
    member_id: MemberId | None
    authority: Authority
    revocation: tuple[RevocationAnswer, ...]
    checked_at: datetime
    fresh_from: datetime
    fresh_until: datetime
    warnings: tuple[Finding, ...] = ()

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that was validated."""
        return self.path[0]
