# SPDX-License-Identifier: Apache-2.0
"""What a certificate says, read once and completely: a certificate that cannot be read is refused here.

Pure. Nothing here judges; what is missing is None.

Source: RFC 5280 sections 4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import asn1crypto.x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from hub.trust.distinguishednames import comparable
from hub.trust.nameconstraints import NameConstraints, names_in, read_constraints
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from datetime import datetime

    from hub.trust.distinguishednames import ComparableName
    from hub.trust.nameconstraints import ConstrainedName

T = TypeVar("T", bound=x509.ExtensionType)

MOST_POLICIES = 256
"""How many policies, and how many mappings, a certificate may state; real ones state a handful."""

_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the libraries raise on parts of a certificate that they read late."""

PROCESSED = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.OCSP_NO_CHECK,
        _POLICY_MAPPINGS,
    }
)
"""The extensions whose meaning is heeded; any other one that is critical refuses the certificate."""


@dataclass(frozen=True, eq=False)
class Contents:
    """One certificate, read.

    Attributes:
        certificate: itself.
        subject: in the form in which names are compared.
        issuer: likewise.
        key: SubjectPublicKeyInfo in DER.
        key_id: of the subject's key.
        authority_key_id: of the issuer's key.
        is_authority: what basicConstraints says; None without it.
        longest_below: how many authorities may follow below it, those that issued to themselves not counted.
        key_usage: what the key is for.
        extended_usages: for which purposes; None without the extension.
        is_extended_usage_critical: whether that extension is critical.
        policies: what certificatePolicies names; None without it.
        mappings: pairs of a policy of the issuer's domain and one of the subject's.
        explicit_policy_after: from how many certificates further on a valid policy is required.
        mapping_inhibited_after: from how many certificates further on policies may not be mapped.
        any_policy_inhibited_after: from how many certificates further on anyPolicy no longer counts.
        constraints: which names may be issued below it.
        names: every name of the subject that constraints can be about.
        unknown_critical: critical extensions that nothing here understands.
        needs_no_revocation: whether its issuer says that nobody need ask whether it is revoked.
    """

    certificate: x509.Certificate
    subject: ComparableName
    issuer: ComparableName
    key: bytes
    key_id: bytes | None
    authority_key_id: bytes | None
    is_authority: bool | None
    longest_below: int | None
    key_usage: x509.KeyUsage | None
    extended_usages: frozenset[x509.ObjectIdentifier] | None
    is_extended_usage_critical: bool
    policies: frozenset[x509.ObjectIdentifier] | None
    mappings: tuple[tuple[x509.ObjectIdentifier, x509.ObjectIdentifier], ...]
    explicit_policy_after: int | None
    mapping_inhibited_after: int | None
    any_policy_inhibited_after: int | None
    constraints: NameConstraints | None
    names: tuple[ConstrainedName, ...]
    unknown_critical: tuple[x509.ObjectIdentifier, ...]
    needs_no_revocation: bool

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are one, as in a certificate for a new key (RFC 5280 section 6.1)."""
        return self.subject == self.issuer


def read(certificate: x509.Certificate, at: datetime | None = None) -> Contents:
    """Read a certificate.

    Args:
        certificate: any.
        at: UTC; the instant it is checked for, to be named in a refusal.

    Raises:
        TrustError: `trust.certificate_unreadable`, for example when an extension stands in it twice.
    """
    try:
        return _read(certificate)
    except UNREADABLE as exc:
        digest = certificate.fingerprint(hashes.SHA256()).hex()
        raise refusal("unreadable", None, at, digest=digest, why=str(exc)[:200]) from exc


def _read(certificate: x509.Certificate) -> Contents:
    extensions = _Extensions(certificate)
    basic = extensions.find(x509.BasicConstraints)
    extended = extensions.find(x509.ExtendedKeyUsage)
    policies = extensions.find(x509.CertificatePolicies)
    policy_constraints = extensions.find(x509.PolicyConstraints)
    inhibited = extensions.find(x509.InhibitAnyPolicy)
    constraints = extensions.find(x509.NameConstraints)
    alternative = extensions.find(x509.SubjectAlternativeName)
    key_id = extensions.find(x509.SubjectKeyIdentifier)
    authority_key_id = extensions.find(x509.AuthorityKeyIdentifier)
    mappings = _mappings(extensions)
    subject = comparable(certificate.subject)
    if len(policies or ()) > MOST_POLICIES or len(mappings) > MOST_POLICIES:
        raise ValueError(f"it states more than {MOST_POLICIES} policies or mappings")
    return Contents(
        certificate=certificate,
        subject=subject,
        issuer=comparable(certificate.issuer),
        key=_key_of(certificate),
        key_id=key_id.digest if key_id else None,
        authority_key_id=authority_key_id.key_identifier if authority_key_id else None,
        is_authority=basic.ca if basic else None,
        longest_below=basic.path_length if basic else None,
        key_usage=extensions.find(x509.KeyUsage),
        extended_usages=frozenset(extended) if extended is not None else None,
        is_extended_usage_critical=extensions.is_critical(ExtensionOID.EXTENDED_KEY_USAGE),
        policies=frozenset(each.policy_identifier for each in policies) if policies is not None else None,
        mappings=mappings,
        explicit_policy_after=policy_constraints.require_explicit_policy if policy_constraints else None,
        mapping_inhibited_after=policy_constraints.inhibit_policy_mapping if policy_constraints else None,
        any_policy_inhibited_after=inhibited.skip_certs if inhibited else None,
        constraints=read_constraints(certificate, constraints) if constraints else None,
        names=names_in(certificate.subject, subject, tuple(alternative or ())),
        unknown_critical=extensions.unknown_critical(),
        needs_no_revocation=extensions.find(x509.OCSPNoCheck) is not None,
    )


class _Extensions:
    """The extensions of a certificate by their kind."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._all = {extension.oid: extension for extension in certificate.extensions}

    def find(self, kind: type[T]) -> T | None:
        found = self._all.get(kind.oid)
        if found is None:
            return None
        if not isinstance(found.value, kind):
            raise TypeError(f"the extension {kind.oid.dotted_string} has another form than its own")
        return found.value

    def raw(self, oid: x509.ObjectIdentifier) -> bytes | None:
        found = self._all.get(oid)
        if found is None or not isinstance(found.value, x509.UnrecognizedExtension):
            return None
        return found.value.value

    def is_critical(self, oid: x509.ObjectIdentifier) -> bool:
        return oid in self._all and self._all[oid].critical

    def unknown_critical(self) -> tuple[x509.ObjectIdentifier, ...]:
        return tuple(oid for oid, each in self._all.items() if each.critical and oid not in PROCESSED)


def _mappings(
    extensions: _Extensions,
) -> tuple[tuple[x509.ObjectIdentifier, x509.ObjectIdentifier], ...]:
    raw = extensions.raw(_POLICY_MAPPINGS)
    if raw is None:
        return ()
    pairs = asn1crypto.x509.PolicyMappings.load(raw, strict=True)
    return tuple(
        (
            x509.ObjectIdentifier(pair["issuer_domain_policy"].dotted),
            x509.ObjectIdentifier(pair["subject_domain_policy"].dotted),
        )
        for pair in pairs
    )


def _key_of(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except UNREADABLE:
        # A key nobody can use is refused elsewhere; here it only has to differ from other keys.
        return certificate.tbs_certificate_bytes
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
