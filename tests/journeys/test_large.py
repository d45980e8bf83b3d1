# SPDX-License-Identifier: Apache-2.0
"""Large messages at the hub's door: announced, sent in pieces, cut off, resumed, lied about."""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from adapters.hubclient import HubClient, Question
from adapters.largesender import LargeSender
from hub.accounts import Role
from hub.clock import SystemClock
from hub.demo.preparation import FUND, PROJECT
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    FilePayload,
    LargeEnvelope,
    ReceiptStatus,
    open_envelope,
    read_container,
    read_fault,
    read_receipt,
)
from hub.errors import ReportedFaultError
from hub.exchange import Tickets
from hub.identifiers import ContractId, ServiceId
from hub.registry import DeliveryPolicy
from hub.tlog import EntryEvent
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.world import PURPOSE, echo_right, running_world, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.journeys.world import World
    from tests.pki import ServedPki

BULK = ContractId("bulk/v1")
SERVICE = ServiceId(f"{EMPLOYMENT}/bulk")
RIGHT = echo_right("fund-sends-bulk", FUND, SERVICE)
MIB = 1024 * 1024
CONTRACTS = PROJECT / "tests" / "adapters" / "bulk" / "contracts"


@pytest.fixture(scope="module")
def large_world(tmp_path_factory: pytest.TempPathFactory, pki: ServedPki) -> Iterator[World]:
    """A hub whose labour bureau takes bulk data, at an address where nobody listens."""
    folder = tmp_path_factory.mktemp("large")
    with running_world(folder, pki, member_uploads="3", member_upload_bytes="100000000") as world:
        service = service_at(SERVICE, BULK, f"http://127.0.0.1:{free_port()}/messages", 5)
        policy = DeliveryPolicy(first_pause_seconds=900)
        world.hub.registry.apply((replace(service, delivery=policy), RIGHT), by="tests")
        yield world


def a_client(world: World, *, signed_by: str = "federation-sign", url: str | None = None) -> HubClient:
    return world.client(signed_by=signed_by, contracts=CONTRACTS, url=url or world.url)


def a_message(
    world: World, folder: Path, size: int = 3 * MIB + 17, *, signed_by: str = "federation-sign"
) -> tuple[LargeEnvelope, dict[str, Path]]:
    file = folder / "data.bin"
    file.write_bytes(random.Random(size).randbytes(size))  # noqa: S311 - the same bytes every time
    sender = LargeSender(client=a_client(world, signed_by=signed_by))
    question = Question(service=SERVICE, contract=BULK, data={"text": "bulk"}, purpose=PURPOSE)
    part = FilePayload.of("data.bin", "application/octet-stream", file)
    return sender.sign(question, [part]), {"data.bin": file}


def announce(world: World, raw: bytes) -> httpx2.Response:
    return world.http.post(f"{world.url}/api/v1/uploads", content=raw)


def patch(
    world: World, place: str, offset: int, content: bytes, *, complete: bool = False
) -> httpx2.Response:
    headers = {"Upload-Offset": str(offset), "Upload-Complete": "?1" if complete else "?0"}
    return world.http.patch(f"{world.url}{place}", content=content, headers=headers)


def fault_of(response: httpx2.Response) -> str:
    assert response.headers["content-type"] == CONTAINER_MEDIA_TYPE, response.text
    return read_fault(open_envelope(response.content)).code


def code_of(response: httpx2.Response) -> str:
    code: str = response.json()["code"]
    return code


