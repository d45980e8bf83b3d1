# SPDX-License-Identifier: Apache-2.0
"""Chains of certificates made on the spot, right or wrong as a test wants them, and CRLs for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from hub.trust import (
    USE_POLICIES,
    Authority,
    HeldRevocation,
    RevocationPolicy,
    TrustList,
    Use,
    UsePolicy,
    ValidatedPath,
    Validator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
POLICY = UsePolicy(USE_POLICIES[Use.ENVELOPE].key_usages)
"""Asks nothing but a signature's key usage, so that the path alone decides."""

_serials = count(1000)


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@cache
def key(label: str) -> ec.EllipticCurvePrivateKey:
    """A key for a label, the same in the whole session: making keys takes most of the time."""
    del label
    return ec.generate_private_key(ec.SECP256R1())


def name(common: str, *more: x509.NameAttribute[str]) -> x509.Name:
    attributes: list[x509.NameAttribute[str]] = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Path tests"),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
        *more,
    ]
    return x509.Name(attributes)


def usage(*bits: str) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in bits for bit in known})


AUTHORITY_USAGE = usage("key_cert_sign", "crl_sign")


def make(
    subject: str | x509.Name,
    issuer: Made | None = None,
    *,
    is_authority: bool | None = True,
    path_length: int | None = None,
    key_usage: x509.KeyUsage | None = AUTHORITY_USAGE,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    key_label: str | None = None,
    issuer_name: x509.Name | None = None,
    with_key_ids: bool = True,
) -> Made:
    """Make a certificate; an authority's unless said otherwise, self-signed without an issuer.

    Args:
        subject: a whole name, or a common name.
        issuer: who signs.
        is_authority: of basicConstraints; None leaves the extension out.
        path_length: of basicConstraints.
        key_usage: None leaves the extension out.
        extensions: further ones, each with its criticality.
        key_label: which key; that of the common name when left out.
        issuer_name: another than that of who signs.
        with_key_ids: whether subject and authority key identifiers are stated.
    """
    subject_name = name(subject) if isinstance(subject, str) else subject
    own = key(key_label or subject_name.rfc4514_string())
    signer = issuer.key if issuer else own
    stated = list(extensions)
    if is_authority is not None:
        stated.append((x509.BasicConstraints(is_authority, path_length), True))
    if key_usage is not None:
        stated.append((key_usage, True))
    if with_key_ids:
        stated.append((x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False))
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        stated.append((by, False))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer_name or (issuer.certificate.subject if issuer else subject_name))
        .public_key(own.public_key())
        .serial_number(next(_serials))
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    for extension, critical in stated:
        builder = builder.add_extension(extension, critical)
    return Made(builder.sign(signer, hashes.SHA256()), own)


def make_leaf(
    issuer: Made, subject: str | x509.Name = "leaf", *names: x509.GeneralName, **how: object
) -> Made:
    """Make a certificate that signs, with alternative names if any are given."""
    extensions = [*how.pop("extensions", ())]  # type: ignore[misc]
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    return make(
        subject,
        issuer,
        is_authority=None,
        key_usage=usage("digital_signature"),
        extensions=extensions,
        **how,  # type: ignore[arg-type]
    )


def policies(*oids: str) -> tuple[x509.CertificatePolicies, bool]:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(ObjectIdentifier(oid), None) for oid in oids]
    ), False


def crl_of(authority: Made, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """Return a CRL that lists nobody."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(AT - timedelta(hours=1))
        .next_update(AT + timedelta(hours=1))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def row(authority: Made, *, is_anchor: bool = True) -> Authority:
    return Authority(
        certificate=authority.certificate,
        is_anchor=is_anchor,
        uses=frozenset({Use.ENVELOPE}),
        approved_from=BEGIN,
        approved_until=None,
        revocation=RevocationPolicy.CRL,
        reaches_below=True,
    )


def validate(
    leaf: Made,
    *between: Made,
    root: Made,
    policy: UsePolicy = POLICY,
    listed: Sequence[Authority] = (),
) -> ValidatedPath:
    """Validate a leaf below a root, with a CRL of every authority at hand."""
    validator = Validator(
        TrustList((row(root), *listed)),
        HeldRevocation([], [crl_of(each) for each in (root, *between)]),
        policies={**USE_POLICIES, Use.ENVELOPE: policy},
    )
    chain = [each.certificate for each in (leaf, *between)]
    return validator.validate(chain, use=Use.ENVELOPE, at=AT)
