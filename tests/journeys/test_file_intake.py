# SPDX-License-Identifier: Apache-2.0
"""Files at OpenSSH's server become messages at a real hub, and what became of them is told in files."""

from __future__ import annotations

import json
import random
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from adapters.queue import LocalQueue
from hub.clock import SystemClock
from hub.demo.preparation import FUND
from hub.envelope import open_envelope
from hub.registry import DeliveryPolicy
from tests.adapters.running import wait_until
from tests.adapters.sftp.openssh import needs_openssh, sshd
from tests.adapters.sftp.pickups import inbox_at
from tests.journeys.test_large import BULK, MIB, RIGHT, SERVICE, a_client
from tests.journeys.test_patterns import NOTICES, SLOW_ECHO, notice, running_offices
from tests.journeys.world import running_world, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.adapters.sftp.pickups import Inbox
    from tests.journeys.test_patterns import Offices
    from tests.journeys.world import World
    from tests.pki import ServedPki

pytestmark = needs_openssh

TABLE = "标题,内容\r\n停水通知,明日停水\r\n,没有标题\r\n放假通知,国庆放假\r\n".encode("gb18030")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with sshd(tmp_path_factory.mktemp("sshd")) as environment:
        yield environment


@pytest.fixture
def offices(world: World, tmp_path: Path) -> Iterator[Offices]:
    with running_offices(world, tmp_path / "offices") as running:
        yield running


@contextmanager
def intake(
    offices: Offices, folder: Path, server: Mapping[str, str], **changes: Any
) -> Iterator[tuple[Inbox, LocalQueue]]:
    with ExitStack() as stack:
        queue = LocalQueue(folder, client_for=offices.client, clock=SystemClock())
        stack.callback(queue.close)
        inbox = stack.enter_context(
            inbox_at(folder, server, client=offices.client(FUND), outgoing=queue, service=NOTICES, **changes)
        )
        yield inbox, queue


def look_until(inbox: Inbox, queue: LocalQueue, report: str) -> Path:
    path = inbox.root / "reports" / report

    def is_there() -> bool:
        queue.work()
        inbox.look()
        return path.exists()

    wait_until(is_there, seconds=60)
    return path


def test_rows_reach_the_department_once_and_the_file_is_acknowledged(
    offices: Offices, server: Mapping[str, str], tmp_path: Path
) -> None:
    with intake(offices, tmp_path, server) as (inbox, queue):
        inbox.put("a.csv", TABLE)
        told = json.loads(look_until(inbox, queue, "a.csv.ack.json").read_bytes())

        assert (told["state"], told["processed"], told["refused"]) == ("partly-refused", 2, 1)
        assert [request["title"] for _, request in offices.desks["labour"].calls] == ["停水通知", "放假通知"]
        assert (inbox.root / "reports" / "a.csv.reject.csv").exists()
        assert inbox.names("archive") == ["a.csv"]


def test_rows_wait_while_the_hub_is_away(offices: Offices, server: Mapping[str, str], tmp_path: Path) -> None:
    with intake(offices, tmp_path, server) as (inbox, _):
        # Nobody works on the queue: as far as it is concerned, the hub is away.
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        assert inbox.names("archive") == ["a.csv"]
        assert offices.desks["labour"].calls == []
    with intake(offices, tmp_path, server) as (inbox, later):
        look_until(inbox, later, "a.csv.ack.json")
        assert len(offices.desks["labour"].calls) == 2


def test_a_message_the_department_has_signed_passes_as_it_is(
    offices: Offices, server: Mapping[str, str], tmp_path: Path
) -> None:
    signed = offices.client(FUND).sign_request(notice("已签名"))
    with intake(
        offices, tmp_path, server, connection__content="container", connection__pattern="*.asice"
    ) as (inbox, queue):
        inbox.put("one.asice", signed.raw)
        inbox.put("two.asice", b"PK\x03\x04 no container")
        told = json.loads(look_until(inbox, queue, "one.asice.ack.json").read_bytes())

        assert told["state"] == "processed"
        assert offices.desks["labour"].ids() == [signed.header.id]
        receipt = open_envelope((inbox.root / "reports" / "one.asice.receipt.asice").read_bytes())
        assert receipt.header.in_reply_to == signed.as_in_reply_to()
        assert (inbox.root / "archive" / "one.asice").read_bytes() == signed.raw
        assert inbox.names("errors") == ["two.asice", "two.asice.reject.json"]


def test_somebody_elses_message_is_not_passed_on(
    offices: Offices, server: Mapping[str, str], tmp_path: Path, world: World
) -> None:
    other = world.request(SLOW_ECHO, sender=next(iter(offices.gateways["labour"].subsystems)))
    with intake(
        offices, tmp_path, server, connection__content="container", connection__pattern="*.asice"
    ) as (inbox, _):
        inbox.put("one.asice", other.raw)
        inbox.look()

        assert inbox.names("errors") == ["one.asice", "one.asice.reject.json"]
    assert offices.desks["labour"].calls == []


def test_a_file_of_any_size_becomes_a_payload_and_goes_on_after_the_hub_was_away(
    pki: ServedPki, server: Mapping[str, str], tmp_path: Path
) -> None:
    size = 40 * MIB
    content = random.Random(7).randbytes(size)  # noqa: S311 - the same bytes every time
    changes: dict[str, Any] = {
        "service": SERVICE,
        "contract": BULK,
        "whole": "file",
        "request": {"object": {"text": "file.name"}},
        "connection__content": "payload",
        "connection__payload": {"name": "data.bin"},
        "connection__pattern": "*.bin",
    }
    with running_world(tmp_path / "world", pki, member_uploads="3", member_upload_bytes="100000000") as world:
        service = service_at(SERVICE, BULK, f"http://127.0.0.1:{free_port()}/messages", 5)
        patient = DeliveryPolicy(first_pause_seconds=900)
        world.hub.registry.apply((replace(service, delivery=patient), RIGHT), by="tests")
        away = a_client(world, url=f"http://127.0.0.1:{free_port()}")
        with inbox_at(tmp_path, server, client=away, **changes) as inbox:
            inbox.put("大文件.bin", content)
            inbox.look(2)
            assert inbox.names("inbox") == ["大文件.bin"]
        with inbox_at(tmp_path, server, client=a_client(world), **changes) as inbox:
            inbox.look()
            time.sleep(0.1)
            inbox.look(2)
            assert inbox.names("archive") == ["大文件.bin"]
        assert world.hub.log.size() == 1
