# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.envelope import (
    Envelope,
    Kind,
    Limits,
    LogReference,
    Member,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    read_zip,
    refer_to,
    reply_to,
    seal_envelope,
    write_fault,
    write_receipt,
)
from hub.envelope.zipform import write_zip
from hub.errors import AccessError, EnvelopeError, Language, TrustError
from hub.evidence.verification import verify_file
from hub.findings import finding_to_json, tell
from hub.identifiers import SubsystemId
from hub.trust import (
    USE_POLICIES,
    StepRecorder,
    TrustList,
    VerificationReport,
    VerificationStep,
    algorithm_named,
    policies_allowing,
)
from hub.verifier import containers, render_report, report_to_json
from tests.hub.envelope.signers import EMPLOYMENT, FUND, header_for, throwaway_key
from tests.hub.test_findings import EXPIRED
from tests.hub.verifier.stored import now, sealed_request, store_crls, store_revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hub.trust import Use, UsePolicy
    from tests.pki import ServedPki

HUB = SubsystemId("11510108MB1A00001J/hub")
REQUEST_STEPS = [
    containers.ZIP,
    containers.MEMBERS,
    containers.HEADER,
    containers.PAYLOADS,
    containers.MANIFEST,
    containers.SIGNATURE,
    containers.TIME,
    containers.PATH,
    containers.REVOCATION,
    containers.SENDER,
    containers.BINDING,
]


@pytest.fixture(scope="module")
def trust_list(pki: ServedPki) -> TrustList:
    return pki.approved()


@pytest.fixture(scope="module")
def revocation(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = ["federation-sign", "labour-sign", "hub-sign"]
    return store_revocation(pki, labels, tmp_path_factory.mktemp("revocation"))


@pytest.fixture(scope="module")
def request_of_today(pki: ServedPki, revocation: Path) -> Envelope:
    del revocation  # asked for first, so that the answers are there when the request is signed
    return sealed_request(pki)


def step(report: VerificationReport, name: str) -> VerificationStep:
    return next(each for each in report.steps if each.name == name)


def failed(report: VerificationReport) -> dict[str, str | None]:
    """Say which steps failed by themselves, with their codes."""
    return {
        each.name: each.code
        for each in report.steps
        if not each.is_passed and not each.reason.startswith("not checked")
    }


def not_checked(report: VerificationReport) -> list[str]:
    return [each.name for each in report.steps if each.reason.startswith("not checked")]


def test_a_request_signed_today_is_valid_in_every_step(
    request_of_today: Envelope, trust_list: TrustList, revocation: Path, tmp_path: Path
) -> None:
    file = tmp_path / "request.asice"
    file.write_bytes(request_of_today.raw)

    report = verify_file(file, trust_list, revocation, at=now())

    assert report.is_valid
    assert (report.subject, report.kind) == ("request.asice", "envelope")
    assert [each.name for each in report.steps] == REQUEST_STEPS
    assert [each.number for each in report.steps] == list(range(1, 12))
    assert report.facts["member"] == FUND[:18]
    assert report.facts["kind"] == "request"


def test_a_request_is_still_valid_years_later_with_the_answers_of_that_day(
    request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    later = now() + timedelta(days=3000)

    assert verify_file(request_of_today.raw, trust_list, revocation, at=later).is_valid


def test_without_revocation_answers_nothing_is_valid(
    request_of_today: Envelope, trust_list: TrustList, tmp_path: Path
) -> None:
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable/x.crl").write_bytes(b"no CRL")
    (tmp_path / "empty").mkdir()
    for folder in (None, tmp_path / "absent", tmp_path / "empty", tmp_path / "unreadable"):
        report = verify_file(request_of_today.raw, trust_list, folder, at=now())

        assert not report.is_valid
        assert failed(report) == {containers.REVOCATION: "trust.revocation_unknown"}


def test_answers_of_another_day_do_not_count(pki: ServedPki, trust_list: TrustList, revocation: Path) -> None:
    earlier = sealed_request(pki, sent_at=now() - timedelta(days=30))

    report = verify_file(earlier.raw, trust_list, revocation, at=now())

    assert failed(report) == {containers.REVOCATION: "trust.revocation_unknown"}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("labour-expired", {containers.PATH: "trust.certificate_expired"}),
        ("labour-not-yet-valid", {containers.PATH: "trust.certificate_not_yet_valid"}),
        ("labour-unlisted", {containers.PATH: "trust.unknown_authority"}),
        ("rogue/labour-sign", {containers.PATH: "trust.unknown_authority"}),
        ("labour-wrong-usage", {containers.PATH: "trust.usage_not_allowed"}),
        ("labour-seal", {containers.PATH: "trust.usage_not_allowed"}),
        ("labour-revoked", {containers.REVOCATION: "trust.certificate_revoked"}),
    ],
)
def test_a_signer_who_may_not_be_believed_fails_the_step_about_it(
    pki: ServedPki, trust_list: TrustList, tmp_path: Path, label: str, expected: dict[str, str]
) -> None:
    folder = store_crls(pki, "labour-revoked", tmp_path / "answers")
    envelope = sealed_request(pki, label, sender=EMPLOYMENT, recipient=FUND)

    report = verify_file(envelope.raw, trust_list, folder, at=now())

    assert failed(report) == expected


