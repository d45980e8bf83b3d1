# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.envelope import (
    Envelope,
    InReplyTo,
    Kind,
    LogReference,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    open_envelope,
    refer_to,
    reply_to,
    require_binding,
    require_department_receipt,
    seal_envelope,
    verify_signature,
    write_receipt,
)
from hub.errors import ExchangeError
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from tests.hub.envelope.signers import EMPLOYMENT, FUND, NOW, header_for, request_envelope, throwaway_key

PARTY = Party(EMPLOYMENT, throwaway_key("P-256", "成华区人力资源和社会保障局"))
RESPONSE = Payload("response.json", "application/json", b"{}")
OTHER_ID = MessageId("019ca8a4-5a7b-7000-8000-00000000000f")


def answer(request: Envelope, kind: Kind = Kind.RESPONSE) -> Envelope:
    return open_envelope(reply_to(request, kind, [RESPONSE], party=PARTY, now=NOW).raw)


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.FAULT, Kind.RECEIPT])
def test_a_reply_is_bound_to_its_request(kind: Kind) -> None:
    request = request_envelope()

    reply = answer(request, kind)

    require_binding(reply, request)
    assert verify_signature(reply).chain == PARTY.key.certificate_chain
    header = reply.header
    assert (header.kind, header.sender, header.recipient) == (kind, EMPLOYMENT, FUND)
    assert header.in_reply_to == InReplyTo(id=request.header.id, manifest_sha256=request.manifest_sha256)
    assert header.id != request.header.id
    assert header.expires_at > header.sent_at
    assert header.purpose is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_reply_to", InReplyTo(id=OTHER_ID, manifest_sha256=request_envelope().manifest_sha256)),
        ("in_reply_to", InReplyTo(id=request_envelope().header.id, manifest_sha256="0" * 64)),
        ("sender", SubsystemId("11510108MB1A00002M/other")),
        ("sender", SubsystemId("12510108MB1A00004Q/employment")),
        ("recipient", SubsystemId("13510108MB1A00003J/register")),
        ("service", ServiceId("11510108MB1A00002M/employment/other")),
        ("service", None),
        ("contract", ContractId("disability-employment-proof/v2")),
        ("contract", None),
        ("conversation", OTHER_ID),
    ],
)
def test_an_answer_that_differs_in_one_field_is_refused_naming_the_field(name: str, value: object) -> None:
    request = request_envelope()
    header = replace(answer(request).header, **{name: value})  # type: ignore[arg-type]
    stranger = seal_envelope(header, [RESPONSE], PARTY.key)

    with pytest.raises(ExchangeError) as refused:
        require_binding(open_envelope(stranger.raw), request)

    assert (refused.value.code, refused.value.detail) == ("exchange.answer_not_bound", name)


def test_an_answer_without_in_reply_to_is_refused() -> None:
    request = request_envelope()
    header = replace(answer(request).header, kind=Kind.FAULT, in_reply_to=None)

    with pytest.raises(ExchangeError, match="in_reply_to"):
        require_binding(seal_envelope(header, [RESPONSE], PARTY.key), request)


def test_the_answer_to_a_request_of_the_same_id_but_other_content_is_refused() -> None:
    """The id alone does not bind: who reuses one gets no answer that was meant for another question."""
    request = request_envelope()
    later = request.header.expires_at + timedelta(hours=1)
    payloads = [Payload("request.json", "application/json", b'{"year":2024}')]
    twin = seal_envelope(header_for(payloads, expires_at=later), payloads, throwaway_key())
    assert twin.header.id == request.header.id

    with pytest.raises(ExchangeError, match="in_reply_to"):
        require_binding(answer(twin), request)


HUB = SubsystemId("11510108MB1A00001J/hub")
REGISTER = SubsystemId("13510108MB1A00003J/register")


