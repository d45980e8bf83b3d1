# SPDX-License-Identifier: Apache-2.0
"""Verifying a sealed document offline, with a trust list and nothing else.

The steps follow ETSI EN 319 102-1 clause 5.6 (signatures with long-term data); each is carried out, whatever
became of those before. Certificates are judged as of the instants the time stamps prove, with the revocation
answers that lie in the document and are covered by its document timestamp.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import rfc8785
from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko.sign.validation.utils import extract_message_digest

from hub.clock import format_instant
from hub.documents.longterm import check_long_term
from hub.documents.reading import (
    HeldAnswers,
    attached_data,
    check_contents_form,
    coverage,
    find_archive_timestamps,
    find_seal,
    held_answers,
    later_changes,
    open_pdf,
    seal_token,
    stamp_token,
)
from hub.documents.signatures import check_certificates, check_signature, check_time_stamp
from hub.documents.signer import from_asn1
from hub.documents.typesetting import ATTACHMENT_NAME
from hub.errors import DocumentError, TrustError
from hub.trust import (
    HeldRevocation,
    StepRecorder,
    TrustLists,
    Use,
    ValidatedPath,
    Validator,
    VerificationReport,
    describe,
    refusal,
)

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import EmbeddedPdfSignature

    from hub.trust import RevocationSource, TimeStamp

_CLOCK_SKEW = timedelta(seconds=60)
"""How far a time-stamping authority's clock may run ahead of the verifier's."""

_REVOCATION_CODES = frozenset({"trust.certificate_revoked", "trust.revocation_unknown"})


def verify_document(  # noqa: PLR0913 (three are for the caller's own knowledge, and named)
    pdf: bytes,
    trust_lists: TrustLists,
    *,
    at: datetime,
    subject: str = "document",
    revocation: RevocationSource | None = None,
    data: bytes | None = None,
) -> VerificationReport:
    """Verify a sealed proof.

    Args:
        pdf: the whole file.
        trust_lists: who is approved, and was when the document was sealed.
        at: UTC; the instant of verification. Nothing may have been signed after it.
        subject: names the document in the report.
        revocation: when given, the last time stamp's authority is also asked about at `at`; its present state
            cannot be known offline.
        data: when given, the attached data has to be exactly this.

    Source: ETSI EN 319 102-1 clauses 5.3 to 5.6; ETSI EN 319 142-1 clause 5.
    """
    return _Verification(pdf, trust_lists, at, revocation, data).report(subject)


@lru_cache(maxsize=64)
def _validator(trust_lists: TrustLists, answers: HeldAnswers) -> Validator:
    """Documents sealed in the same minutes hold the same answers; their paths are validated once."""
    return Validator(trust_lists, HeldRevocation(answers.ocsp_responses, answers.crls))


class _Verification:
    """One verification; what a step finds, the later ones use.

    What was not found is raised as the code of the step that should have found it.
    """

    def __init__(
        self,
        pdf: bytes,
        trust_lists: TrustLists,
        at: datetime,
        revocation: RevocationSource | None,
        data: bytes | None,
    ) -> None:
        self._pdf = pdf
        self._trust_lists = trust_lists
        self._at = at
        self._revocation = revocation
        self._expected_data = data
        self._found: dict[str, Any] = {}
        self._facts: dict[str, str] = {}

    def report(self, subject: str) -> VerificationReport:
        """Carry out every step."""
        steps = StepRecorder()
        steps.run("The file is a readable PDF", "document.unreadable", self._read)
        steps.run("It bears one seal", "document.signature_missing", self._find_seal)
        steps.run("Nothing was changed after sealing", "document.modified", self._check_changes)
        steps.run("The seal's signature holds", "document.signature_invalid", self._check_seal)
        steps.run("A time stamp says when it was sealed", "document.timestamp_invalid", self._check_time)
        steps.run("The seal's certificate leads to the trust list", "trust.path_invalid", self._check_path)
        steps.run("It was not revoked when sealing", "trust.revocation_unknown", self._check_revocation)
        steps.run("Data is attached, in its one form", "document.data_invalid", self._check_data)
        steps.run("The member sealed that the data names", "trust.wrong_member", self._check_member)
        steps.run(
            "A document time stamp covers the whole file", "document.timestamp_invalid", self._check_archive
        )
        steps.run("It verifies for the long term", "document.long_term_invalid", self._check_long_term)
        if self._revocation is not None:
            steps.run("The time stamp's authority holds today", "trust.revocation_unknown", self._check_today)
        return VerificationReport(subject, "document", steps.steps, MappingProxyType(dict(self._facts)))

    def _need(self, name: str, code: str) -> Any:
        if name not in self._found:
            family = TrustError if code.startswith("trust.") else DocumentError
            raise family(code, "cannot be checked, because an earlier step did not hold")
        return self._found[name]

    @property
    def _reader(self) -> PdfFileReader:
        reader: PdfFileReader = self._need("reader", "document.unreadable")
        return reader

    @property
    def _seal(self) -> EmbeddedPdfSignature:
        seal: EmbeddedPdfSignature = self._need("seal", "document.signature_missing")
        return seal

    @property
    def _signer_chain(self) -> tuple[x509.Certificate, ...]:
        return tuple(map(from_asn1, (self._seal.signer_cert, *self._seal.other_embedded_certs)))

    @property
    def _validator(self) -> Validator:
        if "validator" not in self._found:
            self._found["validator"] = _validator(self._trust_lists, held_answers(self._reader))
        validator: Validator = self._found["validator"]
        return validator

    def _read(self) -> str:
        self._found["reader"] = open_pdf(self._pdf)
        return f"{len(self._pdf)} bytes, {self._reader.root['/Pages']['/Count']} pages"

    def _find_seal(self) -> str:
        self._found["seal"] = find_seal(self._reader)
        self._facts["sealed_by"] = describe(self._signer_chain[0])
        return f"sealed with {describe(self._signer_chain[0])}"

    def _check_changes(self) -> str:
        """Only validation data and timestamps may follow (ETSI EN 319 142-1 clause 5.4)."""
        seal = self._seal
        if seal.compute_digest() != extract_message_digest(seal.signer_info):
            raise DocumentError("document.modified", "what was sealed is not what the file holds")
        if coverage(seal) < SignatureCoverageLevel.ENTIRE_REVISION:
            raise DocumentError("document.modified", "the seal does not cover the whole of what it sealed")
        change = later_changes(seal)
        if not isinstance(change, DiffResult):
            raise DocumentError("document.modified", f"something was changed after sealing: {change}"[:200])
        if change.modification_level > ModificationLevel.LTA_UPDATES:
            raise DocumentError("document.modified", "form or content was changed after sealing")
        check_contents_form(self._pdf, seal)
        later = self._reader.xrefs.total_revisions - 1 - seal.signed_revision
        return f"after the seal come only validation data and time stamps ({later} updates)"

    def _check_seal(self) -> str:
        seal = self._seal
        name = check_signature(seal.signed_data, self._signer_chain[0], "data", seal.compute_digest)
        return f"{name} over bytes {', '.join(str(each) for each in seal.byte_range)}"

    def _check_time(self) -> str:
        seal = self._seal
        signature: bytes = seal.signer_info["signature"].native
        stamp = check_time_stamp(
            seal_token(seal), lambda name: hashlib.new(name, signature).digest(), self._validator
        )
        self._check_not_later(stamp)
        self._found["time"] = stamp
        self._facts["sealed_at"] = format_instant(stamp.at)
        return f"{format_instant(stamp.at)}, by {describe(stamp.path.leaf)}"

    def _check_not_later(self, stamp: TimeStamp) -> None:
        if stamp.at > self._at + _CLOCK_SKEW:
            raise DocumentError(
                "document.timestamp_invalid", f"it says {format_instant(stamp.at)}, in the future"
            )

    def _check_path(self) -> str:
        """Validate the path as of the proven time; what is known of revocation is the next step's matter."""
        stamp: TimeStamp = self._need("time", "document.timestamp_invalid")
        try:
            path = self._validator.validate(self._signer_chain, use=Use.SEAL, at=stamp.at)
        except TrustError as exc:
            # Revocation is asked last, so that refusal means that the path itself held.
            if exc.code not in _REVOCATION_CODES:
                raise
            self._found["refusal"] = exc
            return f"{describe(self._signer_chain[0])} holds, apart from revocation"
        check_certificates(self._signer_chain, path)
        self._found["path"] = path
        return "; issued by ".join(describe(each) for each in path.path)

    def _check_revocation(self) -> str:
        refused: TrustError | None = self._found.get("refusal")
        if refused is not None:
            raise TrustError(refused.code, refused.detail, refused.finding)
        path: ValidatedPath = self._need("path", "document.signature_invalid")
        kinds = ", ".join(
            f"{answer.kind} of {format_instant(answer.this_update)}" for answer in path.revocation
        )
        return f"nobody in the path was revoked: {kinds}"

    def _check_data(self) -> str:
        content = attached_data(self._reader, ATTACHMENT_NAME)
        document = json.loads(content)
        if rfc8785.dumps(document) != content:
            raise DocumentError("document.data_invalid", "the attached data is not canonical JSON")
        if self._expected_data is not None and content != self._expected_data:
            raise DocumentError("document.data_invalid", "the attached data is not the data it should be")
        digest = hashlib.sha256(content).hexdigest()
        self._found["data"] = document
        self._facts |= {"data_sha256": digest, "proof_number": document["proof_number"]}
        return f"{ATTACHMENT_NAME}, {len(content)} bytes, SHA-256 {digest}"

    def _check_member(self) -> str:
        path: ValidatedPath = self._need("path", "trust.path_invalid")
        issuer: dict[str, str] = self._need("data", "document.data_invalid")["issuer"]
        if path.member_id is None or path.member_id != issuer["uscc"]:
            raise refusal("signed_for_another", path.leaf, member=str(path.member_id), sender=issuer["uscc"])
        self._facts["member"] = path.member_id
        return f"{path.member_id} {issuer['name']}"

    def _check_archive(self) -> str:
        """The last one has to cover everything but its own bytes (ETSI EN 319 142-1 clause 5.4.3)."""
        for each in find_archive_timestamps(self._reader):
            stamp = check_time_stamp(stamp_token(each), each.compute_digest, self._validator)
            check_contents_form(self._pdf, each)
            self._check_not_later(stamp)
        if coverage(each) is not SignatureCoverageLevel.ENTIRE_FILE:
            raise DocumentError("document.modified", "something follows the last document time stamp")
        self._found["archive"] = stamp
        self._facts["archived_at"] = format_instant(stamp.at)
        return f"{format_instant(stamp.at)}, by {describe(stamp.path.leaf)}"

    def _check_long_term(self) -> str:
        stamp: TimeStamp = self._need("archive", "document.timestamp_invalid")
        return check_long_term(self._seal, self._trust_lists, stamp.at)

    def _check_today(self) -> str:
        stamp: TimeStamp = self._need("archive", "document.timestamp_invalid")
        if self._revocation is None:
            raise TrustError("trust.revocation_unknown", "no source of revocation answers")
        path = Validator(self._trust_lists, self._revocation).validate(
            stamp.path.path, use=Use.TIMESTAMP, at=self._at
        )
        return f"{describe(path.leaf)} at {format_instant(self._at)}"
