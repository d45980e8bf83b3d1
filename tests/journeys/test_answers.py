# SPDX-License-Identifier: Apache-2.0
"""What a department sends back: only its own answer to this very request reaches the sender."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from starlette.responses import RedirectResponse, Response, StreamingResponse

from hub.clock import SystemClock
from hub.demo.preparation import LABOUR_BUREAU
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Kind,
    Party,
    Payload,
    ReceiptStatus,
    refer_to,
    reply_to,
)
from hub.errors import Culprit
from hub.identifiers import SubsystemId
from hub.registry import Member, MemberStatus
from hub.tlog import EntryEvent
from tests.journeys.departments import ABSENT, BROKEN, EMPLOYMENT, LABOUR_ECHO, REGISTER
from tests.journeys.refusals import refused, require_fault, require_refusal_receipt
from tests.journeys.world import echo_service
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from hub.envelope import Envelope
    from tests.journeys.departments import Script
    from tests.journeys.world import Reply, World

LEVY = SubsystemId("11510108MB1A00005Y/levy")


def cheated(world: World, script: Script, code: str) -> Reply:
    """Have a cheating answer refused, and the same message answered once the department is honest again."""
    request = world.request()
    with world.departments.cheating(script):
        reply = refused(world, request, code, event=EntryEvent.FAILED, deliveries=1)
    require_refusal_receipt(world, reply, request, code)
    assert world.send(request.raw).status == 200, "a failed try never blocks a retry"
    assert [entry.code for entry in world.entries(request)] == [None, code, None]
    return reply


@contextmanager
def reached_at(world: World, address: str | None = None, *, timeout_seconds: int = 1) -> Iterator[None]:
    """Let the labour bureau's echo be somewhere else, or have less time, for a while."""
    registry = world.hub.registry
    usual = registry.require_service(LABOUR_ECHO)
    changed = echo_service(LABOUR_ECHO, address or usual.gateway_url, timeout_seconds)
    registry.put(changed, by="tests")
    try:
        yield
    finally:
        registry.put(usual, by="tests")


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("labour-revoked", "trust.certificate_revoked"),
        ("labour-expired", "trust.certificate_expired"),
        ("labour-not-yet-valid", "trust.certificate_not_yet_valid"),
        ("federation-sign", "trust.wrong_member"),
        ("hub-sign", "trust.wrong_member"),
        ("rogue/labour-sign", "trust.unknown_authority"),
        ("labour-unlisted", "trust.unknown_authority"),
        ("labour-seal", "trust.usage_not_allowed"),
    ],
)
def test_an_answer_whose_certificate_is_not_believed_is_refused(
    world: World, label: str, reason: str
) -> None:
    reply = cheated(
        world, lambda request: world.answer(request, signed_by=label).raw, "exchange.answer_untrusted"
    )
    assert reply.fault is not None
    assert reply.fault.detail.startswith(reason)
    assert reply.fault.culprit is Culprit.RECIPIENT


def test_an_answer_whose_revocation_cannot_be_learned_is_refused_for_now(world: World) -> None:
    cheated(
        world,
        lambda request: world.answer(request, signed_by="labour-unreachable").raw,
        "trust.revocation_unknown",
    )


def test_an_answer_signed_by_a_member_that_takes_no_part_is_refused(world: World) -> None:
    registry = world.hub.registry
    tax = registry.require_entry(Member, LEVY[:18])
    registry.put(replace(tax, status=MemberStatus.SUSPENDED), by="tests")
    try:
        reply = cheated(
            world,
            lambda request: world.answer(request, signed_by="tax-sign", sender=LEVY).raw,
            "exchange.answer_untrusted",
        )
    finally:
        registry.put(tax, by="tests")
    assert reply.fault is not None
    assert reply.fault.detail.startswith("registry.member_inactive")


