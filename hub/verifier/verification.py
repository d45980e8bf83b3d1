# SPDX-License-Identifier: Apache-2.0
"""Verifying a file offline against a trust list and stored revocation answers, as `heliograph verify` does.

    envelope             a container in our canonical form      containers
    foreign container    any other ASiC-E with CAdES            foreign_verification
    document             a sealed PDF                           whoever calls says how

Every step passes or fails with a reason; a file is valid only when every step passed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from hub.errors import EnvelopeError
from hub.trust import USE_POLICIES, VerificationReport
from hub.verifier.certificates import SignerCertificate
from hub.verifier.containers import verify_envelope
from hub.verifier.foreign_verification import verify_foreign_container
from hub.verifier.steps import DependentSteps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from hub.trust import HeldRevocation, TrustLists, Use, UsePolicy

_MOST_BYTES = 64 * 1024 * 1024
_PDF_MAGIC = b"%PDF-"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

# A member message.json, by its local or its central header (APPNOTE 4.3.7 and 4.3.12), marks an envelope. One
# of the two is enough, so that no single broken byte makes a foreign container of an envelope.
_HAS_HEADER_MEMBER = re.compile(rb"(?:PK\x03\x04.{26}|PK\x01\x02.{42})message\.json", re.DOTALL)


# The index is a bundle's last member (PR-EVB 2.4), so its directory's line stands near the end.
_HAS_INDEX_MEMBER = re.compile(rb"PK\x01\x02.{42}bundle\.json", re.DOTALL)
_DIRECTORY_END = 64 * 1024


class DocumentVerifier(Protocol):
    """Verifies a sealed PDF; `hub.documents.verify_document` does."""

    def __call__(
        self, pdf: bytes, trust_lists: TrustLists, *, at: datetime, subject: str
    ) -> VerificationReport:
        """Verify it as of `at`, UTC."""
        ...


class Verifier:
    """Verifies any number of files by one trust list and one set of stored revocation answers.

    Args:
        trust_lists: who is approved, and was when it was signed.
        revocation: the answers that held when it was signed, or the folder of `*.ocsp` and `*.crl`. Without
            them the step about revocation fails. A PDF carries its own.
        verify_document: what to verify a PDF with.
        policies: what an envelope's signature and its signer's certificate are held to.
    """

    def __init__(
        self,
        trust_lists: TrustLists,
        revocation: HeldRevocation | Path | None = None,
        *,
        verify_document: DocumentVerifier,
        policies: Mapping[Use, UsePolicy] = USE_POLICIES,
    ) -> None:
        self._trust_lists = trust_lists
        self._certificate = SignerCertificate(trust_lists, revocation, policies)
        self._verify_document = verify_document

    def verify(self, file: Path | bytes, *, at: datetime) -> VerificationReport:
        """Verify a container or a signed PDF.

        Args:
            file: where it is, or its bytes; at most 64 MiB.
            at: UTC; the instant of verification. Nothing may have been signed after it.

        Raises:
            OSError: the file cannot be read.
        """
        subject, content = ("container", file) if isinstance(file, bytes) else (file.name, _read(file))
        if len(content) <= _MOST_BYTES:
            if content.startswith(_PDF_MAGIC):
                return self._verify_document(content, self._trust_lists, at=at, subject=subject)
            if has_header_member(content):
                return verify_envelope(content, self._certificate, at=at, subject=subject).report
            if content.startswith(_ZIP_MAGIC):
                return verify_foreign_container(content, self._certificate, at=at, subject=subject)
        return _refuse(content, subject)


def verify_any(  # noqa: PLR0913 (what is verified, by whom believed, and when)
    file: Path | bytes,
    trust_lists: TrustLists,
    revocation: HeldRevocation | Path | None = None,
    *,
    at: datetime,
    verify_document: DocumentVerifier,
    policies: Mapping[Use, UsePolicy] = USE_POLICIES,
) -> VerificationReport:
    """Verify one file; see `Verifier`.

    Raises:
        OSError: the file cannot be read.
    """
    verifier = Verifier(trust_lists, revocation, verify_document=verify_document, policies=policies)
    return verifier.verify(file, at=at)


def has_header_member(content: bytes) -> bool:
    """Tell whether a file claims to be an envelope, the form of which it may still break."""
    return _HAS_HEADER_MEMBER.search(content) is not None


def is_bundle(path: Path) -> bool:
    """Tell whether a file claims to be an evidence bundle, the form of which it may still break."""
    with path.open("rb") as file:
        if file.read(4) not in _ZIP_MAGIC:
            return False
        size = file.seek(0, 2)
        file.seek(max(0, size - _DIRECTORY_END))
        return _HAS_INDEX_MEMBER.search(file.read()) is not None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _refuse(content: bytes, subject: str) -> VerificationReport:
    steps = DependentSteps()

    def check() -> str:
        if len(content) > _MOST_BYTES:
            raise EnvelopeError("envelope.too_large", f"more than {_MOST_BYTES} bytes")
        raise EnvelopeError("envelope.not_a_zip", "neither a ZIP container nor a PDF")

    steps.run("Kind of file", "envelope.not_a_zip", check)
    return VerificationReport(subject, "unknown", steps.steps)
