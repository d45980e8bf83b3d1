# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import DocumentSecurityStore, async_validate_pdf_signature

from hub.documents import DocumentSealer, proof_json, typeset_proof, verify_document
from hub.documents.signer import to_asn1
from hub.errors import DocumentError
from hub.trust import OnlineRevocation, TrustList, VerificationReport
from tests.hub.documents.conftest import now, open_sealer, read_example

if TYPE_CHECKING:
    from tests.pki import ServedPki

STEPS = 11
SAMPLES = 320
PARTS = 4


def codes(report: VerificationReport) -> set[str]:
    """Return the codes of the failed steps, after checking that each step was carried out."""
    assert [step.number for step in report.steps] == list(range(1, STEPS + 1))
    assert all((step.code is None) == step.is_passed and step.reason for step in report.steps)
    return {step.code for step in report.steps if step.code}


def test_a_sealed_proof_verifies_with_the_trust_list_alone(sealed: bytes, trust_list: TrustList) -> None:
    report = verify_document(sealed, trust_list, at=now(), subject="proof.pdf")
    assert codes(report) == set()
    assert report.is_valid
    assert (report.subject, report.kind) == ("proof.pdf", "document")
    assert report.facts["member"] == "11510108MB1A00002M"
    assert report.facts["proof_number"] == read_example()["proof_number"]


def test_it_verifies_years_later_when_every_certificate_has_expired(
    sealed: bytes, trust_list: TrustList
) -> None:
    assert verify_document(sealed, trust_list, at=now() + timedelta(days=365 * 20)).is_valid


def test_it_does_not_verify_before_it_was_sealed(sealed: bytes, trust_list: TrustList) -> None:
    assert "document.timestamp_invalid" in codes(
        verify_document(sealed, trust_list, at=now() - timedelta(days=1))
    )


def test_the_authority_can_be_asked_for_its_present_state(sealed: bytes, trust_list: TrustList) -> None:
    revocation = OnlineRevocation()
    report = verify_document(sealed, trust_list, at=now(), revocation=revocation)
    revocation.close()
    assert report.is_valid
    assert len(report.steps) == STEPS + 1


def test_the_attached_data_is_compared_with_the_data_expected(sealed: bytes, trust_list: TrustList) -> None:
    expected = proof_json(read_example())
    assert verify_document(sealed, trust_list, at=now(), data=expected).is_valid
    report = verify_document(sealed, trust_list, at=now(), data=expected.replace(b"2025", b"2024"))
    assert codes(report) == {"document.data_invalid"}
    assert not report.is_valid


def test_pyhanko_by_itself_confirms_the_seal(sealed: bytes, trust_list: TrustList) -> None:
    roots = [to_asn1(row.certificate) for row in trust_list.authorities if row.is_anchor]
    reader = PdfFileReader(io.BytesIO(sealed))
    # What the document itself holds, and nothing from the network.
    context = DocumentSecurityStore.read_dss(reader).as_validation_context(
        {"trust_roots": roots, "revocation_mode": "require", "moment": now()}
    )
    seal = reader.embedded_regular_signatures[0]
    status = asyncio.run(async_validate_pdf_signature(seal, context))
    assert status.bottom_line


@pytest.mark.parametrize("content", [b"", b"%PDF-", b"%PDF-1.7\n%%EOF", b"PK\x03\x04", b"\0" * 500])
def test_what_is_no_pdf_fails_in_every_step(content: bytes, trust_list: TrustList) -> None:
    report = verify_document(content, trust_list, at=now())
    assert report.steps[0].code == "document.unreadable"
    assert len(codes(report)) > 1
    assert all("an earlier step did not hold" in step.reason for step in report.steps[5:7])
    assert "an earlier step did not hold" in report.steps[8].reason
    assert not any(step.is_passed for step in report.steps)


def test_a_document_that_was_never_sealed_is_refused(typeset: bytes, trust_list: TrustList) -> None:
    assert "document.signature_missing" in codes(verify_document(typeset, trust_list, at=now()))


def test_a_seal_of_another_member_than_the_data_names_is_refused(pki: ServedPki, typeset: bytes) -> None:
    # The sealer verifies what it made, so such a document is not even given out.
    with open_sealer(pki, "federation-seal") as sealer, pytest.raises(DocumentError) as refusal:
        sealer.seal(typeset)
    assert "trust.wrong_member" in refusal.value.detail


def test_a_stranger_s_trust_list_does_not_know_the_seal(sealed: bytes, trust_list: TrustList) -> None:
    nobody = TrustList(tuple(row for row in trust_list.authorities if row.is_anchor))
    report = verify_document(sealed, nobody, at=now())
    assert "trust.unknown_authority" in codes(report)
    assert not report.is_valid


