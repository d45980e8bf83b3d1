# SPDX-License-Identifier: Apache-2.0
"""How certificates are named to people: organisations in full, persons not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from hub.identifiers import is_resident_id

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

_LONGEST_NAME = 500
_READABLE = {NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier", NameOID.SERIAL_NUMBER: "serialNumber"}
_OF_PERSONS = frozenset(
    {
        NameOID.GIVEN_NAME,
        NameOID.SURNAME,
        NameOID.INITIALS,
        NameOID.GENERATION_QUALIFIER,
        NameOID.PSEUDONYM,
        NameOID.EMAIL_ADDRESS,
        NameOID.USER_ID,
    }
)
"""What only a natural person's name has (ETSI EN 319 412-2 clause 4.2.4)."""
_ALSO_OF_PERSONS = frozenset({NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER, NameOID.TITLE})
"""What stands for the person where a name is a natural person's."""
_SIGNATURES = {
    oid: name.replace("_", " ").replace("WITH", "with")
    for name, oid in vars(SignatureAlgorithmOID).items()
    if not name.startswith("_")
}
_LEFT_OUT = "…"
_UNREADABLE = "?"
_MAYBE_RESIDENT_ID = re.compile("(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")


def describe(certificate: x509.Certificate) -> str:
    """Name a certificate for people: subject, issuer and serial number (hexadecimal)."""
    subject, issuer = short_name(certificate.subject), short_name(certificate.issuer)
    return f"certificate {subject!r} (issuer {issuer!r}, serial {certificate.serial_number:x})"


def subject_of(certificate: x509.Certificate) -> str:
    """Name whom a certificate is for, as `full_name` does; `?` where a parser cannot read the name."""
    try:
        return full_name(certificate.subject)
    except ValueError:
        return _UNREADABLE


def issuer_of(certificate: x509.Certificate) -> str:
    """Name who issued a certificate, as `full_name` does; `?` where a parser cannot read the name."""
    try:
        return full_name(certificate.issuer)
    except ValueError:
        return _UNREADABLE


def title_of(certificate: x509.Certificate) -> str:
    """Name whom a certificate is for in short; `?` where a parser cannot read the name."""
    try:
        return short_name(certificate.subject)
    except ValueError:
        return _UNREADABLE


def validity_of(certificate: x509.Certificate) -> tuple[datetime, datetime] | None:
    """Return the first and last instant of a certificate, UTC; None where a parser cannot read them."""
    try:
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        return None


def describe_key(certificate: x509.Certificate) -> str:
    """Name a certificate's key: its kind, and its curve or size where the kind leaves that open."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return certificate.public_key_algorithm_oid.dotted_string
    match key:
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case _:
            return type(key).__name__.removesuffix("PublicKey")


def describe_signature(certificate: x509.Certificate) -> str:
    """Name the algorithm a certificate is signed with; its OID where that has no common name."""
    oid = certificate.signature_algorithm_oid
    return _SIGNATURES.get(oid, oid.dotted_string)


def full_name(name: x509.Name) -> str:
    """Write a whole name (RFC 4514) without what would name a person, at most 500 characters.

    Certificates of organisations are what the hub works with, but anybody can present a person's, and what is
    refused is written into logs and faults.

    Source: RFC 4514; ETSI EN 319 412-2 clause 4.2.4; PIPL article 6.
    """
    # RFC 4514 section 2.1 writes the last part first.
    text = ",".join("+".join(_shown(part, name) for part in rdn) for rdn in reversed(name.rdns))
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}{_LEFT_OUT}"


def short_name(name: x509.Name) -> str:
    """Return the common name, or where there is none the whole name (RFC 4514)."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return _shown(common[0], name).partition("=")[2][:_LONGEST_NAME] if common else full_name(name)


def _shown(part: x509.NameAttribute[str | bytes], name: x509.Name) -> str:
    """Write one attribute, emptied where it would name a person."""
    is_person = any(each.oid in _OF_PERSONS for each in name)
    text = part.rfc4514_string(_READABLE)
    if part.oid in _OF_PERSONS or (is_person and part.oid in _ALSO_OF_PERSONS):
        return f"{text.partition('=')[0]}={_LEFT_OUT}"
    if part.oid == NameOID.ORGANIZATION_IDENTIFIER:
        return text
    return _MAYBE_RESIDENT_ID.sub(_without_resident_id, text)


def _without_resident_id(match: re.Match[str]) -> str:
    return _LEFT_OUT if is_resident_id(match[0].upper()) else match[0]
