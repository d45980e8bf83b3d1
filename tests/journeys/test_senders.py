# SPDX-License-Identifier: Apache-2.0
"""Who may send at all: certificates, members, times, and what has been sent before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import SystemClock
from hub.demo.preparation import FUND, HUB_MEMBER
from hub.envelope import Kind, ReceiptStatus, open_envelope, read_receipt, refer_to
from hub.errors import Culprit
from hub.exchange import EARLIER_RECEIPT_NAME
from hub.identifiers import MemberId
from hub.registry import Member, MemberStatus
from hub.tlog import EntryEvent
from tests.journeys.departments import EMPLOYMENT, FEDERATION_ECHO, LABOUR_ECHO
from tests.journeys.refusals import refused, require_fault, require_refusal_receipt

if TYPE_CHECKING:
    from tests.journeys.world import World

MINUTE = timedelta(minutes=1)


def test_an_honest_request_is_answered_by_the_department_and_receipted_by_the_hub(world: World) -> None:
    request = world.request(text="成华区")
    reply = world.send(request.raw)

    assert reply.status == 200
    assert reply.envelope.header.kind is Kind.RESPONSE
    assert reply.signer == LABOUR_ECHO[:18]
    assert reply.envelope.payloads == {"response.json": '{"text":"成华区"}'.encode()}
    assert reply.receipt is not None
    assert reply.receipt.status is ReceiptStatus.PROCESSED
    assert reply.receipt.message == refer_to(request)
    assert reply.receipt.answer == refer_to(reply.envelope)
    assert [entry.event for entry in world.entries(request)] == [EntryEvent.ACCEPTED]
    assert reply.receipt.log is not None
    answered = world.hub.log.entry(reply.receipt.log.index).entry
    assert (answered.event, answered.message_id) == (EntryEvent.ANSWERED, reply.envelope.header.id)
    assert world.departments.received[-1].raw == request.raw, "the hub changes nothing"


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("labour-revoked", "trust.certificate_revoked"),
        ("labour-revoked-crl-only", "trust.certificate_revoked"),
        ("labour-expired", "trust.certificate_expired"),
        ("labour-not-yet-valid", "trust.certificate_not_yet_valid"),
        ("tax-sign", "trust.wrong_member"),
        ("hub-sign", "trust.wrong_member"),
        ("no-member-sign", "trust.wrong_member"),
        ("rogue/labour-sign", "trust.unknown_authority"),
        ("labour-unlisted", "trust.unknown_authority"),
        ("labour-seal", "trust.usage_not_allowed"),
        ("labour-unreachable", "trust.revocation_unknown"),
        ("labour-silent", "trust.revocation_unknown"),
    ],
)
def test_a_sender_whose_certificate_is_not_believed_is_refused(world: World, label: str, code: str) -> None:
    request = world.request(FEDERATION_ECHO, sender=EMPLOYMENT, signed_by=label)
    reply = refused(world, request, code)
    assert reply.receipt is None, "who has not shown who it is gets no receipt"


def test_the_true_sender_may_use_the_id_that_a_forger_tried(world: World) -> None:
    forged = world.request(FEDERATION_ECHO, sender=EMPLOYMENT, signed_by="labour-revoked")
    refused(world, forged, "trust.certificate_revoked")
    true = world.request(
        FEDERATION_ECHO, sender=EMPLOYMENT, id=forged.header.id, conversation=forged.header.id
    )
    assert world.send(true.raw).status == 200


def test_a_replayed_message_is_delivered_once_and_gets_the_first_tries_receipt(world: World) -> None:
    request = world.request(text="once")
    first = world.send(request.raw)
    assert first.status == 200

    reply = refused(world, request, "exchange.duplicate_message", event=EntryEvent.DUPLICATE)

    attached = open_envelope(reply.envelope.payloads[EARLIER_RECEIPT_NAME])
    assert world.signer_of(attached) == HUB_MEMBER
    assert read_receipt(attached) == first.receipt
    assert reply.receipt == first.receipt


def test_an_id_used_again_for_other_content_is_refused_without_the_first_ones_receipt(world: World) -> None:
    first = world.request(text="the first")
    assert world.send(first.raw).status == 200
    second = world.request(text="the second", id=first.header.id, conversation=first.header.id)

    reply = refused(world, second, "exchange.id_reused", event=EntryEvent.DUPLICATE)

    assert EARLIER_RECEIPT_NAME not in reply.envelope.payloads
    assert reply.receipt is None
    record = world.hub.archive.exchange(first.header.id)
    assert (record.state.value, record.request_sha256) == ("processed", first.container_sha256)


def test_a_message_from_the_future_is_refused(world: World) -> None:
    later = SystemClock().now() + 10 * MINUTE
    request = world.request(sent_at=later, expires_at=later + MINUTE)
    refused(world, request, "exchange.from_the_future")


def test_a_clock_a_little_ahead_is_tolerated(world: World) -> None:
    later = SystemClock().now() + 4 * MINUTE
    assert world.send(world.request(sent_at=later, expires_at=later + MINUTE).raw).status == 200


def test_an_expired_message_is_refused(world: World) -> None:
    now = SystemClock().now()
    request = world.request(sent_at=now - 20 * MINUTE, expires_at=now - 10 * MINUTE)
    refused(world, request, "exchange.expired")


def test_what_is_no_container_is_refused_with_a_signed_fault_that_names_nobody(world: World) -> None:
    size = world.hub.log.size()
    reply = world.send(b"PK but not really")
    require_fault(reply, "envelope.not_a_zip")
    assert reply.signer == HUB_MEMBER
    assert reply.envelope.header.in_reply_to is None
    logged = world.hub.log.entry(size).entry
    assert (logged.event, logged.code) == (EntryEvent.REFUSED, "envelope.not_a_zip")
    assert (logged.message_id, logged.sender) == (None, None)


def test_a_container_larger_than_allowed_is_refused_without_being_read_to_its_end(world: World) -> None:
    most = world.hub.pipeline.limits.container_bytes
    require_fault(world.send(b"\0" * (most + 1000)), "envelope.too_large")


def test_a_signature_of_another_message_is_refused(world: World) -> None:
    from hub.envelope.zipform import read_zip, write_zip

    request, other = world.request(text="one"), world.request(text="two")
    limits = world.hub.pipeline.limits
    members = [*read_zip(request.raw, limits)[:-1], read_zip(other.raw, limits)[-1]]
    forged = open_envelope(write_zip(tuple(members)))
    refused(world, forged, "envelope.digest_mismatch")


def test_an_answer_sent_as_if_it_were_a_request_is_refused(world: World) -> None:
    request = world.request()
    answer = world.send(request.raw).envelope
    reply = world.send(answer.raw)
    # It is taken for one that a department pushes, and nobody waits for it.
    require_fault(reply, "exchange.answer_not_awaited")
    assert reply.signer == HUB_MEMBER


def test_a_suspended_member_is_refused_and_heard_again_when_it_is_back(world: World) -> None:
    registry = world.hub.registry
    active = registry.require_entry(Member, FUND[:18])
    request = world.request()
    registry.put(replace(active, status=MemberStatus.SUSPENDED), by="tests")
    try:
        refused(world, request, "registry.member_inactive")
    finally:
        registry.put(active, by="tests")
    assert world.send(request.raw).status == 200


def test_a_suspended_member_is_not_asked_either(world: World) -> None:
    registry = world.hub.registry
    active = registry.require_entry(Member, MemberId(LABOUR_ECHO[:18]))
    request = world.request()
    registry.put(replace(active, status=MemberStatus.SUSPENDED), by="tests")
    try:
        reply = refused(world, request, "registry.member_inactive")
    finally:
        registry.put(active, by="tests")
    require_refusal_receipt(world, reply, request, "registry.member_inactive")
    assert reply.fault is not None
    assert reply.fault.culprit is Culprit.SENDER
