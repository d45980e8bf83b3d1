# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.clock import format_instant, to_milliseconds
from hub.envelope import (
    Envelope,
    Fault,
    Kind,
    LogReference,
    MessageReference,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    open_envelope,
    read_fault,
    read_receipt,
    refer_to,
    reply_to,
    verify_signature,
    write_fault,
    write_receipt,
)
from hub.errors import AccessError, Culprit, EnvelopeError, Language, TrustError
from hub.findings import finding_to_json
from tests.hub.envelope.signers import EMPLOYMENT, NOW, request_envelope, throwaway_key
from tests.hub.test_findings import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTY = Party(EMPLOYMENT, throwaway_key())
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
REFERENCES = st.builds(
    MessageReference,
    id=st.just(request_envelope().header.id),
    container_sha256=SHA256,
    manifest_sha256=SHA256,
)
PLACES = st.builds(
    LogReference, origin=st.just("hub.example/log"), index=st.integers(0, 2**53 - 1), leaf_sha256=SHA256
)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    status = draw(st.sampled_from(ReceiptStatus))
    is_of_department = status in {ReceiptStatus.DELIVERED, ReceiptStatus.PROCESSED} and draw(st.booleans())
    at = to_milliseconds(NOW + timedelta(milliseconds=draw(st.integers(0, 10**12))))
    promised = st.integers(0, 10**9).map(lambda ms: to_milliseconds(at + timedelta(milliseconds=ms)))
    return Receipt(
        status=status,
        at=at,
        message=draw(REFERENCES),
        log=None if is_of_department else draw(PLACES),
        answer=None if is_of_department else draw(st.none() | REFERENCES),
        code="access.service_not_granted" if status is ReceiptStatus.REFUSED else None,
        expected_by=draw(st.none() | promised) if status is ReceiptStatus.DELIVERED else None,
    )


RECEIPTS = receipts()


def carrying(payload: Payload, kind: Kind) -> Envelope:
    """Send a payload through the wire form and open what arrives."""
    envelope = reply_to(request_envelope(), kind, [payload], party=PARTY, now=NOW)
    return open_envelope(envelope.raw)


@settings(deadline=None)
@given(RECEIPTS)
def test_a_receipt_says_after_the_wire_what_it_said_before(receipt: Receipt) -> None:
    payload = write_receipt(receipt)

    assert read_receipt(carrying(payload, Kind.RECEIPT)) == receipt
    assert rfc8785.dumps(json.loads(payload.content)) == payload.content


LATER = NOW + timedelta(hours=1)
EARLIER = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("accepted is the hub's to say", {"status": ReceiptStatus.ACCEPTED, "log": None}),
        ("refused too", {"status": ReceiptStatus.REFUSED, "log": None, "code": "exchange.expired"}),
        ("no department vouches for an answer", {"log": None, "answer": refer_to(request_envelope())}),
        ("refused says why", {"status": ReceiptStatus.REFUSED}),
        ("only refused says why", {"code": "exchange.expired"}),
        ("nothing is expected of what is processed", {"expected_by": LATER}),
        ("nothing is expected of the past", {"status": ReceiptStatus.DELIVERED, "expected_by": EARLIER}),
    ],
)
def test_a_receipt_that_says_what_it_cannot_is_refused(why: str, changes: dict[str, Any]) -> None:
    place = LogReference(origin="hub.example/log", index=7, leaf_sha256="0" * 64)
    usual: dict[str, Any] = {
        "status": ReceiptStatus.PROCESSED,
        "at": NOW,
        "message": refer_to(request_envelope()),
        "log": place,
    }
    Receipt(**usual)
    with pytest.raises(ValidationError):
        Receipt(**usual | changes)
    # Nor is it read when somebody has written it all the same.
    honest = json.loads(write_receipt(Receipt(**usual)).content)
    content = {name: value for name, value in honest.items() if changes.get(name, value) is not None}
    content |= {name: _written(value) for name, value in changes.items() if value is not None}
    payload = Payload("receipt.json", "application/json", rfc8785.dumps(content))
    with pytest.raises(EnvelopeError, match=r"envelope\.header_invalid"):
        read_receipt(carrying(payload, Kind.RECEIPT))
    assert why


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return format_instant(value)
    return asdict(value) if isinstance(value, MessageReference) else value


def test_a_fault_says_after_the_wire_in_both_languages_what_the_error_said() -> None:
    error = AccessError("access.service_not_granted", "13510108MB1A00003J/fund has no right")

    fault = read_fault(carrying(write_fault(describe_fault(error)), Kind.FAULT))

    assert fault == describe_fault(error)
    assert (fault.code, fault.culprit, fault.is_retryable) == (error.code, Culprit.SENDER, error.is_retryable)
    assert set(fault.message) == set(fault.cure) == set(Language)
    assert all(fault.message.values())
    reported = fault.to_error()
    assert (reported.code, reported.culprit, reported.detail) == (error.code, error.culprit, error.detail)


def test_a_fault_about_a_certificate_says_which_check_failed_in_both_languages() -> None:
    error = TrustError("trust.certificate_expired", "why", EXPIRED)

    fault = read_fault(carrying(write_fault(describe_fault(error)), Kind.FAULT))

    assert fault.finding == EXPIRED
    assert fault.to_error().finding == EXPIRED


