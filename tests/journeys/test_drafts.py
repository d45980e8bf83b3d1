# SPDX-License-Identifier: Apache-2.0
"""Drafts on their way to the gateway that will sign them: handed out once, and never to nobody."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from adapters.drafts import DraftRunner
from hub.accounts import Role
from hub.demo.preparation import LABOUR_BUREAU
from hub.envelope import open_envelope
from tests.journeys.departments import ABSENT, EMPLOYMENT, FEDERATION_ECHO
from tests.journeys.serving import wait_for
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.world import World

REQUESTS, DRAFTS = "/api/v1/evidence/requests", "/api/v1/evidence/drafts"


def drafted(world: World, text: str = "你好") -> str:
    """Enter a request as a caseworker of the labour bureau, whose drafts no other test's gateway fetches."""
    purpose = {name: getattr(PURPOSE, name) for name in ("item", "case", "legal_basis", "post")}
    body = {"service": FEDERATION_ECHO, "request": {"text": text}, "purpose": purpose}
    response = world.http.post(f"{world.url}{REQUESTS}", json=body, headers=caseworker(world))
    assert response.status_code == 201, response.text
    request_id: str = response.json()["id"]
    return request_id


def caseworker(world: World) -> dict[str, str]:
    return world.token(Role.CASEWORKER, EMPLOYMENT, "王芳")


def gateway(world: World) -> dict[str, str]:
    return world.token(Role.GATEWAY, EMPLOYMENT, "labour gateway")


def claimed(world: World) -> dict[str, Any] | None:
    response = world.http.post(f"{world.url}{DRAFTS}/claim", headers=gateway(world))
    assert response.status_code == 200, response.text
    draft: dict[str, Any] | None = response.json()
    return draft


def shown(world: World, request_id: str) -> dict[str, Any]:
    response = world.http.get(f"{world.url}{REQUESTS}/{request_id}", headers=caseworker(world))
    view: dict[str, Any] = response.json()
    return view


def test_drafts_are_handed_out_once_the_oldest_first(world: World) -> None:
    first, second = drafted(world, "first"), drafted(world, "second")
    taken = [claimed(world) for _ in range(3)]
    assert [draft and draft["id"] for draft in taken] == [first, second, None]
    assert taken[0] is not None
    assert taken[0]["request"] == {"text": "first"}
    assert taken[0]["purpose"]["official"] == "王芳"
    assert shown(world, first)["state"] == "claimed"


def test_a_gateway_that_waits_hears_of_a_draft_at_once(world: World) -> None:
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        response = httpx2.post(
            f"{world.url}{DRAFTS}/claim?wait_seconds=20", headers=gateway(world), timeout=30
        )
        answers.append(response.json())

    waiting = threading.Thread(target=wait)
    waiting.start()
    request_id = drafted(world)
    waiting.join(5)
    assert [draft["id"] for draft in answers] == [request_id]


def test_a_gateway_that_hung_up_takes_no_draft_with_it(world: World) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{world.url}{DRAFTS}/claim?wait_seconds=20", headers=gateway(world), timeout=0.3)
    request_id = drafted(world)
    time.sleep(0.2)  # Long enough for whoever waits to take it.
    draft = claimed(world)
    assert draft is not None, "the draft went to a gateway that was gone"
    assert draft["id"] == request_id


def test_why_a_draft_came_to_nothing_is_shown_to_its_caseworker(world: World) -> None:
    request_id = drafted(world)
    assert claimed(world) is not None
    failure = {"code": "exchange.undeliverable", "detail": "the hub: ConnectError"}
    response = world.http.post(
        f"{world.url}{DRAFTS}/{request_id}/failure", json=failure, headers=gateway(world)
    )
    assert response.status_code == 204
    view = shown(world, request_id)
    assert (view["state"], view["code"], view["detail"]) == ("failed", *failure.values())


def runner(world: World, folder: Path, http: httpx2.Client) -> DraftRunner:
    client = world.client(EMPLOYMENT, http=http)
    token = gateway(world)["Authorization"].removeprefix("Bearer ")
    return DraftRunner(client=client, token=token, folder=folder)


def test_a_runner_works_on_after_a_draft_that_failed_and_a_disk_that_refused(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "finished"
    folder.write_text("a file where a folder should be", encoding="utf-8")
    with httpx2.Client() as http:
        working = runner(world, folder, http)
        thread = threading.Thread(target=working.run)
        thread.start()
        try:
            absent = drafted(world, ABSENT)
            wait_for(lambda: shown(world, absent)["state"] == "failed")
            assert shown(world, absent)["code"] == "adapter.record_not_found"
            unkept = drafted(world, "cannot be kept")
            wait_for(lambda: shown(world, unkept)["state"] == "delivered")
            folder.unlink()
            kept = drafted(world, "can be kept")
            wait_for((folder / kept / "receipt.asice").exists)
        finally:
            working.stopped.set()
            drafted(world)  # Wakes the runner.
            thread.join(20)
    assert not thread.is_alive()
    request = open_envelope((folder / kept / "request.asice").read_bytes())
    assert (request.header.id, world.signer_of(request)) == (kept, LABOUR_BUREAU)
