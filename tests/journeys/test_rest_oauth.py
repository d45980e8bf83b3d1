# SPDX-License-Identifier: Apache-2.0
"""A register behind OAuth2 in the place of a SOAP service, by a description alone."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hub.demo.preparation import FUND, LABOUR_BUREAU
from hub.envelope import Payload
from hub.identifiers import ContractId, ServiceId
from tests.adapters.rest.peer import DESCRIPTION, running_peer
from tests.journeys.bureaus import changed_config, running_gateway
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.refusals import require_fault
from tests.journeys.world import echo_right, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.envelope import Envelope
    from tests.journeys.world import World

QUOTA = ServiceId(f"{EMPLOYMENT}/quota-registration")
CONTRACT = ContractId("quota-registration/v1")
KNOWN, UNKNOWN = "123456782", "999999990"


@pytest.fixture(scope="module")
def register(world: World) -> Iterator[World]:
    config = changed_config(world, "labour-bureau", services=[str(DESCRIPTION)], port=free_port())
    with ExitStack() as stack:
        peer = stack.enter_context(running_peer(uses=1))
        gateway = stack.enter_context(running_gateway(world, config, peer.environment))
        right = echo_right("fund-asks-rest-quota", FUND, QUOTA)
        world.hub.registry.apply((service_at(QUOTA, CONTRACT, gateway, 20), right), by="tests")
        yield world


def asked(world: World, number: str) -> Envelope:
    content = json.dumps({"citizen_number": number}).encode()
    return world.request(
        QUOTA, contract=CONTRACT, payloads=(Payload("request.json", "application/json", content),)
    )


def test_every_answer_comes_through_although_every_token_is_refused_after_one(register: World) -> None:
    for _ in range(3):
        reply = register.send(asked(register, KNOWN).raw)
        assert reply.fault is None, reply.fault
        assert reply.signer == LABOUR_BUREAU
        assert json.loads(reply.envelope.payloads["response.json"])["grounds"] == [
            {"ground": "01", "from": "2015-01-01", "to": None}
        ]


def test_a_problem_document_becomes_a_fault_with_its_code(register: World) -> None:
    fault = require_fault(register.send(asked(register, UNKNOWN).raw), "adapter.record_not_found")

    assert UNKNOWN not in fault.detail
