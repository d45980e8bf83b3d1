# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificates to encrypt to, and the keys that open what was."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.custody import DecryptionKey
from hub.custody.decryption import FileOpener
from tests.hub.envelope.signers import NOW

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("P-256", "P-384", "P-521", "RSA")
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(kind: str) -> PrivateKey:
    """Make a key; `RSA` has 2048 bits, `RSA-1024` is too short."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, 1024 if kind == "RSA-1024" else 2048)
    return ec.generate_private_key(_CURVES[kind])


def certificate_of(
    key: PrivateKey, *, agrees: bool | None = None, enciphers: bool | None = None
) -> x509.Certificate:
    """Certify a key for the usage that fits it, unless told otherwise."""
    return certify(key.public_key(), agrees=agrees, enciphers=enciphers)


def certify(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    agrees: bool | None = None,
    enciphers: bool | None = None,
) -> x509.Certificate:
    """Certify a public key, whose private one may be in a token."""
    is_rsa = isinstance(key, rsa.RSAPublicKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "成华区残疾人联合会 加密")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=is_rsa if enciphers is None else enciphers,
        data_encipherment=False,
        key_agreement=not is_rsa if agrees is None else agrees,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=NOW - timedelta(days=1),
        not_valid_after=NOW + timedelta(days=3650),
    )
    authority = ec.generate_private_key(ec.SECP256R1())
    return builder.add_extension(usage, critical=True).sign(authority, hashes.SHA256())


def new_recipient(kind: str = "P-256") -> tuple[PrivateKey, DecryptionKey]:
    """Make a key with a certificate, as it is and as a gateway holds it."""
    key = new_key(kind)
    return key, DecryptionKey(FileOpener(key), (certificate_of(key),))


def write_pem(folder: Path, key: PrivateKey, certificate: x509.Certificate) -> tuple[Path, Path]:
    """Write key and certificate as openssl reads them."""
    key_file, certificate_file = folder / "recipient.key.pem", folder / "recipient.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return key_file, certificate_file
