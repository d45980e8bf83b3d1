# SPDX-License-Identifier: Apache-2.0
"""A department is down: what was sent to it waits, is delivered when it is back, and never disappears."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hub.accounts import Role
from hub.cli import main
from hub.clock import SystemClock, format_instant
from hub.demo.preparation import FUND
from hub.envelope import CONTAINER_MEDIA_TYPE, Kind, ReceiptStatus, open_envelope, read_fault, read_receipt
from hub.registry import DeliveryPolicy, Service
from tests.journeys.departments import LABOUR_ECHO
from tests.journeys.serving import serving, wait_for
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from hub.envelope import Envelope
    from tests.journeys.world import World

ASYNC = {"Content-Type": CONTAINER_MEDIA_TYPE, "Prefer": "respond-async, wait=10"}
QUICKLY = DeliveryPolicy(
    first_pause_seconds=0.2, longest_pause_seconds=0.4, tries=1000, breaker_failures=3, breaker_seconds=0.5
)


class Bureau:
    """The labour bureau's gateway, which can be switched off and on."""

    def __init__(self, world: World, port: int) -> None:
        self._world = world
        self._port = port
        self._running = ExitStack()

    def come_up(self) -> None:
        self._running.enter_context(serving(self._world.departments.app(), self._port))

    def go_down(self) -> None:
        self._running.close()


@contextmanager
def absent_bureau(world: World, policy: DeliveryPolicy = QUICKLY) -> Iterator[Bureau]:
    """Let the bureau's echo be at an address where nobody listens yet."""
    registry, port = world.hub.registry, free_port()
    usual = registry.require_entry(Service, LABOUR_ECHO)
    address = f"http://127.0.0.1:{port}/labour/messages"
    registry.put(replace(usual, gateway_url=address, delivery=policy), by="tests")
    bureau = Bureau(world, port)
    try:
        yield bureau
    finally:
        bureau.go_down()
        registry.put(usual, by="tests")


def post(world: World, request: Envelope, headers: dict[str, str] = ASYNC) -> httpx2.Response:
    return world.http.post(f"{world.url}/api/v1/messages", content=request.raw, headers=headers)


def shown(world: World, request: Envelope, more: str = "") -> Any:
    address = f"{world.url}/api/v1/messages/{request.header.id}{more}"
    return world.http.get(address, headers=world.token(Role.GATEWAY, FUND)).json()


def container(world: World, request: Envelope, part: str) -> Envelope:
    address = f"{world.url}/api/v1/messages/{request.header.id}/{part}"
    return open_envelope(world.http.get(address, headers=world.token(Role.GATEWAY, FUND)).content)


def wait_for_state(world: World, request: Envelope, state: str) -> None:
    wait_for(lambda: shown(world, request)["state"] == state)


def test_what_is_sent_while_the_department_is_down_is_answered_when_it_is_back(world: World) -> None:
    request = world.request(text="later")
    with absent_bureau(world) as bureau:
        taken = post(world, request)
        assert taken.status_code == 202
        assert taken.headers["location"] == f"/api/v1/messages/{request.header.id}"
        assert taken.headers["preference-applied"] == "respond-async"
        receipt = open_envelope(taken.content)
        world.signer_of(receipt)
        assert receipt.header.in_reply_to == request.as_in_reply_to()
        assert read_receipt(receipt).status is ReceiptStatus.ACCEPTED
        wait_for(lambda: len(shown(world, request, "/deliveries")[0]["attempts"]) >= 2)
        [waiting] = shown(world, request, "/deliveries")
        assert waiting["state"] in {"waiting", "claimed"}
        assert {each["code"] for each in waiting["attempts"]} == {"exchange.undeliverable"}
        again = post(world, request, {"Content-Type": CONTAINER_MEDIA_TYPE})
        assert (again.status_code, again.content) == (202, taken.content)
        bureau.come_up()
        wait_for_state(world, request, "processed")
    answer = container(world, request, "answer")
    assert (answer.header.kind, answer.header.in_reply_to) == (Kind.RESPONSE, request.as_in_reply_to())
    final = read_receipt(container(world, request, "receipt"))
    assert final.status is ReceiptStatus.PROCESSED
    assert final.answer is not None
    assert final.answer.container_sha256 == answer.container_sha256
    assert [each["state"] for each in shown(world, request, "/deliveries")] == ["done"]
    ended = post(world, request)
    assert (ended.status_code, read_fault(open_envelope(ended.content)).code) == (
        409,
        "exchange.duplicate_message",
    )


