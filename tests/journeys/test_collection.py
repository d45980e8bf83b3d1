# SPDX-License-Identifier: Apache-2.0
"""A gateway nobody can call: it comes for its messages, and every message has its effect once."""

from __future__ import annotations

import base64
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from adapters.collectedlarge import LargeFetcher
from adapters.collecting import Collected, Collector
from adapters.configuration import ConfiguredAdapter
from adapters.gateway import Gateway
from adapters.hubclient import HubClient, Question
from adapters.inbox import Inbox
from adapters.largedesk import LargeDesk
from adapters.ports import Answer, DeferredError
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.envelope import CONTAINER_MEDIA_TYPE, Party, Purpose, open_envelope
from hub.errors import HubError
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
from hub.registry import DeliveryPolicy, Service, Subscription, SubscriptionId, Title
from hub.trust import OnlineRevocation, Validator
from tests.adapters.running import wait_until
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO
from tests.journeys.test_patterns import LABELS, NOTICE, PROOF_STATUS, PROOFS, subscription, told
from tests.journeys.world import PURPOSE, echo_right

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx2

    from adapters.hubclient import Sent
    from adapters.ports import Call, JsonObject
    from adapters.sources import Probe
    from hub.envelope import Envelope
    from tests.journeys.world import World

COLLECTED = ServiceId(f"{EMPLOYMENT}/collected-echo")
COLLECTED_NOTICES = ServiceId(f"{EMPLOYMENT}/collected-notices")
POLLS = ServiceId(f"{HUB_MEMBER}/hub/collections")
POLL = ContractId("message-collection/v1")
OWN = Purpose(item="own-collections", case="t", legal_basis="t", official="t", post="t")
TIMEOUT_SECONDS = 8