def test_the_answer_recorded_for_another_request_is_refused(world: World) -> None:
    earlier = world.send(world.request(text="somebody else").raw).envelope
    reply = cheated(world, lambda _request: earlier.raw, "exchange.answer_not_bound")
    assert reply.fault is not None
    assert reply.fault.detail == "in_reply_to"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipient", LEVY),
        ("sender", SubsystemId(f"{LABOUR_BUREAU}/archive")),
        ("service", f"{EMPLOYMENT}/employment-record"),
        ("contract", "employment-record/v1"),
        ("conversation", "01a20571-5218-7f0c-bbcc-68208a5d1bfc"),
    ],
)
def test_an_answer_that_names_something_else_than_was_asked_is_refused(
    world: World, field: str, value: str
) -> None:
    reply = cheated(
        world, lambda request: world.answer(request, **{field: value}).raw, "exchange.answer_not_bound"
    )
    assert reply.fault is not None
    assert reply.fault.detail == field


def test_another_department_cannot_answer_in_its_own_name(world: World) -> None:
    reply = cheated(
        world,
        lambda request: world.answer(request, signed_by="federation-sign", sender=REGISTER).raw,
        "exchange.answer_not_bound",
    )
    assert reply.fault is not None
    assert reply.fault.detail == "sender"


def without_signature(world: World) -> Callable[[Envelope], bytes]:
    from hub.envelope.zipform import read_zip, write_zip

    limits = world.hub.pipeline.limits
    return lambda request: write_zip(read_zip(world.answer(request).raw, limits)[:-1])


def test_an_unsigned_answer_is_refused(world: World) -> None:
    reply = cheated(world, without_signature(world), "exchange.answer_unreadable")
    assert reply.fault is not None
    assert reply.fault.detail.startswith("envelope.member_missing")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" * 100])
def test_an_answer_that_is_no_container_is_refused(world: World, content: bytes) -> None:
    cheated(world, lambda _request: content, "exchange.answer_unreadable")


def test_an_answer_with_a_changed_byte_is_refused(world: World) -> None:
    def changed(request: Envelope) -> bytes:
        raw = bytearray(world.answer(request).raw)
        raw[raw.index("你好".encode())] ^= 1
        return bytes(raw)

    cheated(world, changed, "exchange.answer_unreadable")


def test_a_receipt_in_place_of_an_answer_is_refused(world: World) -> None:
    cheated(world, lambda request: world.answer(request, kind=Kind.RECEIPT).raw, "exchange.answer_unreadable")


def test_an_answer_larger_than_allowed_is_refused_without_being_read_to_its_end(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"\0" * 1_000_000
            await asyncio.sleep(0.001)

    cheated(
        world,
        lambda _request: StreamingResponse(endless(), media_type=CONTAINER_MEDIA_TYPE),
        "exchange.answer_unreadable",
    )


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (Response("<html>maintenance</html>", 503, media_type="text/html"), "HTTP 503"),
        (Response(b"{}", 200, media_type="application/json"), "application/json"),
        (RedirectResponse("http://127.0.0.1:9/elsewhere"), "HTTP 307"),
        (Response(status_code=204), "HTTP 204"),
    ],
)
def test_an_answer_of_another_media_type_counts_as_none(
    world: World, response: Response, detail: str
) -> None:
    reply = cheated(world, lambda _request: response, "exchange.undeliverable")
    assert reply.fault is not None
    assert detail in reply.fault.detail


def test_a_compressed_answer_is_not_unpacked(world: World) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    response = Response(bomb, media_type=CONTAINER_MEDIA_TYPE, headers={"Content-Encoding": "gzip"})
    cheated(world, lambda _request: response, "exchange.answer_unreadable")


def test_a_department_that_is_late_is_not_waited_for(world: World) -> None:
    def late(request: Envelope) -> bytes:
        time.sleep(1.5)
        return world.answer(request).raw

    with reached_at(world):
        cheated_in_time(world, late)


def test_a_department_that_answers_drop_by_drop_is_not_waited_for(world: World) -> None:
    def dripping(request: Envelope) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            for byte in world.answer(request).raw:
                yield bytes([byte])
                await asyncio.sleep(0.05)

        return StreamingResponse(drops(), media_type=CONTAINER_MEDIA_TYPE)

    with reached_at(world):
        cheated_in_time(world, dripping)


def cheated_in_time(world: World, script: Script) -> None:
    begun = time.monotonic()
    request = world.request()
    with world.departments.cheating(script):
        refused(world, request, "exchange.delivery_timeout", event=EntryEvent.FAILED, deliveries=1)
    assert time.monotonic() - begun < 10


