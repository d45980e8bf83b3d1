# SPDX-License-Identifier: Apache-2.0
"""What no journey can show from outside: failures of the hub itself, and many copies at the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub.clock import SystemClock
from hub.envelope import Payload, open_envelope, read_fault, seal_envelope
from hub.tlog import EntryEvent
from tests.hub.exchange.conftest import sent

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.envelope import Envelope
    from tests.hub.exchange.conftest import Courier
    from tests.pki import ServedPki


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


def test_a_message_of_the_outbox_takes_the_same_steps_but_is_accepted_once(hub: Hub) -> None:
    steps, pipeline = list(hub.pipeline.steps), hub.pipeline
    assert steps[len(pipeline.checks)] == pipeline.recorder.accept
    steps[len(pipeline.checks)] = pipeline.recorder.readmit
    assert list(pipeline.delivering) == steps