class Desk:
    """A legacy system that notes what it was asked, and may take its time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.promise: DeferredError | None = None

    def answer(self, request: JsonObject, call: Call) -> Answer:
        self.asked.append(call.message_id)
        if self.promise is not None:
            raise self.promise
        assert self.may_go_on.wait(20)
        return Answer({"text": request.get("text", "")})

    def probe(self, seconds: float) -> Probe:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Office:
    """A department behind a firewall."""

    world: World
    folder: Path
    subsystem: SubsystemId = EMPLOYMENT
    desk: Desk = field(default_factory=Desk)
    url: str = ""

    def client(self, subsystem: SubsystemId | None = None) -> HubClient:
        who = subsystem or self.subsystem
        return HubClient(
            url=self.url or self.world.url,
            hub_member=MemberId(HUB_MEMBER),
            party=Party(who, self.world.pki.signer(LABELS[who])),
            validator=self.world.validator,
            contracts=load_contracts(PROJECT / "contracts"),
            clock=SystemClock(),
            http=self.world.http,
        )

    @contextmanager
    def running(self) -> Iterator[Collector]:
        """Run the gateway, as `GatewayProcess` does."""
        with ExitStack() as stack:
            inbox = Inbox(self.folder / "inbox.sqlite")
            stack.callback(inbox.close)
            large = LargeDesk(self.folder / "large")
            stack.callback(large.close)
            services = {COLLECTED: ECHO, COLLECTED_NOTICES: NOTICE, PROOFS: PROOF_STATUS}
            gateway = Gateway(
                subsystems=frozenset({self.subsystem}),
                key=self.world.pki.signer(LABELS[self.subsystem]),
                hub_member=MemberId(HUB_MEMBER),
                services={
                    service: ConfiguredAdapter(service, contract, "desk", 10.0, self.desk)
                    for service, contract in services.items()
                },
                contracts=load_contracts(PROJECT / "contracts"),
                validator=Validator(self.world.pki.approved(), OnlineRevocation()),
                clock=SystemClock(),
                inbox=inbox,
                desk=large,
            )
            stopped = threading.Event()
            client = self.client()
            fetcher = LargeFetcher(gateway=gateway, desk=large, client=client, stopped=stopped)
            collector = Collector(
                gateway=gateway, client=client, fetch_large=fetcher.answer, stopped=stopped, wait_seconds=1
            )
            thread = threading.Thread(target=collector.run)
            thread.start()
            try:
                yield collector
            finally:
                stopped.set()
                self.desk.may_go_on.set()
                thread.join(20)
                assert not thread.is_alive()


def service(id_: ServiceId, contract: ContractId) -> Service:
    return Service(
        id=id_,
        contract=contract,
        timeout_seconds=TIMEOUT_SECONDS,
        titles=Title(zh="取件测试", en="Collected"),
        delivery=DeliveryPolicy(first_pause_seconds=60, longest_pause_seconds=60, breaker_failures=100),
    )


@pytest.fixture
def office(world: World, tmp_path: Path) -> Office:
    world.hub.registry.apply(
        (
            service(COLLECTED, ECHO),
            service(COLLECTED_NOTICES, NOTICE),
            echo_right("fund-asks-collected", FUND, COLLECTED),
            echo_right("fund-sends-collected", FUND, COLLECTED_NOTICES),
        ),
        by="tests",
    )
    return Office(world, tmp_path)


def question(text: str = "你好") -> Question:
    return Question(service=COLLECTED, contract=ECHO, data={"text": text}, purpose=PURPOSE)


def notice(text: str = "申报期") -> Question:
    return Question(
        service=COLLECTED_NOTICES, contract=NOTICE, data={"title": "通知", "text": text}, purpose=PURPOSE
    )


def poll_of(client: HubClient, subsystem: SubsystemId = EMPLOYMENT, **changes: object) -> Envelope:
    asked: dict[str, object] = {
        "service": POLLS,
        "contract": POLL,
        "data": {"subsystems": [subsystem], "held": [], "wait_seconds": 0},
        "purpose": OWN,
        "lifetime": timedelta(minutes=1),
    }
    return client.sign_request(Question(**asked | changes))  # type: ignore[arg-type]  # tests change what they like


def called(world: World, raw: bytes, path: str = "") -> httpx2.Response:
    return world.http.post(
        f"{world.url}/api/v1/collections{path}", content=raw, headers={"Content-Type": CONTAINER_MEDIA_TYPE}
    )


def ended(office: Office, sent: Sent) -> str:
    client = office.client(FUND)
    wait_until(lambda: client.outcome(sent.request, PURPOSE).state in {"processed", "refused"}, seconds=30)
    return client.outcome(sent.request, PURPOSE).state


def test_a_question_is_collected_and_answered_while_its_sender_waits(office: Office) -> None:
    with office.running():
        answers = [office.client(FUND).ask(question(text)) for text in ("一", "二")]
    assert [each.data for each in answers] == [{"text": "一"}, {"text": "二"}]
    assert office.desk.asked == [each.request.header.id for each in answers]


def test_many_senders_wait_at_once_and_each_gets_its_own_answer(office: Office) -> None:
    answers: dict[str, Mapping[str, object]] = {}

    def ask(text: str) -> None:
        answers[text] = office.client(FUND).ask(question(text)).data

    texts = [f"第{number}" for number in range(12)]
    with office.running():
        threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == {text: {"text": text} for text in texts}
    assert len(set(office.desk.asked)) == len(office.desk.asked) == len(texts)


def test_what_waits_in_the_outbox_is_collected_as_soon_as_the_gateway_comes(office: Office) -> None:
    sent = [office.client(FUND).send(notice(str(number))) for number in range(3)]
    outbox = office.world.hub.outbox

    def codes() -> set[str | None]:
        return {outbox.of_message(each.request.header.id)[0].code for each in sent}

    wait_until(lambda: codes() == {"exchange.not_collected"}, seconds=30)
    assert not office.desk.asked
    # Its next attempt would be in a minute; the gateway's coming hastens it.
    with office.running():
        assert {ended(office, each) for each in sent} == {"processed"}
    assert sorted(office.desk.asked) == sorted(each.request.header.id for each in sent)


def test_who_asks_a_gateway_that_does_not_come_is_told_soon(office: Office) -> None:
    began = time.monotonic()
    with pytest.raises(HubError) as refused:
        office.client(FUND).ask(question())
    assert refused.value.code == "exchange.not_collected"
    assert refused.value.is_retryable
    assert time.monotonic() - began < 30


def test_a_promised_answer_is_pushed_and_an_event_is_collected(office: Office) -> None:
    world = office.world
    world.hub.registry.apply(
        (
            replace(service(PROOFS, PROOF_STATUS)),
            echo_right("fund-hears-of-proofs", FUND, PROOFS),
            replace(subscription("fund", FUND, "http://127.0.0.1:1", "proof.*"), gateway_url=None),
        ),
        by="tests",
    )
    subscriber = Office(world, office.folder / "fund", subsystem=FUND)
    with subscriber.running():
        sent = office.client().publish(told(), topic="proof.revoked")
        assert ended_event(office, sent) == "processed"
    assert subscriber.desk.asked == [sent.request.header.id]
    assert (
        Subscription(
            id=SubscriptionId("x"),
            subscriber=FUND,
            service=PROOFS,
            topics=("*",),
            valid_from=world.hub.registry.snapshot.all_of(Subscription)[0].valid_from,
        ).gateway_url
        is None
    )


def ended_event(office: Office, sent: Sent) -> str:
    client = office.client()
    wait_until(lambda: client.outcome(sent.request, PURPOSE).state in {"processed", "refused"}, seconds=30)
    return client.outcome(sent.request, PURPOSE).state


def test_what_was_lost_on_its_way_to_the_gateway_is_handed_out_again(office: Office) -> None:
    """A poll whose answer nobody received: its message is handed out to the next poll, not once more."""
    answers: list[Mapping[str, object]] = []
    asking = threading.Thread(target=lambda: answers.append(office.client(FUND).ask(question()).data))
    asking.start()
    wait_until(lambda: called(office.world, poll_of(office.client()).raw).status_code == 200)
    with office.running():
        asking.join(20)
    assert answers == [{"text": "你好"}]
    assert len(office.desk.asked) == 1


def test_what_a_gateway_says_it_holds_is_not_handed_out_again(office: Office) -> None:
    office.desk.may_go_on.clear()
    answers: list[Mapping[str, object]] = []
    asking = threading.Thread(target=lambda: answers.append(office.client(FUND).ask(question()).data))
    with office.running():
        asking.start()
        wait_until(lambda: office.desk.asked)
        # Longer than what is lost is waited for.
        time.sleep(4)
        office.desk.may_go_on.set()
        asking.join(20)
    assert answers == [{"text": "你好"}]
    assert len(office.desk.asked) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signed_for": FUND, "subsystems": [EMPLOYMENT]}, "access.service_not_owned"),
        ({"service": COLLECTED, "contract": ECHO, "data": {"text": ""}}, "exchange.not_for_us"),
        ({"purpose": PURPOSE}, "exchange.poll_unusable"),
        ({"lifetime": timedelta(minutes=10)}, "exchange.poll_unusable"),
        ({"subsystems": [f"{EMPLOYMENT[:18]}/nothing"]}, "registry.subsystem_unknown"),
    ],
)
def test_a_poll_that_does_not_hold_opens_nothing(
    office: Office, changes: dict[str, object], code: str
) -> None:
    client = office.client(changes.pop("signed_for", EMPLOYMENT))  # type: ignore[arg-type]
    if "subsystems" in changes:
        changes["data"] = {"subsystems": changes.pop("subsystems"), "held": [], "wait_seconds": 0}
    refused = called(office.world, poll_of(client, **changes).raw)  # type: ignore[arg-type]
    assert (refused.json()["code"], refused.status_code // 100) == (code, 4)


def test_a_poll_signed_by_another_member_or_a_bare_token_opens_nothing(office: Office) -> None:
    stolen = replace(office.client(), party=Party(EMPLOYMENT, office.world.pki.signer("federation-sign")))
    assert called(office.world, poll_of(stolen).raw).json()["code"] == "trust.wrong_member"
    bare = office.world.http.post(
        f"{office.world.url}/api/v1/collections", headers={"Authorization": "Bearer anything"}
    )
    assert bare.json()["code"] == "envelope.not_a_zip"


def test_a_poll_opens_the_hub_once(office: Office) -> None:
    poll = poll_of(office.client()).raw
    assert called(office.world, poll).status_code == 204
    replayed = called(office.world, poll)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "exchange.poll_unusable")


def test_only_the_recipients_member_answers_what_was_handed_out(office: Office) -> None:
    world, asked = office.world, []
    asking = threading.Thread(target=lambda: asked.append(refusal(office)))
    asking.start()
    handed = called(world, poll_of(office.client(), data=waiting_poll()).raw)
    number = handed.headers["Heliograph-Collection"]
    request = open_envelope(handed.content)
    stranger = world.answer(request, signed_by="federation-sign", sender=FUND)
    assert called(world, stranger.raw, f"/{number}").json()["code"] == "exchange.answer_not_awaited"
    forged = world.answer(request, signed_by="federation-sign", sender=EMPLOYMENT)
    assert called(world, forged.raw, f"/{number}").json()["code"] == "trust.wrong_member"
    assert called(world, b"nonsense", f"/{number}").json()["code"] == "exchange.answer_unreadable"
    # Its own answer, to something else: whoever waits finds out, and nothing passes.
    other = world.answer(world.request(LABOUR_ECHO))
    assert called(world, other.raw, f"/{number}").status_code == 204
    asking.join(20)
    assert asked == ["exchange.answer_not_bound"]
    late = called(world, world.answer(request).raw, f"/{number}")
    assert (late.status_code, late.json()["code"]) == (409, "exchange.answer_not_awaited")


def waiting_poll() -> dict[str, object]:
    return {"subsystems": [EMPLOYMENT], "held": [], "wait_seconds": 10}


def refusal(office: Office) -> str:
    with pytest.raises(HubError) as refused:
        office.client(FUND).ask(question())
    return refused.value.code


def test_the_gateway_believes_nothing_of_a_hub_that_is_none(office: Office) -> None:
    collected = Collected(number=1, raw=b"x", receipt=base64.b64decode(""), place="http://evil.test/x")
    fetcher = LargeFetcher(gateway=None, desk=None, client=office.client(), stopped=threading.Event())  # type: ignore[arg-type]
    with pytest.raises(HubError) as refused:
        fetcher._url(collected)  # noqa: SLF001 - where a ticket may be shown is decided here alone
    assert refused.value.code == "exchange.answer_unreadable"