def test_a_department_nobody_listens_at_is_undeliverable_and_can_be_tried_again(world: World) -> None:
    request = world.request()
    with reached_at(world, f"http://127.0.0.1:{free_port()}/labour/messages"):
        reply = refused(world, request, "exchange.undeliverable", event=EntryEvent.FAILED)
    require_refusal_receipt(world, reply, request, "exchange.undeliverable")
    assert world.send(request.raw).status == 200


def test_a_department_that_hangs_up_is_undeliverable(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with reached_at(world, f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_seconds=5):
            refused(world, world.request(), "exchange.undeliverable", event=EntryEvent.FAILED)
        thread.join()


def test_an_answer_that_breaks_its_contract_is_refused_by_the_hub(world: World) -> None:
    reply = cheated(world, lambda request: world.answer(request, text=7).raw, "contract.response_invalid")
    assert reply.fault is not None
    assert "/text" in reply.fault.detail
    assert reply.fault.culprit is Culprit.RECIPIENT


def test_a_gateway_notices_itself_that_its_system_breaks_the_contract(world: World) -> None:
    request = world.request(text=BROKEN)
    reply = world.send(request.raw)
    require_fault(reply, "contract.response_invalid")
    assert reply.signer == LABOUR_BUREAU
    assert world.entries(request)[-1].code == "contract.response_invalid"


def test_a_departments_own_fault_passes_unchanged_and_signed_by_the_department(world: World) -> None:
    request = world.request(text=ABSENT)
    sent: list[bytes] = []

    def honest(asked: Envelope) -> bytes:
        gateway = world.departments.gateways["labour"]
        sent.append(gateway.answer(asked.raw, world.departments.receipts[-1]))
        return sent[-1]

    with world.departments.cheating(honest):
        reply = world.send(request.raw)

    fault = require_fault(reply, "adapter.record_not_found")
    assert reply.envelope.raw == sent[0]
    assert reply.signer == LABOUR_BUREAU
    assert fault.detail == "nothing under this text"
    assert reply.receipt is not None
    assert reply.receipt.status is ReceiptStatus.REFUSED
    assert reply.receipt.code == "adapter.record_not_found"
    assert reply.receipt.answer == refer_to(reply.envelope)
    last = world.entries(request)[-1]
    assert (last.event, last.code) == (EntryEvent.FAILED, "adapter.record_not_found")


def fault_with(world: World, content: bytes, *, name: str = "fault.json") -> Script:
    key = world.pki.signer("labour-sign")
    payload = Payload(name, "application/json", content)
    return lambda request: (
        reply_to(request, Kind.FAULT, (payload,), party=Party(EMPLOYMENT, key), now=SystemClock().now()).raw
    )


def fault_json(code: str) -> bytes:
    return (
        f'{{"code":"{code}","culprit":"recipient","retryable":false,"detail":"",'
        '"message":{"en":"no"},"cure":{"en":"none"}}'
    ).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other.json", fault_json("adapter.system_fault")),
        ("fault.json", b"{}"),
        ("fault.json", b"\xff"),
        ("fault.json", fault_json("no code")),
        ("fault.json", fault_json(f"{'a' * 30}.b")),
        ("fault.json", fault_json(f"a.{'b' * 70}")),
    ],
)
def test_a_departments_fault_that_cannot_be_read_is_the_departments_mistake(
    world: World, name: str, content: bytes
) -> None:
    cheated(world, fault_with(world, content, name=name), "exchange.answer_unreadable")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("exchange.duplicate_message", 409),
        ("exchange.in_progress", 409),
        ("exchange.id_reused", 409),
        ("adapter.of_a_later_version", 502),
    ],
)
def test_whatever_a_departments_fault_says_the_exchange_ends_and_can_be_tried_again(
    world: World, code: str, status: int
) -> None:
    request = world.request()
    with world.departments.cheating(fault_with(world, fault_json(code))):
        reply = world.send(request.raw)
    assert reply.fault is not None
    assert (reply.fault.code, reply.signer, reply.status) == (code, LABOUR_BUREAU, status)
    assert world.hub.archive.exchange(request.header.id).state.value == "refused"
    assert world.send(request.raw).status == 200
