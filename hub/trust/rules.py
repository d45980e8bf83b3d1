# SPDX-License-Identifier: Apache-2.0
"""What is asked of a certificate by itself: its days, its usage, its strength.

Pure; chains and revocation are in `validation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.algorithms import key_problem, signature_problem
from hub.trust.model import Use
from hub.trust.names import describe

if TYPE_CHECKING:
    from datetime import datetime

_EKU = ExtendedKeyUsageOID
_DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_SIGNING_PURPOSES = frozenset(
    {_EKU.ANY_EXTENDED_KEY_USAGE, _EKU.CLIENT_AUTH, _EKU.EMAIL_PROTECTION, _DOCUMENT_SIGNING}
)
"""Extended usages under which authorities issue certificates for persons' and bodies' signatures."""


def check_days(certificate: x509.Certificate, at: datetime) -> None:
    """Refuse a certificate outside its validity.

    Raises:
        TrustError: `trust.certificate_not_yet_valid` or `trust.certificate_expired`.

    Source: RFC 5280 section 4.1.2.5: both ends belong to the validity.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if at < begin:
        detail = (
            f"{describe(certificate)} is valid from {format_instant(begin)}, checked at {format_instant(at)}"
        )
        raise TrustError("trust.certificate_not_yet_valid", detail)
    if at > end:
        detail = f"{describe(certificate)} expired at {format_instant(end)}, checked at {format_instant(at)}"
        raise TrustError("trust.certificate_expired", detail)


def check_form(certificate: x509.Certificate) -> None:
    """Refuse a certificate whose signature is not whole octets.

    The count of unused bits is outside what the authority signed, and both libraries let it pass when the
    dropped bits happen to be zero; then one certificate would have several forms and several digests.

    Raises:
        TrustError: `trust.certificate_unreadable`.

    Source: RFC 5280 section 4.1.1.3; X.690 clause 8.6.2; every signature allowed here is an octet string.
    """
    der = certificate.public_bytes(Encoding.DER)
    if der[-len(certificate.signature) - 1] != 0:
        raise TrustError(
            "trust.certificate_unreadable", f"unused bits in the signature of {describe(certificate)}"
        )


def check_usage(certificate: x509.Certificate, use: Use) -> None:
    """Refuse a certificate that was not issued for a use.

    Raises:
        TrustError: `trust.usage_not_allowed`.

    Source: RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12; RFC 3161 section 2.3 (time stamping: critical and
        alone); RFC 6960 section 4.2.2.2 (OCSP).
    """
    reason = _lists_problem(certificate) if use is Use.CRL else _usage_problem(certificate, use)
    if reason:
        raise TrustError("trust.usage_not_allowed", f"for {use}, {describe(certificate)} {reason}")


def needs_no_revocation(certificate: x509.Certificate) -> bool:
    """Tell whether an authority says that nobody need ask whether this responder is revoked.

    Source: RFC 6960 section 4.2.2.2.1 (id-pkix-ocsp-nocheck).
    """
    return x509.OCSPNoCheck in _extensions(certificate)


def check_strength(certificate: x509.Certificate) -> None:
    """Refuse a key and a signature that the table of `algorithms` does not allow.

    Args:
        certificate: any of a path.

    Raises:
        TrustError: `trust.algorithm_not_allowed`.

    Source: ETSI TS 119 312.
    """
    problem = key_problem(certificate) or signature_problem(certificate)
    if problem:
        raise TrustError("trust.algorithm_not_allowed", f"{describe(certificate)}: {problem}")


def _lists_problem(certificate: x509.Certificate) -> str:
    """Authorities sign their own lists, so here alone an authority's certificate serves too."""
    usage = _extensions(certificate).get(x509.KeyUsage)
    may_sign = usage is not None and isinstance(usage.value, x509.KeyUsage) and usage.value.crl_sign
    return "" if may_sign else "lacks cRLSign"


def _usage_problem(certificate: x509.Certificate, use: Use) -> str:
    """Return what speaks against a use, or nothing."""
    extensions = _extensions(certificate)
    constraints = extensions.get(x509.BasicConstraints)
    if (
        constraints is not None
        and isinstance(constraints.value, x509.BasicConstraints)
        and constraints.value.ca
    ):
        return "is an authority's certificate"
    key_usage = extensions.get(x509.KeyUsage)
    if key_usage is None or not isinstance(key_usage.value, x509.KeyUsage):
        return "states no key usage"
    if not (key_usage.value.digital_signature or key_usage.value.content_commitment):
        return "has neither digitalSignature nor nonRepudiation"
    extended = extensions.get(x509.ExtendedKeyUsage)
    purposes = (
        frozenset(extended.value)
        if extended is not None and isinstance(extended.value, x509.ExtendedKeyUsage)
        else None
    )
    match use:
        case Use.ENVELOPE | Use.SEAL:
            return "" if purposes is None or purposes & _SIGNING_PURPOSES else "is meant for other purposes"
        case Use.TIMESTAMP:
            is_critical = extended is not None and extended.critical
            is_alone = purposes == frozenset({_EKU.TIME_STAMPING})
            return (
                "" if is_critical and is_alone else "lacks timeStamping as its only, critical extended usage"
            )
        case _:
            needed = _EKU.CLIENT_AUTH if use is Use.TLS_CLIENT else _EKU.OCSP_SIGNING
            return "" if purposes and needed in purposes else f"lacks the extended usage that {use} needs"


def _extensions(
    certificate: x509.Certificate,
) -> dict[type[x509.ExtensionType], x509.Extension[x509.ExtensionType]]:
    try:
        return {type(extension.value): extension for extension in certificate.extensions}
    except (ValueError, x509.DuplicateExtension) as exc:
        detail = f"the extensions of {describe(certificate)} cannot be read"
        raise TrustError("trust.certificate_unreadable", detail) from exc
