# SPDX-License-Identifier: Apache-2.0
"""One-way messages, promised answers and events through a real hub, its outbox, and gateways over HTTP."""

from __future__ import annotations

import base64
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.configuration import ConfiguredAdapter
from adapters.deferrals import DeferralRunner
from adapters.gateway import Gateway
from adapters.hubclient import RECEIPT_HEADER, HubClient, Question
from adapters.inbox import Inbox
from adapters.ports import Answer, DeferredError
from adapters.sources import Probe
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Kind,
    Party,
    Payload,
    ReceiptStatus,
    open_envelope,
    read_fault,
    read_receipt,
    refer_to,
    reply_to,
    require_department_receipt,
)
from hub.errors import HubError
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
from hub.registry import AccessRight, DeliveryPolicy, Service, Subscription, SubscriptionId, Title
from hub.tlog import EntryEvent
from hub.trust import OnlineRevocation, Validator
from tests.hub.verifier.evidence import zipped
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, REGISTER
from tests.journeys.patterns import department_receipt
from tests.journeys.serving import serving
from tests.journeys.test_bundle_verification import heliograph
from tests.journeys.test_bundles import complete
from tests.journeys.world import PURPOSE, echo_right
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request

    from adapters.hubclient import Sent
    from adapters.ports import Call, JsonObject
    from hub.envelope import Envelope
    from tests.journeys.world import World

NOTICES = ServiceId(f"{EMPLOYMENT}/notices")
NOTICE = ContractId("notice/v1")
SLOW_ECHO = ServiceId(f"{EMPLOYMENT}/slow-echo")
PROOFS = ServiceId(f"{EMPLOYMENT}/proof-status")
PROOF_STATUS = ContractId("proof-status/v1")
REVOKED = {"certificate_number": "1.2.156.X", "status": "revoked", "since": "2026-09-01T02:00:00.000Z"}
LABELS = {FUND: "federation-sign", REGISTER: "federation-sign", EMPLOYMENT: "labour-sign"}


