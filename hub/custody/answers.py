# SPDX-License-Identifier: Apache-2.0
"""What an authority sends back to a request: read in any form, put in order, and checked before it is used.

Source: RFC 5280 section 4.2 (extensions), RFC 2315 and RFC 5652 section 5 (certificates in PKCS#7), ETSI EN
319 412-1 clause 5.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asn1crypto import pem
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.clock import format_instant
from hub.custody.held import is_same_key
from hub.trust import ANY_ALGORITHM, Use, describe, key_problem, member_of_certificate, refusal

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import MemberId
    from hub.trust import PublicKey, Validator

MOST_BYTES = 256 * 1024
MOST_CERTIFICATES = 20

_PEM = b"-----BEGIN "
_NEEDED_EXTENDED_USAGE = {
    Use.TLS_CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Use.TLS_SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Use.TIMESTAMP: ExtendedKeyUsageOID.TIME_STAMPING,
}


@dataclass(frozen=True)
class Expectation:
    """What an answer has to fit.

    Attributes:
        public_key: the key that the certificate was asked for.
        use: what it is for.
        at: UTC; now.
        member: whom it has to name; None where there is none.
        request: what was asked; None when it is not known any more.
        validator: judges the chain by the trust list; None leaves that out.
    """

    public_key: PublicKey
    use: Use
    at: datetime
    member: MemberId | None = None
    request: x509.CertificateSigningRequest | None = None
    validator: Validator | None = None


@dataclass(frozen=True)
class CheckedAnswer:
    """An answer that may be used.

    Attributes:
        chain: the certificate first, then its issuers up to but without the root.
        warnings: in English, what is worth knowing; nothing that prevents its use.
    """

    chain: tuple[x509.Certificate, ...]
    warnings: tuple[str, ...]

    def as_pem(self) -> bytes:
        """Return the chain as the settings want it."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)