def test_a_large_message_is_taken_kept_and_given_back_in_ranges(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path)
    receipt = LargeSender(client=a_client(world), piece_bytes=MIB).send(message, files)
    assert read_receipt(receipt).status is ReceiptStatus.ACCEPTED
    raw = b"".join(read_container(message, files))
    address = f"{world.url}/api/v1/messages/{message.header.id}/request"
    token = world.token(Role.AUDITOR)
    whole = world.http.get(address, headers=token)
    assert (whole.status_code, whole.content) == (200, raw)
    assert open_envelope(whole.content).container_sha256 == message.container_sha256
    some = world.http.get(address, headers=token | {"Range": "bytes=1048570-1048580"})
    assert (some.status_code, some.content) == (206, raw[1048570:1048581])
    assert some.headers["content-range"] == f"bytes 1048570-1048580/{len(raw)}"
    last = world.http.get(address, headers=token | {"Range": "bytes=-7"})
    assert last.content == raw[-7:]
    beyond = world.http.get(address, headers=token | {"Range": f"bytes={len(raw)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(raw)}")
    logged = world.hub.log.entries_of(message.header.id)
    assert [each.entry.event for each in logged] == [EntryEvent.ACCEPTED]


def test_sending_it_again_gives_the_recorded_receipt_without_a_byte(
    large_world: World, tmp_path: Path
) -> None:
    message, files = a_message(large_world, tmp_path)
    sender = LargeSender(client=a_client(large_world))
    first = sender.send(message, files)
    again = announce(large_world, message.raw)
    assert again.status_code == 202
    assert again.content == first.raw


def test_who_may_not_send_is_refused_before_a_byte_moves(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, _ = a_message(world, tmp_path, signed_by="labour-sign")
    size = world.hub.log.size()
    refused = announce(world, message.raw)
    assert (refused.status_code, fault_of(refused)) == (
        403,
        "trust.wrong_member",
    ) or refused.status_code >= 400
    assert fault_of(refused).startswith(("trust.", "envelope."))
    assert world.hub.log.size() == size + 1, "a refusal is logged"
    assert world.hub.archive.find(message.header.id) is None
    revoked, _ = a_message(world, tmp_path)
    world.hub.registry.remove(RIGHT, by="tests")
    try:
        assert fault_of(announce(world, revoked.raw)) == "access.service_not_granted"
    finally:
        world.hub.registry.put(RIGHT, by="tests")


def test_what_is_larger_than_the_contract_allows_is_refused_at_once(
    large_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, _ = a_message(large_world, tmp_path)
    contract = large_world.hub.pipeline.contracts[BULK]
    small = replace(contract, request=tuple(replace(part, max_bytes=MIB) for part in contract.request))
    monkeypatch.setitem(large_world.hub.pipeline.contracts, BULK, small)
    refused = announce(large_world, message.raw)
    fault = read_fault(open_envelope(refused.content))
    assert (fault.code, "part-size" in fault.detail) == ("contract.request_invalid", True)


@pytest.mark.parametrize("garbage", [b"", b"PK\x03\x04", b"x" * 100])
def test_what_is_no_announcement_is_refused_in_words(large_world: World, garbage: bytes) -> None:
    assert fault_of(announce(large_world, garbage)).startswith("envelope.")


def test_a_cut_connection_goes_on_at_the_byte_it_was_cut_at(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, 5 * MIB + 3)
    raw = b"".join(read_container(message, files))
    place = announce(world, message.raw).headers["Location"]
    luck, offset = random.Random(7), 0  # noqa: S311 - the same cuts every time
    for _ in range(10):
        cut = luck.randrange(offset + 1, offset + len(raw) // 11)
        send_and_cut(world, place, offset, len(raw) - offset, raw[offset:cut])
        found = world.http.head(f"{world.url}{place}")
        assert found.status_code == 204
        assert found.headers["Upload-Length"] == str(len(raw))
        # Nothing is sent, but the connection that was cut has ended when this one is answered.
        there = int(patch(world, place, cut, b"").headers["Upload-Offset"])
        assert offset <= there <= cut
        offset = there
    done = patch(world, place, offset, raw[offset:], complete=True)
    assert done.status_code == 202
    assert world.hub.vault.size(message.container_sha256) == len(raw)
    assert b"".join(world.hub.vault.stream(message.container_sha256)) == raw


def send_and_cut(world: World, place: str, offset: int, length: int, content: bytes) -> None:
    """Send the beginning of a body, and vanish once the hub has it."""
    host, _, port = world.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"PATCH {place} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n"
            f"Upload-Offset: {offset}\r\nUpload-Complete: ?0\r\n\r\n"
        )
        connection.sendall(head.encode() + content)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        while connection.recv(4096):
            pass


def test_an_offset_that_is_not_the_right_one_is_told_the_right_one(
    large_world: World, tmp_path: Path
) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, 2 * MIB + 1)
    raw = b"".join(read_container(message, files))
    place = announce(world, message.raw).headers["Location"]
    assert patch(world, place, 0, raw[:1000]).headers["Upload-Offset"] == "1000"
    for wrong in (0, 999, 1001, 10**18):
        refused = patch(world, place, wrong, raw[wrong : wrong + 5])
        assert (refused.status_code, code_of(refused)) == (409, "exchange.upload_offset_mismatch")
        assert refused.headers["Upload-Offset"] == "1000"
    for nonsense in ("-1", "", "1e3", "٣"):
        headers = {b"Upload-Offset": nonsense.encode()}
        assert world.http.patch(f"{world.url}{place}", content=b"x", headers=headers).status_code == 409
    early = patch(world, place, 1000, b"", complete=True)
    assert (early.status_code, code_of(early)) == (409, "exchange.upload_offset_mismatch")
    assert announce(world, message.raw).headers["Upload-Offset"] == "1000", "announcing it again finds it"
    assert patch(world, place, 1000, raw[1000:], complete=True).status_code == 202


def test_other_bytes_than_were_signed_are_refused_and_do_no_harm(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, 2 * MIB + 2)
    raw = b"".join(read_container(message, files))
    place = announce(world, message.raw).headers["Location"]
    wrong = bytearray(raw)
    wrong[MIB] ^= 1
    refused = patch(world, place, 0, bytes(wrong), complete=True)
    assert code_of(refused) == "envelope.payload_mismatch"
    assert refused.headers["Upload-Offset"] == "0"
    more = patch(world, place, 0, raw + b"x", complete=True)
    assert code_of(more) == "envelope.too_large"
    assert patch(world, place, 0, raw, complete=True).status_code == 202


def test_a_member_may_only_have_so_much_under_way(large_world: World, tmp_path: Path) -> None:
    world = large_world
    world.hub.uploads.clean(SystemClock().now() + timedelta(days=8))
    messages = [a_message(world, tmp_path, MIB + number)[0] for number in range(4)]
    answers = [announce(world, message.raw) for message in messages]
    try:
        assert [each.status_code for each in answers] == [201, 201, 201, 429]
        assert code_of(answers[-1]) == "exchange.upload_quota"
    finally:
        later = SystemClock().now() + timedelta(days=8)
        assert world.hub.uploads.clean(later) == 3
    assert world.http.head(f"{world.url}{answers[0].headers['Location']}").status_code == 404


def test_an_upload_nobody_goes_on_with_is_given_up(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, MIB + 9)
    raw = b"".join(read_container(message, files))
    place = announce(world, message.raw).headers["Location"]
    patch(world, place, 0, raw[:5000])
    assert world.hub.uploads.clean(SystemClock().now()) == 0, "it is younger than a day"
    world.hub.uploads.clean(SystemClock().now() + timedelta(days=8))
    gone = patch(world, place, 5000, raw[5000:])
    assert (gone.status_code, code_of(gone)) == (404, "exchange.upload_unknown")
    anew = LargeSender(client=a_client(world)).send(message, files)
    assert read_receipt(anew).status is ReceiptStatus.ACCEPTED


def test_a_second_connection_takes_over_from_one_that_hangs(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, 2 * MIB + 5)
    raw = b"".join(read_container(message, files))
    place = announce(world, message.raw).headers["Location"]
    host, _, port = world.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as hanging:
        head = (
            f"PATCH {place} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(raw)}\r\n"
            "Upload-Offset: 0\r\n\r\n"
        )
        hanging.sendall(head.encode() + raw[: MIB + 100])
        seen = threading.Event()
        while not seen.is_set():
            if int(world.http.head(f"{world.url}{place}").headers["Upload-Offset"]) >= MIB // 2:
                seen.set()
        offset = int(patch(world, place, 0, b"").headers["Upload-Offset"])
        assert offset >= MIB // 2
        assert patch(world, place, offset, raw[offset:], complete=True).status_code == 202


def test_a_fault_of_the_hub_reaches_the_sender_as_what_it_is(large_world: World, tmp_path: Path) -> None:
    message, files = a_message(large_world, tmp_path, MIB)
    large_world.hub.registry.remove(RIGHT, by="tests")
    try:
        with pytest.raises(ReportedFaultError, match="service_not_granted"):
            LargeSender(client=a_client(large_world)).send(message, files)
    finally:
        large_world.hub.registry.put(RIGHT, by="tests")


def test_a_ticket_opens_one_container_only(large_world: World, tmp_path: Path) -> None:
    world = large_world
    message, files = a_message(world, tmp_path, MIB + 77)
    other, other_files = a_message(world, tmp_path, MIB + 78)
    files["data.bin"].write_bytes(random.Random(MIB + 77).randbytes(MIB + 77))  # noqa: S311 - as above
    sender = LargeSender(client=a_client(world))
    sender.send(message, files)
    other_files["data.bin"].write_bytes(random.Random(MIB + 78).randbytes(MIB + 78))  # noqa: S311 - as above
    sender.send(other, other_files)
    tickets = Tickets(world.hub.vault, SystemClock())
    ticket = tickets.issue(message.container_sha256)
    address = f"{world.url}/api/v1/downloads/"

    def status(sha256: str, shown: str) -> int:
        return world.http.get(f"{address}{sha256}", headers={"Authorization": shown}).status_code

    assert status(message.container_sha256, f"Bearer {ticket}") == 200
    assert status(other.container_sha256, f"Bearer {ticket}") == 401
    flipped = bytearray(base64.urlsafe_b64decode(ticket))
    flipped[-1] ^= 1
    for wrong in ("", "Bearer", f"Basic {ticket}", "Bearer é", f"Bearer {ticket[:-4]}"):
        assert world.http.get(
            f"{address}{message.container_sha256}", headers={b"Authorization": wrong.encode("latin-1")}
        ).status_code in {400, 401}
    forged = base64.urlsafe_b64encode(flipped).decode()
    assert status(message.container_sha256, f"Bearer {forged}") == 401
    assert status("0" * 64, f"Bearer {ticket}") == 401
    assert json.loads(world.http.get(f"{address}x").text)["code"] == "access.not_authenticated"
