# SPDX-License-Identifier: Apache-2.0
"""Who may ask what, for which purpose, in which words; and an administrator who changes it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hub.accounts import Role
from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.demo.preparation import FUND
from hub.envelope import Payload, Purpose
from hub.errors import Culprit
from hub.identifiers import ServiceId, SubsystemId
from hub.registry import AccessRight, Registry
from tests.journeys.departments import EMPLOYMENT, FEDERATION_ECHO, LABOUR_ECHO, REGISTER
from tests.journeys.refusals import refused, require_refusal_receipt
from tests.journeys.serving import wait_for
from tests.journeys.world import PURPOSE, echo_right

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.world import World

RIGHTS = "/api/v1/access-rights"


@pytest.mark.parametrize(
    ("sender", "service", "code"),
    [
        (FUND, FEDERATION_ECHO, "access.service_not_granted"),
        (EMPLOYMENT, LABOUR_ECHO, "access.service_not_granted"),
        (REGISTER, LABOUR_ECHO, "access.service_not_granted"),
        (FUND, ServiceId(f"{EMPLOYMENT}/unheard-of"), "registry.service_unknown"),
        (SubsystemId(f"{FUND[:18]}/unheard-of"), LABOUR_ECHO, "registry.subsystem_unknown"),
    ],
)
def test_a_sender_without_the_right_is_refused(
    world: World, sender: SubsystemId, service: ServiceId, code: str
) -> None:
    request = world.request(service, sender=sender)
    reply = refused(world, request, code)
    require_refusal_receipt(world, reply, request, code)


def test_a_purpose_that_was_not_granted_is_refused(world: World) -> None:
    request = world.request(purpose=replace(PURPOSE, item="000114001000"))
    reply = refused(world, request, "access.purpose_not_allowed")
    require_refusal_receipt(world, reply, request, "access.purpose_not_allowed")


def test_a_request_addressed_to_another_department_than_the_services_is_refused(world: World) -> None:
    refused(world, world.request(recipient=REGISTER), "exchange.wrong_recipient")


def test_a_request_in_the_words_of_another_contract_is_refused(world: World) -> None:
    reply = refused(world, world.request(contract="employment-record/v1"), "exchange.contract_mismatch")
    assert reply.fault is not None
    assert "echo/v1" in reply.fault.detail


def json_payload(content: bytes, *, name: str = "request.json") -> tuple[Payload, ...]:
    return (Payload(name, "application/json", content),)


@pytest.mark.parametrize(
    ("payloads", "said"),
    [
        (json_payload(b"{}"), "required"),
        (json_payload(b'{"text":7}'), "/text"),
        (json_payload(b'{"text":"a","more":"b"}'), ""),
        (json_payload(b'{"text":"a","text":"b"}'), ""),
        (json_payload(b"not JSON"), ""),
        (json_payload(b'{"text":"a"}', name="other.json"), ""),
        ((*json_payload(b'{"text":"a"}'), *json_payload(b"{}", name="more.json")), "part-unexpected"),
        ((Payload("request.json", "text/plain", b'{"text":"a"}'),), "part-media-type"),
    ],
)
def test_a_request_that_breaks_its_contract_is_refused(
    world: World, payloads: tuple[Payload, ...], said: str
) -> None:
    request = world.request(payloads=payloads)
    reply = refused(world, request, "contract.request_invalid")
    assert reply.fault is not None
    assert said in reply.fault.detail
    assert reply.fault.culprit is Culprit.SENDER
    require_refusal_receipt(world, reply, request, "contract.request_invalid")


def test_a_refused_request_may_be_sent_again_once_it_is_allowed(world: World) -> None:
    """The same signed message, the same id: first without the right, then with it, then without again."""
    administrator = world.token(Role.ADMINISTRATOR)
    name, service = "fund-asks-federation", FEDERATION_ECHO
    right: dict[str, Any] = {
        "id": name,
        "consumer": FUND,
        "service": service,
        "purposes": [PURPOSE.item],
        "legal_basis": "测试",
        "valid_from": "2026-01-01",
    }
    request = world.request(service)
    refused(world, request, "access.service_not_granted")

    put = world.http.put(f"{world.url}{RIGHTS}/{name}", json=right, headers=administrator)
    assert put.status_code == 201, put.text
    assert world.send(request.raw).status == 200

    assert world.http.delete(f"{world.url}{RIGHTS}/{name}", headers=administrator).status_code == 204
    refused(world, world.request(service), "access.service_not_granted")
    made = world.http.get(f"{world.url}/api/v1/registry-changes?limit=500", headers=administrator).json()
    assert [(row["action"], row["by"]) for row in made if row["id"] == name] == [
        ("add", "李伟"),
        ("remove", "李伟"),
    ]


def test_a_right_entered_beside_the_running_hub_takes_effect_soon(world: World) -> None:
    """As `heliograph registry apply` does it: another process, the same database."""
    request = world.request(FEDERATION_ECHO)
    refused(world, request, "access.service_not_granted")
    right = echo_right("fund-asks-federation", FUND, FEDERATION_ECHO)
    with beside(world) as registry:
        registry.put(right, by="command line")
        wait_for(lambda: right in world.hub.registry.snapshot.all_of(AccessRight))
        assert world.send(request.raw).status == 200
        registry.remove(right, by="command line")
        wait_for(lambda: right not in world.hub.registry.snapshot.all_of(AccessRight))
    refused(world, world.request(FEDERATION_ECHO), "access.service_not_granted")


@contextmanager
def beside(world: World) -> Iterator[Registry]:
    engine = open_database(str(world.hub.engine.url))
    writer = Writer(engine)
    try:
        yield Registry(engine, writer, SystemClock())
    finally:
        writer.close()
        engine.dispose()


def test_a_narrowed_purpose_takes_effect_with_the_next_request(world: World) -> None:
    administrator = world.token(Role.ADMINISTRATOR)
    address = f"{world.url}{RIGHTS}/fund-asks-echo"
    usual = world.http.get(address, headers=administrator).json()
    other = Purpose(**{**_fields(PURPOSE), "item": "000114001000"})
    assert world.send(world.request().raw).status == 200
    world.http.put(address, json={**usual, "purposes": [other.item]}, headers=administrator)
    try:
        refused(world, world.request(), "access.purpose_not_allowed")
        assert world.send(world.request(purpose=other).raw).status == 200
    finally:
        world.http.put(address, json=usual, headers=administrator)
    assert world.send(world.request().raw).status == 200


def test_a_right_that_has_ended_is_none(world: World) -> None:
    administrator = world.token(Role.ADMINISTRATOR)
    address = f"{world.url}{RIGHTS}/fund-asks-echo"
    usual = world.http.get(address, headers=administrator).json()
    world.http.put(address, json={**usual, "valid_until": "2026-01-02"}, headers=administrator)
    try:
        refused(world, world.request(), "access.service_not_granted")
    finally:
        world.http.put(address, json=usual, headers=administrator)


def _fields(purpose: Purpose) -> dict[str, str]:
    names = ("item", "case", "legal_basis", "official", "post")
    return {name: getattr(purpose, name) for name in names}