def read_certificates(content: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates in PEM (any number), DER (one), or PKCS#7 in PEM or DER; in no special order.

    Raises:
        TrustError: `trust.answer_unusable` when it is none of these, holds a private key, or too much.
    """
    if len(content) > MOST_BYTES:
        raise refusal("answer_unreadable", facts=f"more than {MOST_BYTES} bytes")
    if b"PRIVATE KEY-----" in content:
        # It would be somebody's mistake that becomes a leak: the answer is stored readable for everybody.
        raise refusal("answer_with_private_key")
    try:
        found = _read_pem(content) if _PEM in content else _read_der(content)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise refusal("answer_unreadable", facts="neither PEM, DER nor PKCS#7") from exc
    unique = tuple(dict.fromkeys(found))
    if not 0 < len(unique) <= MOST_CERTIFICATES:
        raise refusal("answer_unreadable", facts=f"{len(unique)} certificates")
    return unique


def check_answer(certificates: tuple[x509.Certificate, ...], expected: Expectation) -> CheckedAnswer:
    """Put an authority's answer in order and check that it is what was asked for.

    Checked are, in this order: the key, the member, the subject that was asked for, the usages, the days,
    that each certificate was issued by the next, and, with a validator, that the trust list approves.

    Args:
        certificates: as `read_certificates` found them; those that do not belong to the chain are left out.
        expected: what it has to fit.

    Raises:
        TrustError: `trust.answer_unusable`, `trust.wrong_member`, `trust.usage_not_allowed`,
            `trust.certificate_expired`, `trust.algorithm_not_allowed`, or what the validator raises.
    """
    own = [each for each in certificates if is_same_key(expected.public_key, each)]
    if not own:
        raise refusal("answer_for_another_key", certificates[0], expected.at)
    # Of several, the newest: some authorities send the old certificate along.
    leaf = max(own, key=lambda each: (each.not_valid_before_utc, each.not_valid_after_utc))
    _check_subject(leaf, expected)
    _check_usages(leaf, expected)
    if expected.at > leaf.not_valid_after_utc:
        raise refusal("expired", leaf, expected.at, end=format_instant(leaf.not_valid_after_utc))
    if problem := key_problem(leaf, ANY_ALGORITHM):
        raise refusal("answer_with_weak_key", leaf, expected.at, problem=problem)
    chain, is_complete = _order(leaf, certificates)
    if expected.validator is not None:
        expected.validator.validate(chain, use=expected.use, at=expected.at)
    return CheckedAnswer(chain, tuple(_warnings(chain, len(certificates), expected, is_complete=is_complete)))


def _read_pem(content: bytes) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    blocks = list(pem.unarmor(content, multiple=True))
    if not len(blocks) == content.count(_PEM) == content.count(b"-----END "):
        # A block that was cut off would otherwise just be missing.
        raise ValueError("a PEM block without its end")
    for label, _, der in blocks:
        if label in {"CERTIFICATE", "X509 CERTIFICATE"}:
            found.append(x509.load_der_x509_certificate(der))
        elif label in {"PKCS7", "CMS"}:
            found += pkcs7.load_der_pkcs7_certificates(der)
        else:
            raise ValueError(f"a PEM block that is neither a certificate nor PKCS#7: {label}")
    return found


def _read_der(content: bytes) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(content)]
    except ValueError:
        return pkcs7.load_der_pkcs7_certificates(content)


def _check_subject(leaf: x509.Certificate, expected: Expectation) -> None:
    if expected.member is not None and member_of_certificate(leaf) != expected.member:
        raise refusal("answer_for_another_member", leaf, expected.at, member=expected.member)
    if expected.request is None:
        return
    if not is_same_key(expected.request.public_key(), leaf):
        raise refusal("answer_for_another_request", leaf, expected.at)
    for oid in (x509.NameOID.ORGANIZATION_IDENTIFIER, x509.NameOID.ORGANIZATION_NAME):
        asked = [each.value for each in expected.request.subject.get_attributes_for_oid(oid)]
        given = [each.value for each in leaf.subject.get_attributes_for_oid(oid)]
        if asked and asked != given:
            raise refusal("answer_for_another_subject", leaf, expected.at)


def _check_usages(leaf: x509.Certificate, expected: Expectation) -> None:
    try:
        extensions = leaf.extensions
    except ValueError as exc:
        raise refusal("answer_unreadable", leaf, expected.at, facts="its extensions cannot be read") from exc
    usage = next((each.value for each in extensions if isinstance(each.value, x509.KeyUsage)), None)
    if usage is None or not _serves(usage, expected.use) or usage.key_cert_sign:
        raise refusal("answer_with_other_usage", leaf, expected.at, use=expected.use)
    stated = [each.value for each in extensions if isinstance(each.value, x509.ExtendedKeyUsage)]
    needed = _NEEDED_EXTENDED_USAGE.get(expected.use)
    if needed is not None and not any(needed in each for each in stated):
        raise refusal("answer_with_other_usage", leaf, expected.at, use=expected.use)


def _serves(usage: x509.KeyUsage, use: Use) -> bool:
    if use is Use.ENCRYPTION:
        return usage.key_agreement or usage.key_encipherment
    return usage.digital_signature or usage.content_commitment


def _order(
    leaf: x509.Certificate, certificates: tuple[x509.Certificate, ...]
) -> tuple[tuple[x509.Certificate, ...], bool]:
    """Return the chain without its root, and whether its last issuer came along as a root."""
    chain = [leaf]
    while True:
        last = chain[-1]
        issuers = [each for each in certificates if each not in chain and _issued(each, last)]
        if _issued(last, last):
            return (tuple(chain[:-1]) or tuple(chain)), True
        if not issuers:
            return tuple(chain), False
        # A root that came along ends the chain, rather than another authority's certificate for it.
        chain.append(max(issuers, key=lambda each: (_issued(each, each), each.not_valid_after_utc)))


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _warnings(
    chain: tuple[x509.Certificate, ...], count: int, expected: Expectation, *, is_complete: bool
) -> list[str]:
    found = []
    if expected.at < chain[0].not_valid_before_utc:
        found.append(f"it is valid only from {format_instant(chain[0].not_valid_before_utc)} on")
    if len(chain) == 1 and not is_complete:
        found.append(
            "the authority's own certificate did not come along; without it others refuse signatures"
        )
    unused = count - len(chain) - is_complete
    if unused > 0:
        found.append(f"{unused} certificates do not belong to the chain and were left out")
    if expected.validator is None:
        found.append("no trust list was given, so whether it is approved was not checked")
    found += [
        f"{describe(each)} ends before it, at {format_instant(each.not_valid_after_utc)}"
        for each in chain[1:]
        if each.not_valid_after_utc < chain[0].not_valid_after_utc
    ]
    return found
