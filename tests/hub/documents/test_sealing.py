# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx2
import pytest
from asn1crypto import tsp
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import DocumentSecurityStore

from hub.documents import SEAL_SQUARE, DocumentSealer, proof_json, verify_document
from hub.errors import DocumentError
from hub.trust import OnlineRevocation, TrustList, Use
from tests.hub.documents.conftest import now, open_sealer, read_example
from tests.pki import free_port
from tests.tsa import Authority, Behaviour, authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.trust import VerificationReport
    from tests.pki import ServedPki


def test_a_sealed_document_is_pades_b_lta(sealed: bytes) -> None:
    reader = PdfFileReader(io.BytesIO(sealed))
    seal, stamp = reader.embedded_signatures
    store = DocumentSecurityStore.read_dss(reader)
    assert seal.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert stamp.sig_object["/SubFilter"] == "/ETSI.RFC3161"
    assert seal.docmdp_level is not None
    assert seal.docmdp_level.value == 1
    assert store.ocsps or store.crls
    # The root comes from the trust list.
    names = {certificate.subject.native["common_name"] for certificate in store.load_certs()}
    assert {
        "成华区人力资源和社会保障局 电子印章",
        "Heliograph 开发用时间戳",
        "Heliograph 开发用电子印章CA",
    } <= names
    assert "Heliograph 开发用根CA" not in names


def test_the_seal_is_drawn_where_the_template_left_room(sealed: bytes) -> None:
    seal = PdfFileReader(io.BytesIO(sealed)).embedded_regular_signatures[0].sig_field
    assert [int(each) for each in seal["/Rect"]] == list(SEAL_SQUARE.box)
    # Printed and locked, as PDF/A asks of a visible field.
    assert seal["/F"] == 132


def test_sealing_only_appends(sealed: bytes, typeset: bytes) -> None:
    assert sealed.startswith(typeset)


def test_metadata_and_attachment_stay_those_of_pdf_a_3b(sealed: bytes, typeset: bytes) -> None:
    before, after = (PdfFileReader(io.BytesIO(each)) for each in (typeset, sealed))
    assert after.root["/Metadata"].data == before.root["/Metadata"].data
    assert dict(after.trailer["/Info"]) == dict(before.trailer["/Info"])
    assert "/OutputIntents" in after.root
    (attached,) = (each.get_object() for each in after.root["/AF"])
    assert attached["/EF"]["/F"].data == proof_json(read_example())


def test_an_rsa_seal_seals_too(pki: ServedPki, typeset: bytes, trust_list: TrustList) -> None:
    with open_sealer(pki, "labour-seal-rsa") as sealer:
        sealed = sealer.seal(typeset)
    assert verify_document(sealed, trust_list, at=now()).is_valid


def test_one_sealer_serves_several_threads(
    sealer: DocumentSealer, typeset: bytes, trust_list: TrustList
) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(sealer.seal, [typeset] * 3))
    assert all(verify_document(each, trust_list, at=now()).is_valid for each in results)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("labour-seal-revoked", "trust.certificate_revoked"),
        ("labour-seal-expired", "trust.certificate_expired"),
        ("labour-sign", "trust.usage_not_allowed"),
        ("rogue/labour-sign", "trust.unknown_authority"),
    ],
)
def test_a_seal_that_may_not_seal_does_not(pki: ServedPki, typeset: bytes, label: str, reason: str) -> None:
    with open_sealer(pki, label) as sealer, pytest.raises(DocumentError) as refusal:
        sealer.seal(typeset)
    assert refusal.value.code == "document.seal_failed"
    assert reason in refusal.value.detail


def test_without_a_time_stamping_authority_nothing_is_sealed(pki: ServedPki, typeset: bytes) -> None:
    url = f"http://127.0.0.1:{free_port()}/tsa"
    with open_sealer(pki, "labour-seal", url) as sealer, pytest.raises(DocumentError) as refusal:
        sealer.seal(typeset)
    assert refusal.value.code == "document.seal_failed"
    assert "ConnectError" in refusal.value.detail
    assert refusal.value.is_retryable


def test_what_does_not_answer_as_a_time_stamping_authority_is_refused(pki: ServedPki, typeset: bytes) -> None:
    with (
        open_sealer(pki, "labour-seal", f"{pki.url}/nothing/here") as sealer,
        pytest.raises(DocumentError, match="it answered 404"),
    ):
        sealer.seal(typeset)


def test_an_old_time_stamp_that_is_played_back_is_refused(pki: ServedPki, typeset: bytes) -> None:
    with (
        replaying_authority(pki.time_stamp_url) as url,
        open_sealer(pki, "labour-seal", url) as sealer,
        pytest.raises(DocumentError) as refusal,
    ):
        sealer.seal(typeset)
    assert refusal.value.code == "document.seal_failed"


def test_a_time_stamping_authority_that_is_not_approved_is_refused(pki: ServedPki, typeset: bytes) -> None:
    trust_list = pki.approved()
    without = TrustList(
        tuple(replace(row, uses=row.uses - {Use.TIMESTAMP}) for row in trust_list.authorities)
    )
    with (
        open_sealer(pki, "labour-seal", trust_list=without) as sealer,
        pytest.raises(DocumentError) as refusal,
    ):
        sealer.seal(typeset)
    assert "trust.usage_not_allowed" in refusal.value.detail


