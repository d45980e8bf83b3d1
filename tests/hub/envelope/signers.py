# SPDX-License-Identifier: Apache-2.0
"""Throwaway keys, and small containers signed with them; nothing here asks a network or a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.envelope import Envelope, Header, Kind, Payload, Purpose, seal_envelope
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from hub.trust import sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

NOW = datetime(2026, 3, 1, 8, 0, 0, 123000, tzinfo=UTC)
FUND = SubsystemId("13510108MB1A00003J/fund")
EMPLOYMENT = SubsystemId("11510108MB1A00002M/employment")
PROOF = ServiceId("11510108MB1A00002M/employment/disability-employment-proof")
CONTRACT = ContractId("disability-employment-proof/v1")
PURPOSE = Purpose(
    item="000788002000",
    case="成残就 2026-12",
    legal_basis="残疾人保障法第三十三条",
    official="王敏",
    post="审核岗",
)
ALGORITHMS = ("P-256", "P-384", "RSA", "Ed25519")


@dataclass(frozen=True)
class ThrowawayKey:
    """A signing key with a chain of two, and the root above them."""

    private_key: CertificateIssuerPrivateKeyTypes
    certificate_chain: tuple[x509.Certificate, ...]
    root: x509.Certificate

    def sign(self, data: bytes) -> bytes:
        return sign(self.private_key, data)

    def snapshot(self) -> ThrowawayKey:
        return self

    @property
    def key_pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def throwaway_key(algorithm: str = "P-256", name: str = "成华区残疾人联合会") -> ThrowawayKey:
    """Make a key of an algorithm; the same one for the same arguments, as long as the tests run."""
    return _make_key(algorithm, name)


@cache
def _make_key(algorithm: str, name: str) -> ThrowawayKey:
    root_key, ca_key, leaf_key = (new_private_key(kind) for kind in ("P-256", "P-256", algorithm))
    root = issue("Throwaway root", root_key, None, root_key)
    authority = issue("Throwaway authority", ca_key, root, root_key)
    leaf = issue(name, leaf_key, authority, ca_key, is_authority=False)
    return ThrowawayKey(leaf_key, (leaf, authority), root)


def new_private_key(algorithm: str) -> CertificateIssuerPrivateKeyTypes:
    match algorithm:
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "P-521":
            return ec.generate_private_key(ec.SECP521R1())
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ValueError(algorithm)


def issue(
    name: str,
    key: CertificateIssuerPrivateKeyTypes,
    issuer: x509.Certificate | None,
    issuer_key: CertificateIssuerPrivateKeyTypes,
    *,
    is_authority: bool = True,
) -> x509.Certificate:
    """Issue a certificate; a root where there is no issuer."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW.replace(microsecond=0) - timedelta(days=365))
        .not_valid_after(NOW.replace(microsecond=0) + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if not is_authority:
        extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(extended, critical=False)
    digest = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, digest)


REQUEST = Payload("request.json", "application/json", b'{"employer":"91510108MA6C00001C","year":2025}')


def header_for(payloads: Sequence[Payload], **changes: object) -> Header:
    """Describe a request that carries `payloads`, with some fields changed."""
    fields: dict[str, object] = {
        "id": MessageId("019ca8a4-5a7b-7000-8000-000000000001"),
        "kind": Kind.REQUEST,
        "sender": FUND,
        "recipient": EMPLOYMENT,
        "sent_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "conversation": MessageId("019ca8a4-5a7b-7000-8000-000000000001"),
        "service": PROOF,
        "contract": CONTRACT,
        "purpose": PURPOSE,
        "payload": tuple(payload.describe() for payload in payloads),
    }
    return Header(**(fields | changes))  # type: ignore[arg-type]


def request_envelope(algorithm: str = "P-256", payloads: Sequence[Payload] = (REQUEST,)) -> Envelope:
    """Seal a small request."""
    return seal_envelope(header_for(payloads), payloads, throwaway_key(algorithm))