def test_an_approval_that_ended_before_sealing_does_not_count(sealed: bytes, trust_list: TrustList) -> None:
    ended = TrustList(tuple(replace(row, approved_until=row.approved_from) for row in trust_list.authorities))
    assert "trust.unknown_authority" in codes(verify_document(sealed, ended, at=now()))


def test_an_update_that_changes_a_page_is_found(sealed: bytes, trust_list: TrustList) -> None:
    writer: Any = IncrementalPdfFileWriter(io.BytesIO(sealed))
    writer.add_stream_to_page(0, writer.add_object(StreamObject(stream_data=b"0 0 600 600 re f")))
    report = verify_document(_written(writer), trust_list, at=now())
    assert "document.modified" in codes(report)
    assert not report.is_valid


def test_an_update_that_exchanges_the_attached_data_is_found(sealed: bytes, trust_list: TrustList) -> None:
    writer: Any = IncrementalPdfFileWriter(io.BytesIO(sealed))
    embedded = writer.root["/AF"][0].get_object()["/EF"]
    changed = proof_json({**read_example(), "year": 2024})
    embedded["/F"] = writer.add_object(StreamObject(stream_data=changed))
    writer.update_container(embedded)
    report = verify_document(_written(writer), trust_list, at=now())
    assert "document.modified" in codes(report)
    assert report.facts["data_sha256"] == sha256(changed).hexdigest()
    assert not report.is_valid


def _written(writer: Any) -> bytes:
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def test_a_document_without_its_archive_time_stamp_is_refused(sealed: bytes, trust_list: TrustList) -> None:
    end_of_first_update = sealed.index(b"%%EOF", sealed.index(b"/ETSI.CAdES.detached")) + len(b"%%EOF\n")
    report = verify_document(sealed[:end_of_first_update], trust_list, at=now())
    assert "document.timestamp_invalid" in codes(report)
    assert not report.is_valid


def test_anything_appended_is_found(sealed: bytes, trust_list: TrustList) -> None:
    for tail in (b"\n", b"%", b"%%EOF\n"):
        assert not verify_document(sealed + tail, trust_list, at=now()).is_valid


@pytest.mark.parametrize("part", range(PARTS))
def test_a_changed_byte_is_found_wherever_it_is(part: int, sealed: bytes, trust_list: TrustList) -> None:
    """Positions lie evenly over the whole file; every structure at its end is in the next test."""
    at = now()
    for position in range(part * len(sealed) // SAMPLES, len(sealed), PARTS * len(sealed) // SAMPLES):
        _check_flip(sealed, position, trust_list, at)


def test_a_changed_byte_in_the_last_cross_reference_and_trailer_is_found(
    sealed: bytes, trust_list: TrustList
) -> None:
    at = now()
    for position in range(sealed.rindex(b"xref\n", 0, sealed.rindex(b"startxref")), len(sealed), 29):
        _check_flip(sealed, position, trust_list, at)


def test_a_changed_byte_in_the_archive_time_stamp_itself_is_found(
    sealed: bytes, trust_list: TrustList
) -> None:
    """The time stamp covers everything but its own bytes: there, form and signature have to do it."""
    at = now()
    begin = sealed.rindex(b"/Contents <") + len(b"/Contents <")
    end = sealed.index(b">", begin)
    for position in range(begin, end, 211):
        _check_flip(sealed, position, trust_list, at)
        _check_flip(sealed, position, trust_list, at, flip=0x20)


def test_a_change_that_only_makes_an_encoding_unusual_is_found(sealed: bytes, trust_list: TrustList) -> None:
    """Lengths of the outermost values, and unused bits of bit strings in the authority's certificate."""
    at = now()
    begin = sealed.rindex(b"/Contents <") + len(b"/Contents <")
    end = sealed.index(b">", begin)
    key_usage = sealed.index(b"03020780", begin, end)
    signature = sealed.index(b"034", sealed.index(b"06082A8648CE3D040302034", begin, end) + 18, end)
    for position in (
        *range(begin, begin + 16),
        *range(key_usage, key_usage + 8),
        *range(signature, signature + 6),
    ):
        _check_flip(sealed, position, trust_list, at)


def _check_flip(sealed: bytes, position: int, trust_list: TrustList, at: Any, flip: int = 1) -> None:
    changed = bytearray(sealed)
    changed[position] ^= flip
    report = verify_document(bytes(changed), trust_list, at=at)
    assert not report.is_valid, f"the changed byte {position} was not found"
    codes(report)


def test_the_sealer_fits_the_data_it_is_given(sealer: DocumentSealer, trust_list: TrustList) -> None:
    data = read_example()
    data["employer"]["name"] = "成都市成华区第二食品厂"
    sealed = sealer.seal(typeset_proof(data))
    assert verify_document(sealed, trust_list, at=now(), data=proof_json(data)).is_valid