@contextmanager
def replaying_authority(url: str) -> Iterator[str]:
    """Answer every request with the token of one earlier request."""
    request = tsp.TimeStampReq(
        {
            "version": 1,
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)},
            "nonce": 7,
            "cert_req": True,
        }
    )
    headers = {"Content-Type": "application/timestamp-query"}
    recorded = httpx2.post(url, content=request.dump(), headers=headers).content

    class Replay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(recorded)))
            self.end_headers()
            self.wfile.write(recorded)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Replay) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_document_is_sealed_only_once(sealer: DocumentSealer, sealed: bytes) -> None:
    with pytest.raises(DocumentError, match="signed already"):
        sealer.seal(sealed)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"not a PDF"])
def test_what_is_no_pdf_is_not_sealed(sealer: DocumentSealer, content: bytes) -> None:
    with pytest.raises(DocumentError) as refusal:
        sealer.seal(content)
    assert refusal.value.code == "document.seal_failed"


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="poppler-utils is not installed")
def test_pdfsig_confirms_the_seal(sealed: bytes, tmp_path: Path) -> None:
    (tmp_path / "sealed.pdf").write_bytes(sealed)
    output = subprocess.run(
        ["pdfsig", tmp_path / "sealed.pdf"], capture_output=True, check=False, text=True
    ).stdout
    assert "Signature is Valid." in output
    assert "ETSI.CAdES.detached" in output
    # The archive time stamp, which comes last, covers the whole file.
    assert "Total document signed" in output


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="poppler-utils is not installed")
def test_pdfsig_finds_a_changed_byte(sealed: bytes, tmp_path: Path) -> None:
    changed = bytearray(sealed)
    place = re.search(rb"stream\n", sealed)
    assert place is not None
    changed[place.end() + 40] ^= 1
    (tmp_path / "changed.pdf").write_bytes(changed)
    output = subprocess.run(
        ["pdfsig", tmp_path / "changed.pdf"], capture_output=True, check=False, text=True
    ).stdout
    assert "Digest Mismatch" in output


def test_when_the_first_authority_is_down_the_second_stamps_the_whole_document(
    pki: ServedPki, typeset: bytes, trust_list: TrustList
) -> None:
    with (
        authority(Behaviour(pki.signer("tsa"), status="rejection")) as first,
        sealing_with(pki, first) as sealer,
    ):
        report = verify_document(sealer.seal(typeset), trust_list, at=now())
    assert report.is_valid
    assert stamped_by(report) == {"Heliograph 开发用时间戳 二"}


@pytest.mark.parametrize("answered", [1, 2])
def test_when_an_authority_fails_in_the_middle_the_next_one_stamps_the_whole_document(
    pki: ServedPki, typeset: bytes, trust_list: TrustList, answered: int
) -> None:
    """The first answers so often: to measure a token, then for the seal; never for the archive."""
    honest = Behaviour(pki.signer("tsa"))

    def tiring(answer: bytes) -> bytes:
        return answer if len(first.requests) <= answered else b""

    with authority(replace(honest, answer=tiring)) as first, sealing_with(pki, first) as sealer:
        report = verify_document(sealer.seal(typeset), trust_list, at=now())
        assert stamped_by(report) == {"Heliograph 开发用时间戳 二"}
        again = verify_document(sealer.seal(typeset), trust_list, at=now())
    assert report.is_valid
    assert again.is_valid


def test_a_longer_token_of_the_next_authority_finds_room(
    pki: ServedPki, typeset: bytes, trust_list: TrustList
) -> None:
    """Room is measured with the first one's token; an RSA certificate and signature are longer."""
    short, long = Behaviour(pki.signer("tsa")), Behaviour(pki.signer("tsa-rsa"))
    with authority(short) as first, authority(long) as second:
        sealer = a_sealer(pki, [first.url, second.url])
        sealer.seal(typeset)
        first.behaviour = replace(short, status="rejection")
        report = verify_document(sealer.seal(typeset), trust_list, at=now())
        sealer.close()
    assert report.is_valid
    assert stamped_by(report) == {"其他算法的时间戳"}


def test_without_addresses_of_its_own_the_trust_list_names_the_authorities(
    pki: ServedPki, typeset: bytes, trust_list: TrustList
) -> None:
    sealer = a_sealer(pki, [])
    report = verify_document(sealer.seal(typeset), trust_list, at=now())
    sealer.close()
    assert report.is_valid
    assert stamped_by(report) == {"Heliograph 开发用时间戳"}


@contextmanager
def sealing_with(pki: ServedPki, first: Authority) -> Iterator[DocumentSealer]:
    """A sealer that asks a stand-in first, then the second authority of the PKI."""
    sealer = a_sealer(pki, [first.url, pki.time_stamp_urls[1]])
    try:
        yield sealer
    finally:
        sealer.close()


def a_sealer(pki: ServedPki, urls: list[str]) -> DocumentSealer:
    return DocumentSealer(pki.signer("labour-seal"), pki.approved(), OnlineRevocation(), urls)


def stamped_by(report: VerificationReport) -> set[str]:
    """The names of the authorities that a report's steps about time name."""
    reasons = [step.reason for step in report.steps if "time stamp" in step.name.lower()]
    return {name for reason in reasons for name in re.findall(r"by certificate '([^']+)'", reason)}
