# SPDX-License-Identifier: Apache-2.0
"""Throwaway keys, and small containers signed with them; nothing here asks a network or a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.envelope import Envelope, Header, Kind, Payload, Purpose, seal_envelope
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from hub.trust import ALGORITHMS as ALL_ALGORITHMS
from hub.trust import SM2_SM3, Scheme, algorithm_for, algorithm_named, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from hub.trust import SignatureAlgorithm

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
ALGORITHMS = tuple(row.id for row in ALL_ALGORITHMS if row.is_default)
# SM2 has keys and certificates of its own making: tests/hub/trust/sm2_pki.py.
BY_POLICY = tuple(row.id for row in ALL_ALGORITHMS if not row.is_default and row is not SM2_SM3)
_DIGESTS: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_SHORT_NAMES = {
    "P-256": "ecdsa-p256-sha256",
    "P-384": "ecdsa-p384-sha384",
    "P-521": "ecdsa-p521-sha512",
    "RSA": "rsa-pkcs1-sha256",
    "Ed25519": "ed25519",
}
_ISSUED_WITHOUT_DIGEST = (
    ed25519.Ed25519PrivateKey,
    mldsa.MLDSA44PrivateKey,
    mldsa.MLDSA65PrivateKey,
    mldsa.MLDSA87PrivateKey,
)


@dataclass(frozen=True)
class ThrowawayKey:
    """A signing key with a chain of two, and the root above them."""

    private_key: CertificateIssuerPrivateKeyTypes
    certificate_chain: tuple[x509.Certificate, ...]
    root: x509.Certificate
    algorithm: SignatureAlgorithm

    def sign(self, data: bytes) -> bytes:
        return sign(self.private_key, data, self.algorithm)

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
    """Make a key of an algorithm, a row's id or a short name; the same one as long as the tests run."""
    return _make_key(_SHORT_NAMES.get(algorithm, algorithm), name)


@cache
def _make_key(algorithm: str, name: str) -> ThrowawayKey:
    row = algorithm_named(algorithm)
    root_key, ca_key, leaf_key = (new_private_key(kind) for kind in ("P-256", "P-256", row.key))
    root = issue("Throwaway root", root_key, None, root_key)
    authority = issue("Throwaway authority", ca_key, root, root_key)
    leaf = issue(name, leaf_key, authority, ca_key, is_authority=False)
    return ThrowawayKey(leaf_key, (leaf, authority), root, row)


def new_private_key(algorithm: str) -> CertificateIssuerPrivateKeyTypes:
    makers: dict[str, Callable[[], CertificateIssuerPrivateKeyTypes]] = {
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
        "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
        "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
        "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
    }
    return makers[algorithm]()


def issue(
    name: str,
    key: CertificateIssuerPrivateKeyTypes,
    issuer: x509.Certificate | None,
    issuer_key: CertificateIssuerPrivateKeyTypes,
    *,
    is_authority: bool = True,
    algorithm: SignatureAlgorithm | None = None,
) -> x509.Certificate:
    """Issue a certificate, signed by a row that fits the issuer's key; a root where there is no issuer."""
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
    row = algorithm or algorithm_for(issuer_key.public_key(), frozenset(ALL_ALGORITHMS))
    if isinstance(issuer_key, _ISSUED_WITHOUT_DIGEST):
        return builder.sign(issuer_key, None)
    digest = _DIGESTS[row.digest if row else "sha256"]
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size) if row and row.scheme is Scheme.PSS else None
    return builder.sign(issuer_key, digest, rsa_padding=pss)


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
