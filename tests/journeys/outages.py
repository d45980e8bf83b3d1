# SPDX-License-Identifier: Apache-2.0
"""A department that is down, messages that wait for it, and dead letters."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import Response

from hub.envelope import CONTAINER_MEDIA_TYPE, Kind, open_envelope
from hub.outbox import DeliveryState
from hub.registry import DeliveryPolicy, Service
from tests.journeys.departments import LABOUR_ECHO
from tests.journeys.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hub.envelope import Envelope
    from hub.identifiers import ServiceId
    from hub.outbox import Delivery
    from tests.journeys.world import World

HASTY = DeliveryPolicy(first_pause_seconds=0.05, factor=1.5, tries=3, breaker_failures=1000)
"""Gives up within a moment."""


def set_policy(world: World, policy: DeliveryPolicy, service: ServiceId = LABOUR_ECHO) -> None:
    """Change how hard the hub tries to deliver to a service."""
    known = world.hub.registry.snapshot.find(Service, service)
    assert known is not None
    world.hub.registry.apply((replace(known, delivery=policy),), by="tests")


def queue(world: World, **changes: object) -> Envelope:
    """Send a request whose sender does not wait for the answer."""
    request = world.request(**changes)  # type: ignore[arg-type]  # as World.request takes them
    response = world.http.post(
        f"{world.url}/api/v1/messages",
        content=request.raw,
        headers={"Content-Type": CONTAINER_MEDIA_TYPE, "Prefer": "respond-async"},
    )
    assert response.status_code == 202, response.content
    assert open_envelope(response.content).header.kind is Kind.RECEIPT
    return request


@contextmanager
def department_down(world: World) -> Iterator[None]:
    """Let the departments' gateways answer nothing but 503."""
    with world.departments.cheating(lambda _: Response(status_code=503)):
        yield


def delivery_of(world: World, request: Envelope) -> Delivery:
    """Return where a message stands on its way."""
    [delivery] = world.hub.outbox.of_message(request.header.id)
    return delivery


def wait_until(world: World, requests: Sequence[Envelope], state: DeliveryState) -> None:
    """Wait until all of some messages stand so."""
    wait_for(lambda: all(delivery_of(world, each).state is state for each in requests))


def make_dead(world: World, count: int = 1, **changes: object) -> list[Envelope]:
    """Make dead letters: the department is down for as long as the hub tries."""
    set_policy(world, HASTY)
    with department_down(world):
        requests = [queue(world, **changes) for _ in range(count)]
        wait_until(world, requests, DeliveryState.DEAD)
    set_policy(world, DeliveryPolicy())
    return requests
