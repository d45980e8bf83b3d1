# SPDX-License-Identifier: Apache-2.0
"""What each use asks of a certificate and of its path: one policy object a use.

Source: RFC 5280 sections 4.2.1.3, 4.2.1.9, 4.2.1.12 and 6.1.1; RFC 3161 section 2.3 (time stamping); RFC 6960
section 4.2.2.2 (OCSP).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.trust.algorithms import ALGORITHMS, DEFAULT_ALGORITHMS, Signed
from hub.trust.model import Use
from hub.trust.policies import ANY_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.x509.oid import ObjectIdentifier

    from hub.trust.algorithms import SignatureAlgorithm

_EKU = ExtendedKeyUsageOID
_DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_SIGNING_PURPOSES = frozenset(
    {_EKU.ANY_EXTENDED_KEY_USAGE, _EKU.CLIENT_AUTH, _EKU.EMAIL_PROTECTION, _DOCUMENT_SIGNING}
)
"""Extended usages under which authorities issue certificates for persons' and bodies' signatures."""


class KeyUsage(StrEnum):
    """What a key is for; the values are those of RFC 5280 section 4.2.1.3."""

    DIGITAL_SIGNATURE = "digitalSignature"
    NON_REPUDIATION = "nonRepudiation"
    KEY_ENCIPHERMENT = "keyEncipherment"
    KEY_AGREEMENT = "keyAgreement"
    CERTIFICATE_SIGNATURE = "keyCertSign"
    CRL_SIGNATURE = "cRLSign"

    def is_in(self, usage: x509.KeyUsage) -> bool:
        """Tell whether a certificate's key usage includes this one."""
        match self:
            case KeyUsage.DIGITAL_SIGNATURE:
                return usage.digital_signature
            case KeyUsage.NON_REPUDIATION:
                return usage.content_commitment
            case KeyUsage.KEY_ENCIPHERMENT:
                return usage.key_encipherment
            case KeyUsage.KEY_AGREEMENT:
                return usage.key_agreement
            case KeyUsage.CERTIFICATE_SIGNATURE:
                return usage.key_cert_sign
            case KeyUsage.CRL_SIGNATURE:
                return usage.crl_sign


class ExtendedUsageRule(StrEnum):
    """How a certificate has to state its purposes."""

    ONE_IF_STATED = "one-if-stated"
    ONE = "one"
    ALONE_AND_CRITICAL = "alone-and-critical"


@dataclass(frozen=True)
class UsePolicy:
    """What one use asks.

    Attributes:
        key_usages: of which the certificate has to state at least one.
        extended_usages: the purposes that serve; none where the extension does not matter.
        extended_usage_rule: how they have to be stated.
        may_be_authority: whether an authority's own certificate serves too.
        binds_member: whether the certificate has to name the member it speaks for.
        algorithms: the rows of the table of algorithms that keys and signatures along the path may have.
        longest_path: how many certificates a path may have, certificate and root counted.
        initial_policies: the certificate policies that serve, all of them with anyPolicy.
        requires_explicit_policy: whether one of them has to be valid along the path.
        inhibits_policy_mapping: whether authorities may not map policies into their own.
        inhibits_any_policy: whether an authority's anyPolicy does not count.

    Source: RFC 5280 section 6.1.1 (c) to (g) for the last four.
    """

    key_usages: frozenset[KeyUsage]
    extended_usages: frozenset[ObjectIdentifier] = frozenset()
    extended_usage_rule: ExtendedUsageRule = ExtendedUsageRule.ONE_IF_STATED
    may_be_authority: bool = False
    binds_member: bool = False
    algorithms: frozenset[SignatureAlgorithm] = DEFAULT_ALGORITHMS
    longest_path: int = 8
    initial_policies: frozenset[ObjectIdentifier] = frozenset({ANY_POLICY})
    requires_explicit_policy: bool = False
    inhibits_policy_mapping: bool = False
    inhibits_any_policy: bool = False


_SIGNATURE = frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.NON_REPUDIATION})
_ENCRYPTION = frozenset({KeyUsage.KEY_AGREEMENT, KeyUsage.KEY_ENCIPHERMENT})
_ENCRYPTION_PURPOSES = frozenset({_EKU.ANY_EXTENDED_KEY_USAGE, _EKU.EMAIL_PROTECTION})
"""Extended usages under which authorities issue certificates to encrypt to."""

_SIGNED_BY_USE = {
    Use.ENVELOPE: Signed.ENVELOPE,
    Use.SEAL: Signed.SEAL,
    Use.TIMESTAMP: Signed.TIME_STAMP,
    Use.OCSP: Signed.REVOCATION,
    Use.CRL: Signed.REVOCATION,
}

USE_POLICIES: Mapping[Use, UsePolicy] = MappingProxyType(
    {
        Use.ENVELOPE: UsePolicy(_SIGNATURE, _SIGNING_PURPOSES, binds_member=True),
        Use.SEAL: UsePolicy(_SIGNATURE, _SIGNING_PURPOSES, binds_member=True),
        Use.TIMESTAMP: UsePolicy(
            _SIGNATURE, frozenset({_EKU.TIME_STAMPING}), ExtendedUsageRule.ALONE_AND_CRITICAL
        ),
        Use.OCSP: UsePolicy(_SIGNATURE, frozenset({_EKU.OCSP_SIGNING}), ExtendedUsageRule.ONE),
        # Authorities sign their own lists, so here alone an authority's certificate serves too.
        Use.CRL: UsePolicy(frozenset({KeyUsage.CRL_SIGNATURE}), may_be_authority=True),
        # Who connects, and who answers, has to be the member it is talked to as.
        Use.TLS_CLIENT: UsePolicy(
            _SIGNATURE, frozenset({_EKU.CLIENT_AUTH}), ExtendedUsageRule.ONE, binds_member=True
        ),
        Use.TLS_SERVER: UsePolicy(
            _SIGNATURE, frozenset({_EKU.SERVER_AUTH}), ExtendedUsageRule.ONE, binds_member=True
        ),
        Use.ENCRYPTION: UsePolicy(_ENCRYPTION, _ENCRYPTION_PURPOSES, binds_member=True),
    }
)
"""The uses there are, and what each asks; docs/trust.md shows the same table."""


def known_algorithm(algorithm_id: str) -> str:
    """Return the id of a row of the table of algorithms; for settings.

    Raises:
        ValueError: there is no such row.
    """
    known = [row.id for row in ALGORITHMS]
    if algorithm_id not in known:
        raise ValueError(f"is none of {', '.join(known)}")
    return algorithm_id


def policies_allowing(rows: Iterable[SignatureAlgorithm]) -> Mapping[Use, UsePolicy]:
    """Return the policies with rows of the table allowed that are off by default.

    A row is allowed for the uses whose signatures it may make, and along their paths.

    Args:
        rows: of `hub.trust.ALGORITHMS`.
    """
    added = frozenset(rows)
    return MappingProxyType(
        {
            use: replace(
                policy,
                algorithms=policy.algorithms | {row for row in added if _SIGNED_BY_USE.get(use) in row.signs},
            )
            for use, policy in USE_POLICIES.items()
        }
    )
