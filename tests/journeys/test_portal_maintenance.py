# SPDX-License-Identifier: Apache-2.0
"""Pausing a service in the portal, and what that does to messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.clock import CHINA, SystemClock
from hub.errors import Culprit
from hub.outbox import DeliveryState
from hub.registry import DeliveryPolicy
from tests.journeys.departments import LABOUR_ECHO
from tests.journeys.outages import delivery_of, department_down, queue, set_policy, wait_until
from tests.journeys.portal import PORTAL, Visit, text_of, visiting
from tests.journeys.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.envelope import Envelope
    from tests.journeys.world import World

PAUSE = f"{PORTAL}/services/{LABOUR_ECHO}/pause"
RESUMPTION = f"{PORTAL}/services/{LABOUR_ECHO}/resumption"


@pytest.fixture
def operator(world: World) -> Iterator[Visit]:
    set_policy(world, DeliveryPolicy(first_pause_seconds=0.05, factor=1.0, tries=500, breaker_failures=1000))
    with visiting(world, Role.OPERATOR) as visit:
        yield visit
    world.hub.pauses.resume(LABOUR_ECHO, by="tests")
    set_policy(world, DeliveryPolicy())


def pause(operator: Visit, **form: str) -> int:
    given = {"form_token": operator.form_token(), "reason": "new disks", "minutes": "60"}
    return operator.post(PAUSE, given | form).status_code


def test_while_a_service_is_paused_messages_wait_and_are_delivered_when_it_goes_on(
    world: World, operator: Visit
) -> None:
    assert "Messages that wait stay in the hub" in text_of(operator.get(PAUSE).text)
    assert pause(operator) == 303
    waiting = queue(world)
    reply = world.send(world.request().raw)
    assert reply.fault is not None
    assert (reply.status, reply.fault.code, reply.fault.culprit) == (
        503,
        "exchange.service_paused",
        Culprit.RECIPIENT,
    )
    listed = text_of(operator.get(f"{PORTAL}/services").text)
    assert "Paused until" in listed
    assert "new disks somebody" in listed
    assert delivery_of(world, waiting).attempts == 0
    assert operator.post(RESUMPTION, {"form_token": operator.form_token()}).status_code == 303
    wait_until(world, [waiting], DeliveryState.DONE)
    over = text_of(operator.get(f"{PORTAL}/services").text)
    assert "Paused until" not in over
    assert "ended by somebody" in over


def test_a_pause_ends_at_the_instant_of_beijing_time_that_was_given(world: World, operator: Visit) -> None:
    until = (SystemClock().now() + timedelta(hours=30)).astimezone(CHINA).replace(second=0, microsecond=0)
    assert pause(operator, until=until.strftime("%Y-%m-%dT%H:%M")) == 303
    current = world.hub.pauses.find(LABOUR_ECHO)
    assert current is not None
    assert current.until == until
    assert (current.by, current.reason) == ("somebody", "new disks")


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("reason", {"reason": "  "}),
        ("reason", {"reason": "x" * 301}),
        ("until", {"minutes": "7"}),
        ("until", {"minutes": ""}),
        ("until", {"until": "2020-01-01T00:00"}),
        ("until", {"until": "2099-01-01T00:00"}),
        ("until", {"until": "tomorrow"}),
        ("until", {"until": "9999-12-31T23:59"}),
    ],
)
def test_a_pause_that_makes_no_sense_is_asked_for_again(
    world: World, operator: Visit, field: str, form: dict[str, str]
) -> None:
    given = {"form_token": operator.form_token(), "reason": "<b>new disks", "minutes": "60"}
    page = operator.post(PAUSE, given | form)
    assert page.status_code == 422
    assert f'id="{field}-mistake"' in page.text
    assert "<b>new" not in page.text
    assert world.hub.pauses.find(LABOUR_ECHO) is None


def test_who_may_only_read_pauses_nothing(world: World, operator: Visit) -> None:
    with visiting(world, Role.AUDITOR) as auditor:
        page = auditor.get(f"{PORTAL}/services")
        assert page.status_code == 200
        assert PAUSE not in page.text
        form = {"form_token": auditor.form_token(), "reason": "curious", "minutes": "60"}
        assert auditor.post(PAUSE, form).status_code == 403
        assert auditor.post(RESUMPTION, form).status_code == 403
    token = operator.form_token()
    assert operator.post(PAUSE, {"form_token": token}, origin="https://evil.example").status_code == 403
    assert pause(operator, form_token="0" * 64) == 403
    assert world.hub.pauses.find(LABOUR_ECHO) is None


def test_a_service_that_is_none_is_said_so(operator: Visit) -> None:
    page = operator.get(f"{PORTAL}/services/{LABOUR_ECHO}s/pause")
    assert (page.status_code, "registry.service_unknown" in page.text) == (404, True)


def waits_after(world: World, request: Envelope, *, tries: int) -> bool:
    """Tell whether so many tries are over and the next one has not begun."""
    delivery = delivery_of(world, request)
    return delivery.attempts >= tries and delivery.state is DeliveryState.WAITING


def test_the_path_of_a_waiting_message_shows_every_try_and_the_next(world: World, operator: Visit) -> None:
    # The second pause is so long that nothing happens while the page is made.
    set_policy(world, DeliveryPolicy(first_pause_seconds=0.4, factor=10.0, breaker_failures=1000))
    with department_down(world):
        request = queue(world)
        wait_for(lambda: waits_after(world, request, tries=2))
        page = operator.get(f"{PORTAL}/messages/{request.header.id}/path")
    shown = text_of(page.text)
    for said in (
        "It waits for its delivery",
        "Try 1 failed exchange.undeliverable",
        "Try 2 failed",
        "HTTP 503",
        "after a pause of",
        "Waiting for delivery",
    ):
        assert said in shown, said
    assert '<svg class="tries"' in page.text
    wait_until(world, [request], DeliveryState.DONE)
    shown = text_of(operator.get(f"{PORTAL}/messages/{request.header.id}/path").text)
    assert "delivered" in shown
    assert "It arrived, and ended well" in shown
