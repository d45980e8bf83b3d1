# SPDX-License-Identifier: Apache-2.0
"""Finding in a PDF what a sealed document consists of. Nothing here is believed yet.

Source: ISO 32000-1 clause 12.8 (signatures), ETSI EN 319 142-1 clause 5.4 (DSS), ISO 19005-3 annex E
(associated files).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asn1crypto import cms
from pyhanko.pdf_utils.generic import DictionaryObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import find_cms_attribute_iter
from pyhanko.sign.validation import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError

from hub.documents.signer import from_asn1
from hub.errors import DocumentError

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from pyhanko.sign.diff_analysis import DiffResult, SuspiciousModification
    from pyhanko.sign.validation import EmbeddedPdfSignature
    from pyhanko.sign.validation.status import SignatureCoverageLevel


@dataclass(frozen=True)
class HeldAnswers:
    """Revocation answers that lie in a document, in DER."""

    ocsp_responses: tuple[bytes, ...]
    crls: tuple[bytes, ...]


@dataclass(frozen=True)
class SealSigned:
    """What a document says about its seal.

    Attributes:
        chain: the certificates it is sealed with, the signer's first.
        at: UTC; of the signature's time stamp.
        answers: the revocation answers in it.
    """

    chain: tuple[x509.Certificate, ...]
    at: datetime
    answers: HeldAnswers


def open_pdf(pdf: bytes) -> PdfFileReader:
    """Open a PDF strictly.

    Raises:
        DocumentError: `document.unreadable`.
    """
    if not pdf.startswith(b"%PDF-"):
        raise DocumentError("document.unreadable", "the file does not begin as a PDF does")
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True)
        is_encrypted = reader.encrypted or not reader.root["/Pages"]["/Count"]
    except Exception as exc:
        # The reader meets hostile bytes with many kinds of exceptions; each of them means the same here.
        raise DocumentError("document.unreadable", f"{type(exc).__name__}: {exc}"[:200]) from exc
    if is_encrypted:
        raise DocumentError("document.unreadable", "the file is encrypted or has no pages")
    return reader


def find_seal(reader: PdfFileReader) -> EmbeddedPdfSignature:
    """Return the one signature that is the seal.

    Raises:
        DocumentError: `document.signature_missing` when there is none; `document.signature_invalid` when
            there is more than one, or it is not a PAdES signature that allows no changes.
    """
    seals: list[EmbeddedPdfSignature] = reader.embedded_regular_signatures
    if not seals:
        raise DocumentError("document.signature_missing", "the document has no seal")
    if len(reader.embedded_signatures) != len(seals) + len(reader.embedded_timestamp_signatures):
        raise DocumentError("document.signature_invalid", "there is a signature of an unknown kind")
    if len(seals) > 1:
        raise DocumentError("document.signature_invalid", f"{len(seals)} signatures instead of one seal")
    seal = seals[0]
    if seal.sig_object.get("/SubFilter") != SigSeedSubFilter.PADES.value:
        raise DocumentError("document.signature_invalid", "the seal is not a PAdES signature")
    if seal.docmdp_level is None or seal.docmdp_level.value != 1:
        raise DocumentError("document.signature_invalid", "the seal does not forbid changes")
    return seal


def find_archive_timestamps(reader: PdfFileReader) -> tuple[EmbeddedPdfSignature, ...]:
    """Return the document timestamps, the oldest first.

    Raises:
        DocumentError: `document.timestamp_invalid` when there is none.
    """
    stamps = tuple(reader.embedded_timestamp_signatures)
    if not stamps:
        raise DocumentError("document.timestamp_invalid", "the document has no document timestamp")
    return stamps


def seal_token(seal: EmbeddedPdfSignature) -> bytes:
    """Return the token of the seal's signature timestamp, in DER.

    Raises:
        DocumentError: `document.timestamp_invalid` when there is not exactly one.
    """
    tokens = list(find_cms_attribute_iter(seal.signer_info["unsigned_attrs"], "signature_time_stamp_token"))
    if len(tokens) != 1:
        raise DocumentError(
            "document.timestamp_invalid", f"{len(tokens)} signature timestamps instead of one"
        )
    token: bytes = tokens[0].dump()
    return token


def stamp_token(stamp: EmbeddedPdfSignature) -> bytes:
    """Return the token of a document timestamp, in DER; zeros follow it in its field."""
    contents = stamp.pkcs7_content
    return contents[: _der_length(contents)]


def seal_signer(pdf: bytes) -> SealSigned:
    """Return what a document says about its seal; verifies nothing.

    Raises:
        DocumentError: it cannot be read, bears no seal or no readable time stamp, or holds no answers.
    """
    reader = open_pdf(pdf)
    seal = find_seal(reader)
    token = seal_token(seal)
    try:
        content = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
        chain = tuple(map(from_asn1, (seal.signer_cert, *seal.other_embedded_certs)))
        signed_at: datetime = content["gen_time"].native
    except (ValueError, TypeError, KeyError) as exc:
        raise DocumentError("document.timestamp_invalid", "the seal cannot be read") from exc
    return SealSigned(chain, signed_at, held_answers(reader))


def check_contents_form(pdf: bytes, signature: EmbeddedPdfSignature) -> None:
    """Refuse a signature whose own bytes, the only ones it cannot cover, could be written otherwise.

    Upper-case hexadecimal, then zeros.

    Raises:
        DocumentError: `document.modified`.
    """
    _, length, start, _ = (int(each) for each in signature.byte_range)
    contents = signature.pkcs7_content
    if pdf[length:start] != b"<" + contents.hex().upper().encode() + b">":
        raise DocumentError("document.modified", "a signature is not written in upper-case hexadecimal")
    used = contents[: _der_length(contents)]
    if contents[len(used) :].strip(b"\0"):
        raise DocumentError("document.modified", "something follows a signature inside its own field")


def coverage(signature: EmbeddedPdfSignature) -> SignatureCoverageLevel:
    """Return how much of the file a signature covers, its own bytes apart."""
    # pyHanko's later steps read the outcome from the signature, whose attribute it does not annotate.
    unannotated: Any = signature
    level: SignatureCoverageLevel = signature.evaluate_signature_coverage()
    unannotated.coverage = level
    return level


def later_changes(signature: EmbeddedPdfSignature) -> DiffResult | SuspiciousModification:
    """Return what was changed after a signature whose `coverage` was asked before.

    Source: ETSI EN 319 142-1 clause 5.4; ISO 32000-2 clause 12.8.2.2 (DocMDP).
    """
    return signature.evaluate_modifications(DEFAULT_DIFF_POLICY)


def held_answers(reader: PdfFileReader) -> HeldAnswers:
    """Return the revocation answers that lie in the document.

    Raises:
        DocumentError: `document.long_term_invalid` when the document has no security store.
    """
    try:
        store = DocumentSecurityStore.read_dss(reader)
    except NoDSSFoundError as exc:
        raise DocumentError("document.long_term_invalid", "the document holds no revocation answers") from exc
    return HeldAnswers(
        tuple(each.get_object().data for each in store.ocsps),
        tuple(each.get_object().data for each in store.crls),
    )


def attached_data(reader: PdfFileReader, name: str) -> bytes:
    """Return the file that is associated with the document as its data.

    Raises:
        DocumentError: `document.data_invalid` when there is not exactly one, or it has another name.
    """
    found = [
        each for each in map(_resolved, reader.root.get("/AF", [])) if each.get("/AFRelationship") == "/Data"
    ]
    if len(found) != 1:
        raise DocumentError("document.data_invalid", f"{len(found)} data files are attached instead of one")
    if found[0].get("/UF") != name:
        raise DocumentError("document.data_invalid", "the attached data has another name")
    content: bytes = _resolved(found[0]["/EF"])["/F"].data
    return content


def _resolved(each: Any) -> DictionaryObject:
    resolved = each.get_object()
    if not isinstance(resolved, DictionaryObject):
        raise DocumentError("document.data_invalid", "an attachment is not described as one")
    return resolved


def _der_length(content: bytes) -> int:
    """Return how many bytes the DER value at the beginning takes (X.690 clause 8.1.3)."""
    first = content[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    return 2 + count + int.from_bytes(content[2 : 2 + count])