class Desk:
    """A legacy system that notes what it was told, and answers when a test lets it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, JsonObject]] = []
        self.promise: DeferredError | None = None

    def answer(self, request: JsonObject, call: Call) -> Answer:
        self.calls.append((call, request))
        if self.promise is not None:
            raise self.promise
        return Answer({"text": request.get("text", "")})

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        """Nothing is held."""

    def ids(self) -> list[str]:
        return [call.message_id for call, _ in self.calls]


@dataclass
class Offices:
    """The gateways of two departments, each with one desk behind all its services."""

    world: World
    gateways: dict[str, Gateway]
    desks: dict[str, Desk]
    delivered: list[tuple[bytes, bytes]] = field(default_factory=list)
    script: Callable[[Envelope], bytes] | None = None

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{office}/messages", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        raw = await request.body()
        receipt = base64.b64decode(request.headers[RECEIPT_HEADER])
        self.delivered.append((raw, receipt))
        if self.script is not None:
            answer = self.script(open_envelope(raw))
        else:
            gateway = self.gateways[request.path_params["office"]]
            answer = await run_in_threadpool(gateway.answer, raw, receipt)
        return Response(answer, media_type=CONTAINER_MEDIA_TYPE)

    def client(self, subsystem: SubsystemId) -> HubClient:
        return self.world.client(subsystem)

    def runner(self, office: str) -> DeferralRunner:
        return DeferralRunner(gateway=self.gateways[office], client=self.client(EMPLOYMENT))


def gateway(world: World, inbox: Inbox, subsystems: set[SubsystemId], desk: Desk) -> Gateway:
    services = {NOTICES: NOTICE, SLOW_ECHO: ECHO, PROOFS: PROOF_STATUS}
    return Gateway(
        subsystems=frozenset(subsystems),
        key=world.pki.signer(LABELS[min(subsystems)]),
        hub_member=MemberId(HUB_MEMBER),
        services={
            service: ConfiguredAdapter(service, contract, "desk", 10.0, desk)
            for service, contract in services.items()
        },
        contracts=load_contracts(PROJECT / "contracts"),
        validator=Validator(world.pki.approved(), OnlineRevocation()),
        clock=SystemClock(),
        inbox=inbox,
    )


def service(id_: ServiceId, contract: ContractId, address: str) -> Service:
    return Service(
        id=id_,
        contract=contract,
        gateway_url=f"{address}/labour/messages",
        timeout_seconds=10,
        titles=Title(zh="测试", en="Test"),
        delivery=DeliveryPolicy(first_pause_seconds=0.1, tries=2, breaker_failures=100),
    )


def subscription(name: str, subscriber: SubsystemId, address: str, *topics: str) -> Subscription:
    return Subscription(
        id=SubscriptionId(name),
        subscriber=subscriber,
        service=PROOFS,
        topics=topics,
        gateway_url=f"{address}/federation/messages",
        valid_from=date(2026, 1, 1),
    )


@pytest.fixture
def offices(world: World, tmp_path: Path) -> Iterator[Offices]:
    with running_offices(world, tmp_path) as offices:
        yield offices


@contextmanager
def running_offices(world: World, folder: Path) -> Iterator[Offices]:
    desks = {"labour": Desk(), "federation": Desk()}
    inboxes = {name: Inbox(folder / name / "inbox.sqlite") for name in desks}
    gateways = {
        "labour": gateway(world, inboxes["labour"], {EMPLOYMENT}, desks["labour"]),
        "federation": gateway(world, inboxes["federation"], {FUND, REGISTER}, desks["federation"]),
    }
    offices = Offices(world, gateways, desks)
    with serving(offices.app(), free_port()) as address:
        world.hub.registry.apply(
            (
                service(NOTICES, NOTICE, address),
                service(SLOW_ECHO, ECHO, address),
                service(PROOFS, PROOF_STATUS, address),
                echo_right("fund-sends-notices", FUND, NOTICES),
                echo_right("fund-asks-slowly", FUND, SLOW_ECHO),
                echo_right("fund-hears-of-proofs", FUND, PROOFS),
                subscription("fund", FUND, address, "proof.*"),
                # The register has subscribed, and nobody has given it the right.
                subscription("register", REGISTER, address, "*"),
            ),
            by="tests",
        )
        yield offices
    for inbox in inboxes.values():
        inbox.close()


def notice(text: str = "申报期为8月1日至9月30日。") -> Question:
    return Question(service=NOTICES, contract=NOTICE, data={"title": "通知", "text": text}, purpose=PURPOSE)


def slow(text: str = "慢") -> Question:
    return Question(service=SLOW_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE)


def told(**changes: object) -> Question:
    usual: dict[str, object] = {
        "service": PROOFS,
        "contract": PROOF_STATUS,
        "data": REVOKED,
        "purpose": PURPOSE,
    }
    return Question(**usual | changes)  # type: ignore[arg-type]  # tests change what they like


def ended(client: HubClient, sent: Sent, *states: str) -> str:
    """Wait until a message has come to one of these states, or else to its end."""
    deadline = time.monotonic() + 30
    while True:
        outcome = client.outcome(sent.request, PURPOSE)
        if outcome.state in (states or ("processed", "refused")):
            return outcome.state
        assert time.monotonic() < deadline, outcome
        time.sleep(0.1)


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(HubError) as caught:
        ask()
    return caught.value.code


def test_a_one_way_message_ends_with_two_signatures(offices: Offices) -> None:
    client = offices.client(FUND)

    sent = client.send(notice())
    assert sent.status is ReceiptStatus.ACCEPTED
    assert ended(client, sent) == "processed"

    outcome = client.outcome(sent.request, PURPOSE)
    assert outcome.answer is None
    assert outcome.receipt is not None
    final = read_receipt(outcome.receipt)
    assert final.status is ReceiptStatus.PROCESSED
    archive, record = offices.world.hub.archive, offices.world.hub.archive.exchange(sent.request.header.id)
    of_department = open_envelope(archive.container(record.answer_sha256 or ""))
    assert offices.world.signer_of(of_department) == EMPLOYMENT[:18]
    assert require_department_receipt(of_department, sent.request).status is ReceiptStatus.PROCESSED
    assert final.answer == refer_to(of_department)
    assert offices.desks["labour"].ids() == [sent.request.header.id]


def test_a_one_way_message_whoever_waits_is_receipted_and_sent_twice_has_its_effect_once(
    offices: Offices,
) -> None:
    client = offices.client(FUND)
    message = client.sign_request(notice())
    assert refused(lambda: client.submit(message, timeout_seconds=10)) == "exchange.answer_deferred"
    sent = client.send_again(message) if not offices.desks["labour"].calls else None
    if sent is not None:
        assert ended(client, sent) == "processed"
    time.sleep(0.5)
    assert offices.desks["labour"].ids() == [message.header.id]


@pytest.mark.parametrize("cheat", ["response", "another message", "another department"])
def test_what_is_no_receipt_of_the_recipient_for_this_message_ends_nothing(
    offices: Offices, cheat: str
) -> None:
    world, client = offices.world, offices.client(FUND)
    other = client.sign_request(notice("another"))

    def script(request: Envelope) -> bytes:
        labour = Party(EMPLOYMENT, world.pki.signer("labour-sign"))
        stranger = Party(EMPLOYMENT, world.pki.signer("federation-sign"))
        now = SystemClock().now()
        if cheat == "response":
            payload = Payload("response.json", "application/json", b"{}")
            return reply_to(request, Kind.RESPONSE, (payload,), party=labour, now=now).raw
        about = other if cheat == "another message" else request
        party = stranger if cheat == "another department" else labour
        return department_receipt(request, about=about, party=party, now=now).raw

    offices.script = script
    sent = client.send(notice())
    assert ended(client, sent) == "refused"
    assert client.outcome(sent.request, PURPOSE).code in {
        "exchange.answer_unreadable",
        "exchange.answer_not_bound",
        "exchange.answer_untrusted",
    }


def test_a_promised_answer_comes_unasked(offices: Offices) -> None:
    client, desk = offices.client(FUND), offices.desks["labour"]
    desk.promise = DeferredError(timedelta(minutes=5), timedelta(milliseconds=1))
    question = slow()
    message = client.sign_request(question)
    # Who waits is told that the answer comes later.
    assert refused(lambda: client.submit(message, timeout_seconds=20)) == "exchange.answer_deferred"
    outcome = client.outcome(message, PURPOSE)
    assert (outcome.state, outcome.answer) == ("deferred", None)
    assert outcome.expected_by is not None

    runner = offices.runner("labour")
    time.sleep(0.05)
    runner.look()
    assert client.outcome(message, PURPOSE).state == "deferred", "the desk has not finished"
    desk.promise = None
    time.sleep(0.05)
    runner.look()

    outcome = client.outcome(message, PURPOSE)
    assert outcome.state == "processed"
    assert outcome.answer is not None
    assert outcome.answer.data == {"text": "慢"}
    assert set(desk.ids()) == {message.header.id}, "asked again with the same key"
    events = [entry.event for entry in offices.world.entries(message)]
    assert events == [EntryEvent.ACCEPTED]
    calls = len(desk.calls)
    runner.look()
    assert len(desk.calls) == calls, "what the hub has is not owed any more"


def test_an_answer_nobody_awaits_is_refused(offices: Offices) -> None:
    client, labour, desk = offices.client(FUND), offices.client(EMPLOYMENT), offices.desks["labour"]
    desk.promise = DeferredError(timedelta(minutes=5), timedelta(minutes=5))
    message = client.sign_request(slow())
    refused(lambda: client.submit(message, timeout_seconds=20))
    payload = Payload("response.json", "application/json", b'{"text":"x"}')

    def answered(subsystem: SubsystemId, asked: Envelope) -> bytes:
        party = Party(subsystem, offices.world.pki.signer(LABELS[subsystem]))
        return reply_to(asked, Kind.RESPONSE, (payload,), party=party, now=SystemClock().now()).raw

    # Of another department; to another message of that id; to a message that was never there.
    assert labour.push(answered(REGISTER, message)) == "exchange.answer_not_awaited"
    assert labour.push(answered(EMPLOYMENT, client.sign_request(slow()))) == "exchange.answer_not_awaited"
    forged = client.sign_request(Question(**{**vars(slow("other")), "message_id": message.header.id}))
    assert labour.push(answered(EMPLOYMENT, forged)) == "exchange.answer_not_bound"
    assert client.outcome(message, PURPOSE).state == "deferred", "the promise stands"

    assert labour.push(answered(EMPLOYMENT, message)) is None
    assert client.outcome(message, PURPOSE).state == "processed"
    assert labour.push(answered(EMPLOYMENT, message)) == "exchange.answer_not_awaited"


def test_an_event_goes_to_who_subscribed_and_has_the_right(offices: Offices) -> None:
    labour, desk = offices.client(EMPLOYMENT), offices.desks["federation"]

    sent = labour.publish(told(), topic="proof.revoked")

    assert ended(labour, sent) == "processed"
    assert [(call.topic, dict(data)) for call, data in desk.calls] == [("proof.revoked", REVOKED)]
    [delivery] = offices.world.hub.outbox.of_message(sent.request.header.id)
    assert delivery.recipient == FUND
    [(raw, receipt)] = offices.delivered
    assert raw == sent.request.raw, "the same bytes"
    assert open_envelope(receipt).header.recipient == FUND


def test_an_event_nobody_is_sent_is_processed_at_once(offices: Offices) -> None:
    labour = offices.client(EMPLOYMENT)
    sent = labour.publish(told(), topic="other.thing")
    assert ended(labour, sent) == "processed"
    assert offices.delivered == []


def test_nobody_tells_of_another_s_affairs(offices: Offices) -> None:
    assert refused(lambda: offices.client(FUND).publish(told(), topic="proof.revoked")) == (
        "access.service_not_owned"
    )
    labour = offices.client(EMPLOYMENT)
    wrong = told(service=LABOUR_ECHO, contract=ECHO, data={"text": "x"})
    assert refused(lambda: labour.publish(wrong, topic="proof.revoked")) == "exchange.contract_mismatch"
    assert refused(lambda: labour.send(told())) in {
        "access.service_not_granted",
        "exchange.contract_mismatch",
    }


def test_an_event_a_subscriber_cannot_be_told_leaves_the_others_alone(offices: Offices) -> None:
    labour, desk = offices.client(EMPLOYMENT), offices.desks["federation"]
    registry = offices.world.hub.registry
    registry.put(echo_right("register-hears-of-proofs", REGISTER, PROOFS), by="tests")
    entry = registry.require_entry(Subscription, "register")
    nowhere = f"http://127.0.0.1:{free_port()}/"
    registry.put(Subscription(**{**vars(entry), "gateway_url": nowhere}), by="tests")

    sent = labour.publish(told(), topic="proof.revoked")

    assert ended(labour, sent) == "refused"
    assert client_code(labour, sent) == "exchange.undeliverable"
    assert [call.message_id for call, _ in desk.calls] == [sent.request.header.id]
    states = {
        each.recipient: each.code for each in offices.world.hub.outbox.of_message(sent.request.header.id)
    }
    assert states == {FUND: None, REGISTER: "exchange.undeliverable"}
    for kind, name in ((Subscription, "register"), (AccessRight, "register-hears-of-proofs")):
        registry.remove(registry.require_entry(kind, name), by="tests")


def client_code(client: HubClient, sent: Sent) -> str | None:
    return client.outcome(sent.request, PURPOSE).code


def test_a_delivered_event_opens_no_other_gateway_and_this_one_only_once(offices: Offices) -> None:
    labour = offices.client(EMPLOYMENT)
    sent = labour.publish(told(), topic="proof.revoked")
    assert ended(labour, sent) == "processed"
    [(raw, receipt)] = offices.delivered

    again = open_envelope(offices.gateways["federation"].answer(raw, receipt))
    assert read_fault(again).code == "exchange.not_accepted_by_hub"
    elsewhere = open_envelope(offices.gateways["labour"].answer(raw, receipt))
    assert read_fault(elsewhere).code == "exchange.not_for_us"
    assert len(offices.desks["federation"].calls) == 1


def test_the_outcome_of_a_message_is_told_to_its_sender_only(offices: Offices) -> None:
    sent = offices.client(FUND).send(notice())
    for stranger in (EMPLOYMENT, REGISTER):
        client = offices.client(stranger)
        assert refused(lambda client=client: client.outcome(sent.request, PURPOSE)) == (  # type: ignore[misc]
            "exchange.message_unknown"
        )


def test_the_bundles_of_all_three_patterns_are_valid(offices: Offices, tmp_path: Path) -> None:
    world, client, labour = offices.world, offices.client(FUND), offices.client(EMPLOYMENT)
    desk = offices.desks["labour"]
    one_way, event = client.send(notice()), labour.publish(told(), topic="proof.revoked")
    assert ended(client, one_way) == ended(labour, event) == "processed"
    desk.promise = DeferredError(timedelta(minutes=5), timedelta(milliseconds=1))
    deferred = client.sign_request(slow())
    refused(lambda: client.submit(deferred, timeout_seconds=20))
    desk.promise = None
    time.sleep(0.05)
    offices.runner("labour").look()
    (tmp_path / "signer.pem").write_bytes(world.pki.trust_list_signer.read_bytes())

    for message in (one_way.request, event.request, deferred):
        bundle = complete(world, f"/api/v1/messages/{message.header.id}/evidence")
        (tmp_path / "policy.txt").write_bytes(bundle.files["log/policy.txt"])
        (tmp_path / "bundle.zip").write_bytes(zipped(bundle.files))
        trust: list[str | Path] = [
            "--trust-list-signer",
            tmp_path / "signer.pem",
            "--log-policy",
            tmp_path / "policy.txt",
        ]
        done = heliograph(tmp_path / "bundle.zip", *trust)
        assert done.returncode == 0, done.stdout
        assert done.stdout.startswith("bundle.zip (evidence bundle): VALID")