def test_an_empty_trust_list_believes_nobody(request_of_today: Envelope, revocation: Path) -> None:
    report = verify_file(request_of_today.raw, TrustList(()), revocation, at=now())

    assert failed(report) == {containers.PATH: "trust.unknown_authority"}
    assert not_checked(report) == [containers.REVOCATION, containers.SENDER]


def test_a_member_that_signs_in_another_s_name_fails_the_step_about_the_sender(
    pki: ServedPki, trust_list: TrustList, revocation: Path
) -> None:
    report = verify_file(
        sealed_request(pki, "labour-sign", sender=FUND).raw, trust_list, revocation, at=now()
    )

    assert failed(report) == {containers.SENDER: "trust.wrong_member"}


def test_what_was_signed_after_the_instant_of_verification_is_not_valid(
    request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    report = verify_file(request_of_today.raw, trust_list, revocation, at=now() - timedelta(hours=1))

    assert failed(report) == {containers.TIME: "exchange.from_the_future"}


def changed(envelope: Envelope, index: int, change: Callable[[bytes], bytes]) -> bytes:
    members = list(read_zip(envelope.raw, Limits()))
    members[index] = Member(members[index].name, change(members[index].content))
    return write_zip(members)


NEED_SIGNATURE = [containers.TIME, containers.PATH, containers.REVOCATION, containers.SENDER]
NEED_HEADER = [
    containers.PAYLOADS,
    containers.MANIFEST,
    containers.TIME,
    containers.SENDER,
    containers.BINDING,
    containers.NOTICE,
]


def flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("index", "outcome"),
    [
        (0, ([containers.MEMBERS], [*REQUEST_STEPS[2:], containers.NOTICE])),
        (1, ([containers.HEADER], NEED_HEADER)),
        (2, ([containers.PAYLOADS], [])),
        (3, ([containers.MANIFEST, containers.SIGNATURE], NEED_SIGNATURE)),
        (4, ([containers.SIGNATURE], NEED_SIGNATURE)),
    ],
)
def test_one_broken_member_fails_its_own_step_and_what_needs_it_while_the_rest_is_still_checked(
    request_of_today: Envelope,
    trust_list: TrustList,
    revocation: Path,
    index: int,
    outcome: tuple[list[str], list[str]],
) -> None:
    raw = changed(request_of_today, index, flip_last)

    report = verify_file(raw, trust_list, revocation, at=now())

    assert not report.is_valid
    assert (list(failed(report)), not_checked(report)) == outcome


