# SPDX-License-Identifier: Apache-2.0
"""A gateway that asks believes nothing of what comes back until it holds, not even from the hub."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import rfc8785
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.hubclient import RECEIPT_HEADER, HubClient, Question
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Kind,
    LogReference,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    open_envelope,
    refer_to,
    reply_to,
    seal_envelope,
    write_fault,
    write_receipt,
)
from hub.errors import ExchangeError, HubError
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId, new_message_id
from hub.trust import OnlineRevocation, Validator
from tests.adapters.running import CONTRACTS, PURPOSE, running_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from hub.envelope import Envelope
    from tests.pki import ServedPki

HUB = SubsystemId("11510108MB1A00001J/hub")
FUND = SubsystemId("13510108MB1A00003J/fund")
EMPLOYMENT = SubsystemId("11510108MB1A00002M/employment")
QUESTION = Question(
    service=ServiceId(f"{EMPLOYMENT}/echo"),
    contract=ContractId("echo/v1"),
    data={"text": "你好"},
    purpose=PURPOSE,
    timeout_seconds=5.0,
)


@dataclass
class LyingHub:
    """Answers as a test tells it to; by itself it tells the truth.

    Attributes:
        body: what it answers a request with.
        receipt: what it adds as the receipt, when there is an answer.
    """

    pki: ServedPki
    body: Callable[[Envelope], Envelope | Response] | None = None
    receipt: Callable[[Envelope, Envelope], bytes | str] | None = None

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/api/v1/messages", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        return await run_in_threadpool(self._respond, open_envelope(await request.body()))

    def _respond(self, request: Envelope) -> Response:
        answer = (self.body or self.answer)(request)
        if isinstance(answer, Response):
            return answer
        receipt = (self.receipt or self.true_receipt)(request, answer)
        encoded = receipt if isinstance(receipt, str) else base64.b64encode(receipt).decode()
        return Response(
            answer.raw, headers={RECEIPT_HEADER: encoded} if encoded else {}, media_type=CONTAINER_MEDIA_TYPE
        )

    def answer(
        self, request: Envelope, *, label: str = "labour-sign", text: object = "你好", **changes: Any
    ) -> Envelope:
        content = rfc8785.dumps({"text": text})  # type: ignore[dict-item]  # may be wrong on purpose
        payload, key = Payload("response.json", "application/json", content), self.pki.signer(label)
        now = SystemClock().now()
        honest = reply_to(request, Kind.RESPONSE, (payload,), party=Party(EMPLOYMENT, key), now=now)
        return seal_envelope(replace(honest.header, **changes), (payload,), key)

    def true_receipt(
        self,
        request: Envelope,
        answer: Envelope,
        *,
        label: str = "hub-sign",
        status: ReceiptStatus = ReceiptStatus.PROCESSED,
    ) -> bytes:
        now = SystemClock().now()
        log = LogReference(origin="log.example", index=0, leaf_sha256="0" * 64)
        receipt = Receipt(status=status, at=now, message=refer_to(request), log=log, answer=refer_to(answer))
        party = Party(HUB, self.pki.signer(label))
        return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=party, now=now).raw

    def fault(self, request: Envelope, *, label: str = "hub-sign", sender: SubsystemId = HUB) -> Envelope:
        payload = write_fault(describe_fault(ExchangeError("exchange.expired", "yesterday")))
        party = Party(sender, self.pki.signer(label))
        return reply_to(request, Kind.FAULT, (payload,), party=party, now=SystemClock().now())


@pytest.fixture(scope="module")
def server(pki: ServedPki) -> Iterator[tuple[LyingHub, HubClient]]:
    hub = LyingHub(pki)
    with running_app(hub.app()) as port, httpx2.Client() as http:
        yield hub, client_of(pki, f"http://127.0.0.1:{port}", http)


@pytest.fixture
def lying(server: tuple[LyingHub, HubClient]) -> Iterator[LyingHub]:
    hub, _ = server
    yield hub
    hub.body = hub.receipt = None


@pytest.fixture
def client(server: tuple[LyingHub, HubClient]) -> HubClient:
    return server[1]


def client_of(pki: ServedPki, url: str, http: httpx2.Client) -> HubClient:
    return HubClient(
        url=url,
        hub_member=MemberId(HUB[:18]),
        party=Party(FUND, pki.signer("federation-sign")),
        validator=Validator(pki.approved(), OnlineRevocation()),
        contracts=load_contracts(CONTRACTS),
        clock=SystemClock(),
        http=http,
    )


def refusal(client: HubClient) -> HubError:
    with pytest.raises(HubError) as refused:
        client.ask(QUESTION)
    return refused.value


def test_a_true_answer_is_believed(lying: LyingHub, client: HubClient) -> None:
    del lying
    answer = client.ask(replace(QUESTION, conversation=(begun := new_message_id(SystemClock().now()))))
    assert answer.data == {"text": "你好"}
    assert answer.request.header.conversation == begun
    assert answer.answered_at == answer.response.header.sent_at


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"label": "labour-revoked"}, "exchange.answer_untrusted"),
        ({"label": "hub-sign"}, "exchange.answer_untrusted"),
        ({"label": "rogue/labour-sign"}, "exchange.answer_untrusted"),
        ({"label": "hub-sign", "sender": HUB}, "exchange.answer_not_bound"),
        ({"recipient": EMPLOYMENT}, "exchange.answer_not_bound"),
        ({"text": 7}, "contract.response_invalid"),
    ],
)
def test_an_answer_the_hub_should_never_have_passed_on_is_refused(
    lying: LyingHub, client: HubClient, changes: dict[str, Any], code: str
) -> None:
    lying.body = lambda request: lying.answer(request, **changes)
    assert refusal(client).code == code


def test_the_answer_to_another_request_is_refused(lying: LyingHub, client: HubClient) -> None:
    earlier = client.ask(QUESTION).response
    lying.body = lambda _request: earlier
    assert refusal(client).code == "exchange.answer_not_bound"


@pytest.mark.parametrize(
    ("receipt", "code"),
    [
        ("", "exchange.answer_unreadable"),
        ("not base64!", "exchange.answer_unreadable"),
        (b"not a container", "exchange.answer_unreadable"),
    ],
)
def test_an_answer_without_a_readable_receipt_is_refused(
    lying: LyingHub, client: HubClient, receipt: bytes | str, code: str
) -> None:
    lying.receipt = lambda _request, _answer: receipt
    assert refusal(client).code == code


def test_a_receipt_the_hub_did_not_sign_is_refused(lying: LyingHub, client: HubClient) -> None:
    lying.receipt = lambda request, answer: lying.true_receipt(request, answer, label="labour-sign")
    assert refusal(client).code == "exchange.answer_untrusted"


def test_a_receipt_of_another_exchange_is_refused(lying: LyingHub, client: HubClient) -> None:
    earlier = client.ask(QUESTION).receipt
    lying.receipt = lambda _request, _answer: earlier.raw
    assert refusal(client).code == "exchange.answer_not_bound"


def test_a_receipt_that_does_not_say_processed_is_refused(lying: LyingHub, client: HubClient) -> None:
    lying.receipt = lambda request, answer: lying.true_receipt(request, answer, status=ReceiptStatus.ACCEPTED)
    assert refusal(client).code == "exchange.answer_not_bound"


def test_an_answer_in_the_receipts_place_is_refused(lying: LyingHub, client: HubClient) -> None:
    lying.receipt = lambda _request, answer: answer.raw
    assert refusal(client).code == "exchange.answer_untrusted"


def test_a_hub_fault_that_is_no_receipt_is_refused_in_its_place(lying: LyingHub, client: HubClient) -> None:
    lying.receipt = lambda request, _answer: lying.fault(request).raw
    assert refusal(client).code == "exchange.answer_unreadable"


def test_the_hubs_fault_is_passed_on(lying: LyingHub, client: HubClient) -> None:
    lying.body = lying.fault
    refused = refusal(client)
    assert (refused.code, refused.detail) == ("exchange.expired", "yesterday")


def test_the_asked_departments_fault_is_passed_on(lying: LyingHub, client: HubClient) -> None:
    lying.body = lambda request: lying.fault(request, label="labour-sign", sender=EMPLOYMENT)
    assert refusal(client).code == "exchange.expired"


@pytest.mark.parametrize(
    ("label", "sender"),
    [("labour-sign", HUB), ("hub-sign", EMPLOYMENT), ("tax-sign", SubsystemId("11510108MB1A00005Y/levy"))],
)
def test_a_fault_of_anybody_else_is_not_believed(
    lying: LyingHub, client: HubClient, label: str, sender: SubsystemId
) -> None:
    lying.body = lambda request: lying.fault(request, label=label, sender=sender)
    assert refusal(client).code == "exchange.answer_untrusted"


def test_a_fault_about_another_message_is_not_believed(lying: LyingHub, client: HubClient) -> None:
    earlier = client.ask(QUESTION).request
    lying.body = lambda _request: lying.fault(earlier)
    assert refusal(client).code == "exchange.answer_not_bound"


def test_a_fault_about_nothing_does_not_answer_a_readable_request(lying: LyingHub, client: HubClient) -> None:
    payload = write_fault(describe_fault(ExchangeError("exchange.internal")))
    party = Party(HUB, lying.pki.signer("hub-sign"))
    lying.body = lambda _request: fault_about_unreadable((payload,), party=party, now=SystemClock().now())
    assert refusal(client).code == "exchange.answer_not_bound"


def test_a_fault_that_cannot_be_read_is_told_apart(lying: LyingHub, client: HubClient) -> None:
    payload, party = (
        Payload("fault.json", "application/json", b"{}"),
        Party(HUB, lying.pki.signer("hub-sign")),
    )
    lying.body = lambda request: reply_to(
        request, Kind.FAULT, (payload,), party=party, now=SystemClock().now()
    )
    assert refusal(client).code == "exchange.answer_unreadable"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(b"garbage", media_type=CONTAINER_MEDIA_TYPE), "exchange.answer_unreadable"),
        (Response("<html>", 502, media_type="text/html"), "exchange.undeliverable"),
        (Response(status_code=307, headers={"Location": "http://127.0.0.1:9/"}), "exchange.undeliverable"),
        (Response(b"\0" * 20_000_000, media_type=CONTAINER_MEDIA_TYPE), "exchange.answer_unreadable"),
    ],
)
def test_what_is_no_container_is_no_answer(
    lying: LyingHub, client: HubClient, response: Response, code: str
) -> None:
    lying.body = lambda _request: response
    assert refusal(client).code == code


def test_a_contract_this_gateway_does_not_know_is_not_asked_for(client: HubClient) -> None:
    with pytest.raises(ExchangeError) as refused:
        client.ask(replace(QUESTION, contract=ContractId("unheard-of/v1")))
    assert refused.value.code == "exchange.contract_mismatch"
