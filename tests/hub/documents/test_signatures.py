# SPDX-License-Identifier: Apache-2.0
"""One CMS signature of a PDF: by which algorithms it may be made."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import asn1crypto.keys
import pytest
from asn1crypto import algos, cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyhanko.sign.signers import SimpleSigner
from pyhanko_certvalidator.registry import CertificateRegistry

from hub.documents.signatures import check_signature
from hub.documents.signer import to_asn1
from hub.errors import DocumentError

CONTENT = b"what is sealed"


def digest(name: str) -> bytes:
    return hashlib.new(name, CONTENT).digest()


def pss(salt_bytes: int) -> algos.SignedDigestAlgorithm:
    sha256 = {"algorithm": "sha256"}
    mask = {"algorithm": "mgf1", "parameters": sha256}
    parameters = {"hash_algorithm": sha256, "mask_gen_algorithm": mask, "salt_length": salt_bytes}
    return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})


def signed_with(mechanism: algos.SignedDigestAlgorithm) -> tuple[cms.SignedData, x509.Certificate]:
    """Let pyHanko sign with a fresh RSA key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "seal")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = SimpleSigner(
        to_asn1(certificate),
        asn1crypto.keys.PrivateKeyInfo.load(der),
        CertificateRegistry.build([]),
        signature_mechanism=mechanism,
    )
    made = asyncio.run(signer.async_sign_general_data(CONTENT, "sha256", detached=True, use_cades=True))
    return made["content"], certificate


def test_a_salt_as_long_as_the_digest_is_allowed() -> None:
    signed, certificate = signed_with(pss(32))
    assert check_signature(signed, certificate, "data", digest) == "sha256"


def test_what_has_no_row_in_the_table_of_algorithms_is_refused_although_it_holds() -> None:
    signed, certificate = signed_with(pss(20))
    with pytest.raises(DocumentError, match="rsassa_pss with sha256 is not allowed") as refused:
        check_signature(signed, certificate, "data", digest)
    assert refused.value.code == "document.signature_invalid"
