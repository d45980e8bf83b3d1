# SPDX-License-Identifier: Apache-2.0
"""Requests for certificates, signed by the key they are about, wherever it is kept.

Written by hand, because the key signs through its holder and no library takes such a key: twenty lines of DER
around what cryptography writes.

Source: RFC 2986 (PKCS#10), RFC 2985 section 5.4.2 (extensionRequest), ETSI EN 319 412-1 clause 5.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asn1crypto import core, pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.custody.held import public_bytes
from hub.errors import TrustError
from hub.identifiers import is_uscc
from hub.trust import ANY_ALGORITHM, Use, algorithms_for

if TYPE_CHECKING:
    from hub.custody.held import KeyHolder
    from hub.trust import PublicKey

REQUESTED_USES = (
    Use.ENVELOPE,
    Use.SEAL,
    Use.ENCRYPTION,
    Use.TLS_CLIENT,
    Use.TLS_SERVER,
    Use.TIMESTAMP,
)
"""What certificates are asked for."""

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_EXTENDED_USAGES = {
    Use.TLS_CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Use.TLS_SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Use.TIMESTAMP: ExtendedKeyUsageOID.TIME_STAMPING,
}
_BINDING_USES = frozenset({Use.ENVELOPE, Use.SEAL})
"""Uses that commit the member (nonRepudiation)."""

_NAMING_USES = _BINDING_USES | {Use.ENCRYPTION}
"""Uses whose certificates name the member."""

_MOST_CHARACTERS = 64
"""ub-common-name and ub-organization-name of RFC 5280 appendix A.1."""


@dataclass(frozen=True)
class Subject:
    """Who a certificate is asked for.

    Attributes:
        organization: the member's full name, as registered.
        member: its unified social credit code; None for those that are no members, such as authorities.
        common_name: what the certificate is for, or the machine's name.
        country: ISO 3166-1, two letters.

    Raises:
        TrustError: `trust.request_invalid`, naming the field.
    """

    organization: str
    common_name: str
    member: str | None = None
    country: str = "CN"

    def __post_init__(self) -> None:
        for name in ("organization", "common_name"):
            value = getattr(self, name)
            if not value.isprintable() or not 0 < len(value.strip()) <= _MOST_CHARACTERS:
                detail = f"{name}: 1 to {_MOST_CHARACTERS} printable characters"
                raise TrustError("trust.request_invalid", detail)
        if self.member is not None and not is_uscc(self.member):
            raise TrustError("trust.request_invalid", "member: not a unified social credit code")
        if not (len(self.country) == 2 and self.country.isascii() and self.country.isupper()):
            raise TrustError("trust.request_invalid", "country: two capital letters")

    def name(self) -> x509.Name:
        """Return it as a certificate has it."""
        values = [
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.ORGANIZATION_NAME, self.organization),
            *([(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{self.member}")] if self.member else []),
            (NameOID.COMMON_NAME, self.common_name),
        ]
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in values])


def request_certificate(holder: KeyHolder, subject: Subject, use: Use) -> bytes:
    """Write a request for a certificate, signed by the key.

    Args:
        holder: keeps the key.
        subject: who it is for.
        use: one of `REQUESTED_USES`; decides about key usage and extended key usage.

    Returns:
        PEM.

    Raises:
        TrustError: `trust.request_invalid` for another use, or a certificate that speaks for a member without
            the member; whatever the key's holder raises.
    """
    require_use(use, subject)
    algorithm = next(iter(algorithms_for(holder.public_key, ANY_ALGORITHM)), None)
    if algorithm is None:
        raise TrustError("trust.key_unusable", "no allowed signature algorithm fits the key")
    info = _sequence(
        core.Integer(0).dump(),
        subject.name().public_bytes(),
        public_bytes(holder.public_key),
        _tlv(0xA0, _attribute(_EXTENSION_REQUEST, _extensions(use, holder.public_key))),
    )
    signature = holder.signer(algorithm)(info)
    der = _sequence(info, algorithm.identifier, _tlv(0x03, b"\0" + signature))
    written: bytes = pem.armor("CERTIFICATE REQUEST", der)
    return written


def require_use(use: Use, subject: Subject) -> None:
    """Refuse a use that nobody asks certificates for, or that needs a member where none is named.

    Raises:
        TrustError: `trust.request_invalid`.
    """
    if use not in REQUESTED_USES:
        raise TrustError("trust.request_invalid", f"use: one of {', '.join(REQUESTED_USES)}")
    if use in _NAMING_USES and subject.member is None:
        raise TrustError("trust.request_invalid", f"member: a certificate for {use} names one")


def read_request(content: bytes) -> x509.CertificateSigningRequest:
    """Read a request in PEM or DER.

    Raises:
        TrustError: `trust.request_invalid`.
    """
    try:
        if pem.detect(content):
            return x509.load_pem_x509_csr(content)
        return x509.load_der_x509_csr(content)
    except ValueError as exc:
        raise TrustError("trust.request_invalid", "it is no PKCS#10 request in PEM or DER") from exc


def use_of(request: x509.CertificateSigningRequest) -> Use | None:
    """Return the use a request of ours asks for; a seal's is like an envelope's, so that is None."""
    try:
        usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
        if usage.key_agreement or usage.key_encipherment:
            return Use.ENCRYPTION
        extended = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    return next((use for use, oid in _EXTENDED_USAGES.items() if oid in extended), None)


def _extensions(use: Use, key: PublicKey) -> bytes:
    encrypts, is_rsa = use is Use.ENCRYPTION, isinstance(key, rsa.RSAPublicKey)
    usage = x509.KeyUsage(
        digital_signature=not encrypts,
        content_commitment=use in _BINDING_USES,
        key_encipherment=encrypts and is_rsa,
        data_encipherment=False,
        key_agreement=encrypts and not is_rsa,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [(usage, True)]
    if use in _EXTENDED_USAGES:
        # RFC 3161 section 2.3 wants time stamping critical; clients' certificates need not be.
        extensions.append((x509.ExtendedKeyUsage([_EXTENDED_USAGES[use]]), use is Use.TIMESTAMP))
    return _sequence(*(_extension(value, is_critical=critical) for value, critical in extensions))


def _extension(value: x509.ExtensionType, *, is_critical: bool) -> bytes:
    critical = core.Boolean(value=True).dump() if is_critical else b""
    oid = core.ObjectIdentifier(value.oid.dotted_string).dump()
    return _sequence(oid, critical, core.OctetString(value.public_bytes()).dump())


def _attribute(oid: str, value: bytes) -> bytes:
    return _sequence(core.ObjectIdentifier(oid).dump(), _tlv(0x31, value))


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