def test_every_byte_flipped_leaves_a_container_that_is_not_valid(
    request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    """Also in the ZIP's own structures: a broken envelope is never taken for a foreign container."""
    raw = request_of_today.raw

    for position in range(0, len(raw), 5):
        broken = bytearray(raw)
        broken[position] ^= 0x80
        report = verify_file(bytes(broken), trust_list, revocation, at=now())
        assert not report.is_valid
        assert report.kind == "envelope"


def answers(pki: ServedPki, request: Envelope, kind: Kind, payload: Payload) -> Envelope:
    return reply_to(request, kind, [payload], party=Party(HUB, pki.signer("hub-sign")), now=now())


def receipt_about(request: Envelope) -> Receipt:
    return Receipt(
        status=ReceiptStatus.PROCESSED,
        at=now(),
        message=refer_to(request),
        log=LogReference(origin="log.example/2026", index=7, leaf_sha256="0" * 64),
        answer=refer_to(request),
    )


def test_a_receipt_tells_what_it_says(
    pki: ServedPki, request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    receipt = answers(pki, request_of_today, Kind.RECEIPT, write_receipt(receipt_about(request_of_today)))

    report = verify_file(receipt.raw, trust_list, revocation, at=now())

    assert report.is_valid
    assert [each.name for each in report.steps] == [*REQUEST_STEPS, containers.NOTICE]
    assert report.facts["receipt_status"] == "processed"
    assert report.facts["receipt_message"] == request_of_today.header.id
    assert report.facts["receipt_container_sha256"] == request_of_today.container_sha256
    assert report.facts["receipt_log"] == "log.example/2026, entry 7"
    assert report.facts["in_reply_to"] == request_of_today.header.id


def test_a_receipt_about_another_message_than_it_answers_is_not_valid(
    pki: ServedPki, request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    other = write_receipt(receipt_about(sealed_request(pki)))

    report = verify_file(
        answers(pki, request_of_today, Kind.RECEIPT, other).raw, trust_list, revocation, at=now()
    )

    assert failed(report) == {containers.NOTICE: "exchange.answer_not_bound"}


def test_a_receipt_without_a_receipt_is_not_valid(
    pki: ServedPki, request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    empty = answers(pki, request_of_today, Kind.RECEIPT, Payload("x.json", "application/json", b"{}"))

    report = verify_file(empty.raw, trust_list, revocation, at=now())

    assert failed(report) == {containers.NOTICE: "envelope.member_missing"}


def test_a_fault_tells_what_it_says_in_both_languages(
    pki: ServedPki, request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    error = AccessError("access.service_not_granted", "no right")
    fault = answers(pki, request_of_today, Kind.FAULT, write_fault(describe_fault(error)))

    report = verify_file(fault.raw, trust_list, revocation, at=now())

    assert report.is_valid
    assert report.facts["fault_code"] == "access.service_not_granted"
    assert report.facts["fault_message_zh-CN"] == error.kind.message[Language.ZH]
    assert report.facts["fault_cure_en"] == error.kind.cure[Language.EN]


def test_only_a_fault_about_an_unreadable_message_may_be_bound_to_none(
    pki: ServedPki, request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    party = Party(HUB, pki.signer("hub-sign"))
    payload = write_fault(describe_fault(EnvelopeError("envelope.not_a_zip")))
    about_unreadable = fault_about_unreadable([payload], party=party, now=now())
    unbound = sealed_request(
        pki,
        "hub-sign",
        (payload,),
        kind=Kind.FAULT,
        sender=HUB,
        recipient=request_of_today.header.sender,
    )

    assert verify_file(about_unreadable.raw, trust_list, revocation, at=now()).is_valid
    report = verify_file(unbound.raw, trust_list, revocation, at=now())
    assert failed(report) == {containers.BINDING: "exchange.answer_not_bound"}


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n", b"<xml/>"])
def test_what_is_neither_container_nor_pdf_is_not_valid(content: bytes, trust_list: TrustList) -> None:
    report = verify_file(content, trust_list, None, at=now())

    assert (report.is_valid, report.kind, len(report.steps)) == (False, "unknown", 1)
    assert report.steps[0].code == "envelope.not_a_zip"


def test_a_file_beyond_every_limit_is_not_read_to_its_end(tmp_path: Path, trust_list: TrustList) -> None:
    file = tmp_path / "large.asice"
    with file.open("wb") as sparse:
        sparse.truncate(3 * 1024**3)

    report = verify_file(file, trust_list, None, at=now())

    assert report.steps[0].code == "envelope.too_large"


def test_a_pdf_is_handed_to_the_verifier_of_documents(trust_list: TrustList) -> None:
    report = verify_file(b"%PDF-1.7\nnothing", trust_list, None, at=now())

    assert (report.is_valid, report.kind) == (False, "document")


def test_the_json_form_says_the_same_as_the_report(
    request_of_today: Envelope, trust_list: TrustList, revocation: Path
) -> None:
    report = verify_file(request_of_today.raw, trust_list, revocation, at=now())

    told = json.loads(json.dumps(report_to_json(report)))

    assert told["is_valid"] is True
    assert told["facts"] == dict(report.facts)
    assert [VerificationStep(**each) for each in told["steps"]] == list(report.steps)


@pytest.mark.parametrize("language", Language)
def test_a_refused_certificate_is_told_in_the_readers_language_with_its_cure(language: Language) -> None:
    def refuse() -> str:
        raise TrustError("trust.certificate_expired", "in English", EXPIRED)

    steps = StepRecorder()
    steps.run(containers.PATH, "trust.path_invalid", refuse)
    report = VerificationReport("container", "envelope", steps.steps)

    text = render_report(report, language)

    assert tell(EXPIRED, language) in text
    assert text.endswith(EXPIRED.cure[language])
    assert report_to_json(report)["steps"][0]["finding"] == finding_to_json(EXPIRED)


def test_the_text_form_names_every_step_and_the_cure_in_both_languages(
    request_of_today: Envelope, trust_list: TrustList
) -> None:
    report = verify_file(request_of_today.raw, trust_list, None, at=now())

    english = render_report(report, Language.EN)
    chinese = render_report(report, Language.ZH)

    assert "container (envelope): NOT VALID" in english
    assert "container (报文容器): 无效" in chinese
    assert " 9  FAILED  Not revoked when signing: " in english
    assert " 9  未通过  签名时证书未被吊销: " in chinese
    assert "[trust.revocation_unknown]" in english
    assert "处理办法" in chinese
    assert "not to be believed" in english
    for each in report.steps:
        assert f" {each.number:>2}  " in chinese
        assert each.name in english
        assert f"通过  {each.name}" not in chinese


def test_control_characters_of_a_hostile_file_do_not_reach_the_terminal() -> None:
    step = VerificationStep(
        1, "Header", is_passed=False, code="envelope.header_invalid", reason="\x1b[2J\nvalid"
    )
    report = VerificationReport("\x1b]0;x", "envelope", (step,), {"a\nb": "\u202e"})

    text = render_report(report, Language.EN)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 5


def test_a_container_signed_by_a_key_from_nowhere_is_not_valid(
    trust_list: TrustList, revocation: Path, request_of_today: Envelope
) -> None:
    reply = reply_to(request_of_today, Kind.RESPONSE, [], party=Party(EMPLOYMENT, throwaway_key()), now=now())

    report = verify_file(reply.raw, trust_list, revocation, at=now())

    assert failed(report) == {containers.PATH: "trust.usage_not_allowed"} or failed(report) == {
        containers.PATH: "trust.unknown_authority"
    }


def test_an_envelope_of_an_algorithm_that_is_off_is_judged_by_the_policies_given(
    trust_list: TrustList, revocation: Path
) -> None:
    sealed = seal_envelope(header_for(()), (), throwaway_key("ml-dsa-65"))

    def code_of_signature(policies: Mapping[Use, UsePolicy]) -> str | None:
        report = verify_file(sealed.raw, trust_list, revocation, at=now(), policies=policies)
        return next(step.code for step in report.steps if step.name == containers.SIGNATURE)

    assert code_of_signature(policies_allowing([algorithm_named("ml-dsa-65")])) is None
    assert code_of_signature(USE_POLICIES) == "envelope.algorithm_not_allowed"
