# SPDX-License-Identifier: Apache-2.0
"""What no journey can show from outside: failures of the hub itself, and many copies at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub.app import build_hub
from hub.clock import SystemClock
from hub.demo.preparation import FUND, DemoFolder, prepare
from hub.envelope import Kind, Party, Payload, open_envelope, read_fault, reply_to, seal_envelope
from hub.exchange import ExchangeState, release_interrupted
from hub.registry import load_registry_file
from hub.settings import load_settings
from hub.tlog import EntryEvent
from tests.hub.envelope.signers import header_for
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO
from tests.journeys.world import echo_right, echo_service
from tests.pki import PASSPHRASE, ServedPki

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import Outcome, Pipeline
    from hub.registry import Service


class Courier:
    """A department in this process: it answers, fails, or waits as a test tells it."""

    def __init__(self, pki: ServedPki) -> None:
        self.party = Party(EMPLOYMENT, pki.signer("labour-sign"))
        self.delivered: list[Envelope] = []
        self.failure: Exception | None = None
        self.pause_seconds = 0.0

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes:
        assert receipt.header.in_reply_to == request.as_in_reply_to()
        assert service.id == LABOUR_ECHO
        self.delivered.append(request)
        await asyncio.sleep(self.pause_seconds)
        if self.failure is not None:
            raise self.failure
        payload = Payload("response.json", "application/json", request.payloads["request.json"])
        return reply_to(request, Kind.RESPONSE, (payload,), party=self.party, now=SystemClock().now()).raw


@pytest.fixture
def courier(pki: ServedPki) -> Courier:
    return Courier(pki)


@pytest.fixture
def hub(pki: ServedPki, courier: Courier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), pki)
    settings = load_settings(prepared.folder.hub_config, dict(prepared.environment))
    hub = build_hub(settings, courier=courier)
    entries = load_registry_file(prepared.folder.path / "registry.yaml")
    echo = (echo_service(LABOUR_ECHO, "http://127.0.0.1:9/"), echo_right("echo", FUND, LABOUR_ECHO))
    hub.registry.apply((*entries, *echo), by="tests")
    yield hub
    hub.writer.close()
    hub.engine.dispose()


@pytest.fixture
def request_(pki: ServedPki) -> Envelope:
    from datetime import timedelta

    from hub.identifiers import new_message_id

    now, payload = SystemClock().now(), Payload("request.json", "application/json", b'{"text":"a"}')
    message_id = new_message_id(now)
    header = header_for(
        (payload,),
        id=message_id,
        conversation=message_id,
        sent_at=now,
        expires_at=now + timedelta(minutes=5),
        service=LABOUR_ECHO,
        contract=ECHO,
    )
    return seal_envelope(header, (payload,), pki.signer("federation-sign"))


def sent(pipeline: Pipeline, *requests: Envelope) -> list[Outcome]:
    async def send() -> list[Outcome]:
        now = SystemClock().now()
        return await asyncio.gather(*(pipeline.exchange(each.raw, received_at=now) for each in requests))

    return asyncio.run(send())


def events(hub: Hub, request: Envelope) -> list[tuple[EntryEvent, str | None]]:
    logged = hub.log.entries_of(request.header.id)
    return [(each.entry.event, each.entry.code) for each in logged]


def test_a_failure_nobody_foresaw_is_logged_and_told_without_its_reason(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.failure = RuntimeError("a secret of the hub's inside")
    [outcome] = sent(hub.pipeline, request_)
    fault = read_fault(open_envelope(outcome.container))
    assert (outcome.code, fault.code, fault.detail) == ("exchange.internal", "exchange.internal", "")
    assert fault.is_retryable
    assert events(hub, request_) == [
        (EntryEvent.ACCEPTED, None),
        (EntryEvent.FAILED, "exchange.internal"),
    ]
    courier.failure = None
    assert sent(hub.pipeline, request_)[0].code is None


def test_a_contract_the_hub_does_not_have_is_not_delivered(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    [outcome] = sent(replace(hub.pipeline, contracts={}), request_)
    assert outcome.code == "exchange.contract_mismatch"
    assert courier.delivered == []


def test_of_many_copies_at_the_same_time_one_is_delivered(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    courier.pause_seconds = 0.3
    codes = [outcome.code for outcome in sent(hub.pipeline, *[request_] * 20)]
    assert sorted(map(str, codes)) == ["None", *["exchange.in_progress"] * 19]
    assert len(courier.delivered) == 1
    assert [outcome.code for outcome in sent(hub.pipeline, request_)] == ["exchange.duplicate_message"]
    assert hub.log.check() == hub.log.size() == 22


def test_many_different_messages_at_the_same_time_each_get_their_own_answer(
    hub: Hub, courier: Courier, pki: ServedPki, request_: Envelope
) -> None:
    from hub.identifiers import new_message_id

    requests = []
    for number in range(20):
        payload = Payload("request.json", "application/json", f'{{"text":"{number}"}}'.encode())
        header = replace(
            request_.header, id=new_message_id(SystemClock().now()), payload=(payload.describe(),)
        )
        requests.append(seal_envelope(header, (payload,), pki.signer("federation-sign")))
    outcomes = sent(hub.pipeline, *requests)
    assert len(courier.delivered) == 20
    for request, outcome in zip(requests, outcomes, strict=True):
        answer = open_envelope(outcome.container)
        assert answer.header.in_reply_to == request.as_in_reply_to()
        assert answer.payloads["response.json"] == request.payloads["request.json"]


def test_nothing_is_answered_when_nothing_can_be_written(
    hub: Hub, courier: Courier, request_: Envelope
) -> None:
    hub.writer.close()
    with pytest.raises(RuntimeError, match="closed"):
        sent(hub.pipeline, request_)
    assert courier.delivered == []


def test_only_what_a_crash_cut_off_is_released(hub: Hub, courier: Courier, request_: Envelope) -> None:
    sent(hub.pipeline, request_)
    assert hub.writer.run(release_interrupted) == 0
    assert hub.archive.exchange(request_.header.id).state is ExchangeState.PROCESSED
    assert len(courier.delivered) == 1