def department_receipt(
    request: Envelope, *, party: Party = PARTY, about: Envelope | None = None, **changes: object
) -> Envelope:
    """Sign what a department says of a message; everything about it may be changed."""
    said: dict[str, object] = {"status": ReceiptStatus.PROCESSED, "at": NOW, "message": refer_to(request)}
    payload = write_receipt(Receipt(**said | changes))  # type: ignore[arg-type]  # tests change what they like
    return open_envelope(reply_to(about or request, Kind.RECEIPT, [payload], party=party, now=NOW).raw)


def event_envelope() -> Envelope:
    payloads = [Payload("request.json", "application/json", b'{"year":2025}')]
    header = header_for(payloads, kind=Kind.EVENT, topic="proof.revoked", recipient=HUB)
    return seal_envelope(header, payloads, throwaway_key())


def test_a_department_says_that_it_has_worked_on_a_message_or_will() -> None:
    request = request_envelope()
    later = NOW + timedelta(hours=1)

    assert require_department_receipt(department_receipt(request), request).status is ReceiptStatus.PROCESSED
    promise = department_receipt(request, status=ReceiptStatus.DELIVERED, expected_by=later)
    assert require_department_receipt(promise, request).expected_by == later


def test_a_department_s_receipt_about_another_message_counts_for_nothing() -> None:
    request = request_envelope()
    twin_payload = [Payload("request.json", "application/json", b'{"year":2024}')]
    twin = seal_envelope(header_for(twin_payload), twin_payload, throwaway_key())

    for receipt in (department_receipt(twin), department_receipt(request, message=refer_to(twin))):
        with pytest.raises(ExchangeError, match=r"exchange\.answer_not_bound"):
            require_department_receipt(receipt, request)


def test_another_department_s_receipt_counts_for_nothing() -> None:
    request = request_envelope()
    stranger = Party(REGISTER, throwaway_key("P-256", "残联"))

    with pytest.raises(ExchangeError, match=r"exchange\.answer_not_bound: sender"):
        require_department_receipt(department_receipt(request, party=stranger), request)


@pytest.mark.parametrize(
    "changes",
    [
        {"log": LogReference(origin="log.example/2026", index=0, leaf_sha256="0" * 64)},
        {"status": ReceiptStatus.DELIVERED},
        {
            "status": ReceiptStatus.REFUSED,
            "code": "adapter.record_not_found",
            "log": LogReference(origin="log.example/2026", index=0, leaf_sha256="0" * 64),
        },
    ],
    ids=["with a place in a log", "delivered, without a promise", "refused"],
)
def test_a_department_cannot_say_what_only_the_hub_can(changes: dict[str, Any]) -> None:
    request = request_envelope()

    with pytest.raises(ExchangeError, match=r"exchange\.answer_unreadable"):
        require_department_receipt(department_receipt(request, **changes), request)


def test_a_response_is_not_taken_for_a_receipt() -> None:
    request = request_envelope()

    with pytest.raises(ExchangeError, match=r"exchange\.answer_unreadable"):
        require_department_receipt(answer(request), request)


def test_the_receipt_of_a_subscriber_is_bound_to_the_event_and_to_this_subscriber() -> None:
    event = event_envelope()
    subscriber = Party(REGISTER, throwaway_key("P-256", "残联"))
    receipt = department_receipt(event, party=subscriber)

    assert require_department_receipt(receipt, event, answerer=REGISTER).status is ReceiptStatus.PROCESSED
    with pytest.raises(ExchangeError, match=r"exchange\.answer_not_bound: sender"):
        require_department_receipt(receipt, event, answerer=EMPLOYMENT)
    with pytest.raises(ExchangeError, match=r"exchange\.answer_not_bound: sender"):
        require_department_receipt(receipt, event)


def test_a_receipt_may_be_addressed_to_who_gets_it_with_an_event() -> None:
    event = event_envelope()
    hub = Party(HUB, throwaway_key("P-256", "hub"))

    receipt = reply_to(event, Kind.RECEIPT, [RESPONSE], party=hub, now=NOW, recipient=REGISTER)

    assert open_envelope(receipt.raw).header.recipient == REGISTER
