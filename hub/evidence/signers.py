# SPDX-License-Identifier: Apache-2.0
"""Who signed a file: the certificates of a container's or document's signers, for explaining them.

Nothing is believed here, and of the file itself nothing is verified beyond what reading its signature takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from hub.envelope import open_envelope, verify_signature
from hub.errors import EnvelopeError, TrustError
from hub.trust import HeldRevocation, Use
from hub.verifier import (
    ProofKind,
    has_header_member,
    read_manifests,
    unpack,
    verify_foreign_cades,
)

if TYPE_CHECKING:
    from datetime import datetime

_PDF_MAGIC = b"%PDF-"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_PEM = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Signer:
    """A certificate somebody signed with, or one by itself.

    Attributes:
        name: of the signature inside its file; empty where there is one only.
        chain: the certificate first, then what came along.
        use: what it was used for; None for a certificate by itself.
        signed_at: UTC; when the file says it was signed, None for a certificate by itself.
        revocation: the answers that lie in the file, None where none can.
    """

    name: str
    chain: tuple[x509.Certificate, ...]
    use: Use | None = None
    signed_at: datetime | None = None
    revocation: HeldRevocation | None = None


def read_signers(content: bytes) -> tuple[Signer, ...]:
    """Find the signers of a container or sealed PDF, or read certificates in PEM or DER.

    Raises:
        TrustError: `trust.certificate_unreadable`, it is none of these.
        EnvelopeError: the container has no signature that can be read.
        DocumentError: the PDF bears no seal that can be read.
    """
    if content.startswith(_PDF_MAGIC):
        from hub.documents import seal_signer  # noqa: PLC0415 - its libraries are large, and few processes read documents

        seal = seal_signer(content)
        answers = HeldRevocation(seal.answers.ocsp_responses, seal.answers.crls)
        return (Signer("", seal.chain, Use.SEAL, seal.at, answers),)
    if has_header_member(content):
        envelope = open_envelope(content)
        signature = verify_signature(envelope)
        return (Signer("", signature.chain, Use.ENVELOPE, envelope.header.sent_at),)
    if content.startswith(_ZIP_MAGIC):
        return _foreign_signers(content)
    return (Signer("", read_certificates(content)),)


def read_certificates(content: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates in PEM, or one in DER.

    Raises:
        TrustError: `trust.certificate_unreadable`.
    """
    try:
        if _PEM in content:
            return tuple(x509.load_pem_x509_certificates(content))
        return (x509.load_der_x509_certificate(content),)
    except (ValueError, TypeError, x509.InvalidVersion) as exc:
        detail = "neither a certificate in PEM or DER nor an .asice container nor a PDF"
        raise TrustError("trust.certificate_unreadable", detail) from exc


def _foreign_signers(content: bytes) -> tuple[Signer, ...]:
    members = unpack(content)
    found = []
    for manifest in read_manifests(members):
        if manifest.kind is ProofKind.SIGNATURE and manifest.proof in members:
            signature = verify_foreign_cades(members[manifest.proof], members[manifest.name])
            found.append(Signer(manifest.proof, signature.chain, Use.ENVELOPE, signature.signed_at))
    if not found:
        raise EnvelopeError("envelope.member_missing", "no manifest is signed")
    return tuple(found)
