# SPDX-License-Identifier: Apache-2.0
"""The labour bureau's system exchanged for one whose WSDL is really in use, by a description alone."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.demo.preparation import FEDERATION, FUND, HUB_MEMBER, LABOUR_BUREAU
from hub.envelope import Payload
from hub.identifiers import ContractId, ServiceId
from tests.adapters.quota.stand_in import QUOTA_WSDL, REGISTERED, UNKNOWN, quota_app, quota_environment
from tests.adapters.running import running_app
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
DESCRIPTION = Path(__file__).parents[1] / "adapters" / "quota" / "quota.yaml"

pytestmark = pytest.mark.skipif(not QUOTA_WSDL.exists(), reason="needs the Dutch WSDL in ../shared/data")


@pytest.fixture(scope="module")
def quota(world: World) -> Iterator[World]:
    config = changed_config(world, "labour-bureau", services=[str(DESCRIPTION)], port=free_port())
    registry = world.hub.registry
    right = echo_right("fund-asks-quota", FUND, QUOTA)
    with ExitStack() as stack:
        port = stack.enter_context(running_app(quota_app()))
        gateway = stack.enter_context(running_gateway(world, config, quota_environment(port)))
        registry.apply((service_at(QUOTA, CONTRACT, gateway, 20), right), by="tests")
        yield world


def asked(world: World, number: str) -> Envelope:
    content = json.dumps({"citizen_number": number}).encode()
    return world.request(
        QUOTA, contract=CONTRACT, payloads=(Payload("request.json", "application/json", content),)
    )


def test_a_registration_comes_through_the_same_pipeline_signed_by_the_labour_bureau(quota: World) -> None:
    request = asked(quota, REGISTERED)
    reply = quota.send(request.raw)
    assert reply.fault is None, reply.fault
    assert reply.signer == LABOUR_BUREAU
    data = json.loads(reply.envelope.payloads["response.json"])
    assert data.pop("retrieved_at")
    assert data == {
        "citizen_number": REGISTERED,
        "registered_until": None,
        "grounds": [{"ground": "01", "from": "2015-01-01", "to": None}],
    }
    assert reply.receipt is not None
    record = quota.hub.archive.exchange(request.header.id)
    assert (record.state.value, record.sender[:18]) == ("processed", FEDERATION)


def test_somebody_the_register_does_not_know_is_told_apart(quota: World) -> None:
    reply = quota.send(asked(quota, UNKNOWN).raw)
    fault = require_fault(reply, "adapter.record_not_found")
    assert reply.signer == LABOUR_BUREAU != HUB_MEMBER
    assert UNKNOWN not in fault.detail