def test_a_fault_without_a_finding_is_written_and_read_as_before() -> None:
    payload = write_fault(describe_fault(AccessError("access.service_not_granted", "why")))

    assert set(json.loads(payload.content)) == {
        "code",
        "culprit",
        "retryable",
        "detail",
        "message",
        "cure",
    }
    assert read_fault(carrying(payload, Kind.FAULT)).finding is None


@pytest.mark.parametrize(
    "finding",
    [None, "expired", {}, {**finding_to_json(EXPIRED), "more": 1}, {**finding_to_json(EXPIRED), "at": "now"}],
    ids=["null", "text", "empty", "more", "no instant"],
)
def test_a_fault_whose_finding_has_another_form_is_refused(finding: Any) -> None:
    fields = json.loads(write_fault(describe_fault(TrustError("trust.certificate_expired", "why"))).content)
    content = rfc8785.dumps({**fields, "finding": finding})

    with pytest.raises(EnvelopeError) as refusal:
        read_fault(carrying(Payload("fault.json", "application/json", content), Kind.FAULT))

    assert refusal.value.code == "envelope.header_invalid"


def test_a_fault_of_a_later_version_keeps_a_code_unknown_here() -> None:
    fault = Fault(
        code="exchange.invented_later",
        culprit=Culprit.RECIPIENT,
        is_retryable=True,
        detail="why",
        message={Language.EN: "m", Language.ZH: "信"},
        cure={Language.EN: "c", Language.ZH: "治"},
    )

    error = read_fault(carrying(write_fault(fault), Kind.FAULT)).to_error()

    assert (error.code, error.is_retryable) == ("exchange.invented_later", True)


def test_an_overlong_detail_is_cut_so_that_the_fault_can_be_read() -> None:
    fault = describe_fault(AccessError("access.service_not_granted", "x" * 5000))

    assert len(read_fault(carrying(write_fault(fault), Kind.FAULT)).detail) == 2000


def receipt_fields() -> dict[str, Any]:
    reference = refer_to(request_envelope())
    receipt = Receipt(
        status=ReceiptStatus.PROCESSED,
        at=NOW,
        message=reference,
        log=LogReference(origin="hub.example/log", index=7, leaf_sha256="0" * 64),
        answer=reference,
    )
    fields: dict[str, Any] = json.loads(write_receipt(receipt).content)
    return fields


def changed(path: Sequence[str], value: object) -> Payload:
    fields = receipt_fields()
    target = fields
    for step in path[:-1]:
        target = target[step]
    if value is KeyError:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return Payload("receipt.json", "application/json", json.dumps(fields).encode())


def test_a_receipt_s_reference_names_the_container_by_id_and_digests() -> None:
    envelope = request_envelope()

    reference = refer_to(envelope)

    assert reference.id == envelope.header.id
    assert reference.container_sha256 == open_envelope(envelope.raw).container_sha256
    assert reference.manifest_sha256 == envelope.as_in_reply_to().manifest_sha256


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), KeyError),
        (("status",), "done"),
        (("at",), "yesterday"),
        (("at",), 0),
        (("message", "id"), KeyError),
        (("message", "container_sha256"), "0" * 63),
        (("message", "manifest_sha256"), "G" * 64),
        (("log",), KeyError),
        (("log", "index"), "7"),
        (("log", "leaf_sha256"), None),
        (("answer", "more"), 1),
        (("more",), 1),
    ],
)
def test_a_receipt_of_another_form_is_refused(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(EnvelopeError) as refused:
        read_receipt(carrying(changed(path, value), Kind.RECEIPT))
    assert refused.value.code == "envelope.header_invalid"
    assert "receipt.json" in refused.value.detail


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"code":"x","culprit":"sender","retryable":false,"detail":"","message":{},"cure":{}}',
        b'{"code":"a.b","culprit":"me","retryable":false,"detail":"","message":{},"cure":{}}',
        b'{"code":"a.b","culprit":"hub","retryable":0,"detail":"","message":{},"cure":{}}',
        b'{"code":"a.b","culprit":"hub","retryable":true,"detail":"","message":{},"cure":{},"more":1}',
    ],
)
def test_a_fault_of_another_form_is_refused(content: bytes) -> None:
    payload = Payload("fault.json", "application/json", content)

    with pytest.raises(EnvelopeError) as refused:
        read_fault(carrying(payload, Kind.FAULT))
    assert refused.value.code == "envelope.header_invalid"


def test_an_envelope_without_the_notice_is_refused() -> None:
    with pytest.raises(EnvelopeError) as refused:
        read_receipt(request_envelope())
    assert (refused.value.code, refused.value.detail) == ("envelope.member_missing", "payload/receipt.json")
    with pytest.raises(EnvelopeError):
        read_fault(request_envelope())


def test_a_fault_about_an_unreadable_message_is_bound_to_nothing() -> None:
    payload = write_fault(describe_fault(EnvelopeError("envelope.not_a_zip")))

    envelope = open_envelope(fault_about_unreadable([payload], party=PARTY, now=NOW).raw)

    assert verify_signature(envelope).chain == PARTY.key.certificate_chain
    header = envelope.header
    assert (header.kind, header.in_reply_to, header.service) == (Kind.FAULT, None, None)
    assert header.sender == header.recipient == EMPLOYMENT
    assert read_fault(envelope).code == "envelope.not_a_zip"