def test_what_expires_before_the_department_is_back_is_refused_and_kept(world: World) -> None:
    request = world.request(text="soon", expires_at=SystemClock().now() + timedelta(seconds=2))
    with absent_bureau(world):
        assert post(world, request).status_code == 202
        wait_for_state(world, request, "refused")
    assert shown(world, request)["code"] == "exchange.expired"
    final = read_receipt(container(world, request, "receipt"))
    assert (final.status, final.code) == (ReceiptStatus.REFUSED, "exchange.expired")
    assert read_fault(container(world, request, "answer")).code == "exchange.expired"
    [letter] = letters(world, request)["letters"]
    assert (letter["state"], letter["code"]) == ("dead", "exchange.expired")
    operator = world.token(Role.OPERATOR)
    preview = world.http.post(
        f"{world.url}/api/v1/dead-letters/preview", json={"numbers": [letter["number"]]}, headers=operator
    ).json()
    assert preview == {"can": [], "cannot": [{"number": letter["number"], "code": "exchange.expired"}]}


def letters(world: World, request: Envelope) -> Any:
    address = f"{world.url}/api/v1/dead-letters?message={request.header.id}"
    return world.http.get(address, headers=world.token(Role.OPERATOR)).json()


def test_a_dead_letter_is_replayed_from_the_command_line_once_the_department_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = world.request(text="dead")
    with absent_bureau(world, replace(QUICKLY, tries=2)) as bureau:
        assert post(world, request).status_code == 202
        wait_for_state(world, request, "refused")
        bureau.come_up()
        [listed] = run(monkeypatch, capsys, world, "list", "--message", request.header.id)["letters"]
        assert (listed["code"], listed["attempts"]) == ("exchange.undeliverable", 2)
        assert listed["cure"]["en"]
        chosen = ("--message", request.header.id)
        assert run(monkeypatch, capsys, world, "replay", *chosen, "--dry-run") == {
            "would_replay": 1,
            "skipped": [],
        }
        assert shown(world, request)["state"] == "refused", "a preview changes nothing"
        assert run(monkeypatch, capsys, world, "replay", *chosen) == {"replayed": 1, "skipped": []}
        wait_for_state(world, request, "processed")
    events = [each.event.value for each in world.entries(request)]
    assert events == ["accepted", "failed", "replayed"]
    [sent] = [each for each in world.departments.received if each.header.id == request.header.id]
    assert sent.raw == request.raw
    assert letters(world, request)["total"] == 0


def run(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World, *arguments: str
) -> dict[str, Any]:
    """Run `heliograph dead-letters … --json` as an operator; return what it prints."""
    patch.setenv("HELIOGRAPH_TOKEN", world.token(Role.OPERATOR)["Authorization"].split()[1])
    patch.setattr("sys.argv", ["heliograph", "dead-letters", *arguments, "--json", "--hub", world.url])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    # The hub runs in this process, and its own log lines come along.
    found: dict[str, Any] = json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])[0]
    return found


def test_a_closed_letter_keeps_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = world.request(text="closed")
    with absent_bureau(world, replace(QUICKLY, tries=1)):
        assert post(world, request).status_code == 202
        wait_for_state(world, request, "refused")
    [letter] = letters(world, request)["letters"]
    closing = ("close", str(letter["number"]), "--reason", "sent on paper")
    assert run(monkeypatch, capsys, world, *closing) == {"closed": 1}
    chosen = ("list", "--closed", "--message", request.header.id)
    [closed] = run(monkeypatch, capsys, world, *chosen)["letters"]
    assert (closed["closed_by"], closed["closed_reason"]) == ("李伟", "sent on paper")


def test_a_maintained_service_is_waited_for_and_who_waits_is_told(world: World) -> None:
    operator = world.token(Role.OPERATOR)
    address = f"{world.url}/api/v1/services/{LABOUR_ECHO}/pause"
    until = format_instant(SystemClock().now() + timedelta(hours=1))
    paused = world.http.put(address, json={"reason": "new disks", "until": until}, headers=operator)
    assert paused.status_code == 200, paused.text
    try:
        waiting, request = world.request(text="waiting"), world.request(text="queued")
        reply = world.send(waiting.raw)
        assert reply.fault is not None
        assert (reply.status, reply.fault.code, reply.fault.detail) == (
            503,
            "exchange.service_paused",
            f"until {until}",
        )
        assert post(world, request).status_code == 202
        assert world.http.get(address, headers=operator).json()["reason"] == "new disks"
    finally:
        assert world.http.delete(address, headers=operator).status_code == 204
    wait_for_state(world, request, "processed")
    assert world.http.get(address, headers=operator).json() is None
    assert world.send(waiting.raw).status == 200
