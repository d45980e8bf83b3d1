# SPDX-License-Identifier: Apache-2.0
"""An authority of the tests that answers requests as told, rightly or wrongly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

NOW = datetime.now(UTC).replace(microsecond=0)
LONG = timedelta(days=3650)
USAGES = (
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


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in USAGES})


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@dataclass
class TestAuthority:
    """A root and one authority below it."""

    __test__ = False

    root_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        ca = x509.BasicConstraints(ca=True, path_length=None), usage("key_cert_sign")
        self.root = self._sign(named("Root"), self.root_key.public_key(), named("Root"), self.root_key, ca)
        self.certificate = self._sign(
            named("Authority"), self.key.public_key(), self.root.subject, self.root_key, ca
        )

    def answer(
        self,
        request: x509.CertificateSigningRequest,
        *,
        subject: x509.Name | None = None,
        key_usage: x509.KeyUsage | None = None,
        begins: datetime = NOW - timedelta(days=1),
        ends: datetime = NOW + timedelta(days=365),
        copies_extended_usage: bool = True,
    ) -> x509.Certificate:
        """Issue the certificate that a request asks for, but for what is given."""
        extensions: list[x509.ExtensionType] = [
            key_usage or request.extensions.get_extension_for_class(x509.KeyUsage).value
        ]
        extensions += [
            each.value
            for each in request.extensions
            if copies_extended_usage and isinstance(each.value, x509.ExtendedKeyUsage)
        ]
        public = request.public_key()
        return self._sign(
            subject or request.subject, public, self.certificate.subject, self.key, extensions, begins, ends
        )

    def _sign(  # noqa: PLR0917 (what a certificate is made of)
        self,
        subject: x509.Name,
        public: CertificatePublicKeyTypes,
        issuer: x509.Name,
        signer: ec.EllipticCurvePrivateKey,
        extensions: list[x509.ExtensionType] | tuple[x509.ExtensionType, ...],
        begins: datetime = NOW - LONG,
        ends: datetime = NOW + LONG,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(signer, hashes.SHA256())
