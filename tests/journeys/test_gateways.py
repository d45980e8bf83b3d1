# SPDX-License-Identifier: Apache-2.0
"""A gateway called past the hub: without the hub's receipt for this very request it says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.hubclient import HubClient, Question
from hub.clock import SystemClock
from hub.demo.preparation import FUND, HUB_MEMBER, LABOUR_BUREAU
from hub.envelope import (
    Kind,
    LogReference,
    Party,
    Receipt,
    ReceiptStatus,
    open_envelope,
    read_fault,
    refer_to,
    reply_to,
    write_receipt,
)
from hub.errors import ExchangeError, HubError
from hub.identifiers import SubsystemId
from tests.journeys.departments import ABSENT, ECHO, EMPLOYMENT, FEDERATION_ECHO, LABOUR_ECHO
from tests.journeys.world import PURPOSE
from tests.pki import free_port

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from tests.journeys.world import World

HUB = SubsystemId(f"{HUB_MEMBER}/hub")


def receipt_for(
    world: World,
    request: Envelope,
    *,
    status: ReceiptStatus = ReceiptStatus.ACCEPTED,
    signed_by: str = "hub-sign",
    about: Envelope | None = None,
    sender: SubsystemId = HUB,
) -> bytes:
    """Write a receipt as the hub would, or as a forger would."""
    now = SystemClock().now()
    log = LogReference(origin="log.example/forged", index=0, leaf_sha256="0" * 64)
    code = "exchange.expired" if status is ReceiptStatus.REFUSED else None
    receipt = Receipt(status=status, at=now, message=refer_to(about or request), log=log, code=code)
    party = Party(sender, world.pki.signer(signed_by))
    return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=party, now=now).raw


def called_directly(world: World, request: Envelope, receipt: bytes) -> str | None:
    """Call the labour bureau's gateway past the hub; returns the code of its signed fault."""
    calls = len(world.departments.adapter.calls)
    answer = open_envelope(world.departments.gateways["labour"].answer(request.raw, receipt))
    assert world.signer_of(answer) == LABOUR_BUREAU
    if answer.header.kind is Kind.RESPONSE:
        return None
    assert len(world.departments.adapter.calls) == calls, "the legacy system is not asked"
    return read_fault(answer).code


def test_a_gateway_believes_the_hubs_receipt(world: World) -> None:
    request = world.request()
    assert called_directly(world, request, receipt_for(world, request)) is None


def test_a_gateway_called_without_a_receipt_refuses(world: World) -> None:
    assert called_directly(world, world.request(), b"") == "exchange.not_accepted_by_hub"


@pytest.mark.parametrize(
    "signed_by",
    ["federation-sign", "labour-sign", "rogue/labour-sign", "hub-seal", "labour-revoked"],
)
def test_a_receipt_the_hub_did_not_sign_is_refused(world: World, signed_by: str) -> None:
    request = world.request()
    receipt = receipt_for(world, request, signed_by=signed_by)
    assert called_directly(world, request, receipt) == "exchange.not_accepted_by_hub"


def test_a_receipt_in_another_members_name_is_refused(world: World) -> None:
    request = world.request()
    receipt = receipt_for(world, request, signed_by="federation-sign", sender=FUND)
    assert called_directly(world, request, receipt) == "exchange.not_accepted_by_hub"


@pytest.mark.parametrize("status", [ReceiptStatus.PROCESSED, ReceiptStatus.REFUSED])
def test_a_receipt_that_does_not_say_accepted_is_refused(world: World, status: ReceiptStatus) -> None:
    request = world.request()
    receipt = receipt_for(world, request, status=status)
    assert called_directly(world, request, receipt) == "exchange.not_accepted_by_hub"


def test_the_receipt_of_another_request_is_refused(world: World) -> None:
    request = world.request()
    receipt = receipt_for(world, request, about=world.request(text="another"))
    assert called_directly(world, request, receipt) == "exchange.not_accepted_by_hub"


def test_a_receipt_opens_the_gateway_once(world: World) -> None:
    request = world.request()
    receipt = receipt_for(world, request)
    assert called_directly(world, request, receipt) is None
    assert called_directly(world, request, receipt) == "exchange.not_accepted_by_hub"
    assert called_directly(world, request, receipt_for(world, request)) is None


def test_what_the_hub_signed_about_something_else_is_no_receipt(world: World) -> None:
    refused = world.send(b"nothing").envelope
    assert called_directly(world, world.request(), refused.raw) == "exchange.not_accepted_by_hub"


def test_a_gateway_does_not_take_the_hubs_word_for_the_senders_signature(world: World) -> None:
    request = world.request(signed_by="tax-sign")
    assert called_directly(world, request, receipt_for(world, request)) == "trust.wrong_member"


@pytest.mark.parametrize(
    ("service", "code"),
    [(FEDERATION_ECHO, "exchange.not_for_us"), (f"{EMPLOYMENT}/other", "adapter.service_unknown")],
)
def test_a_gateway_answers_for_its_own_services_only(world: World, service: str, code: str) -> None:
    request = world.request(service)  # type: ignore[arg-type]  # a literal id
    assert called_directly(world, request, receipt_for(world, request)) == code


def asking(world: World, url: str | None = None) -> HubClient:
    """Return what the fund's gateway asks with."""
    return world.client(url=url or world.url)


def question(text: str = "你好") -> Question:
    return Question(service=LABOUR_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE)


def test_a_gateway_that_asks_gets_a_verified_answer(world: World) -> None:
    answer = asking(world).ask(question("问"))
    assert answer.data == {"text": "问"}
    assert world.signer_of(answer.response) == LABOUR_BUREAU
    assert world.signer_of(answer.request) == FUND[:18]
    assert world.signer_of(answer.receipt) == HUB_MEMBER


def test_a_fault_reaches_the_gateway_that_asked_with_the_departments_own_code(world: World) -> None:
    with pytest.raises(HubError) as fault:
        asking(world).ask(question(ABSENT))
    assert fault.value.code == "adapter.record_not_found"


def test_a_hub_nobody_listens_at_is_told_apart(world: World) -> None:
    with pytest.raises(ExchangeError) as refusal:
        asking(world, f"http://127.0.0.1:{free_port()}").ask(question())
    assert refusal.value.code == "exchange.undeliverable"


def test_a_payload_that_is_no_question_is_not_even_signed(world: World) -> None:
    with pytest.raises(HubError) as refusal:
        asking(world).sign_request(
            Question(service=LABOUR_ECHO, contract=ECHO, data={"text": 7}, purpose=PURPOSE)
        )
    assert refusal.value.code == "contract.request_invalid"
