# SPDX-License-Identifier: Apache-2.0
"""What a gateway says of itself: alive, ready or why not, and what it counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

from adapters.simulators.population import FIRST_EMPLOYER
from tests.hub.telemetry.test_metrics import sample
from tests.journeys.bureaus import changed_config, running_gateway
from tests.journeys.departments import EMPLOYMENT
from tests.pki import free_port

if TYPE_CHECKING:
    from tests.journeys.bureaus import Bureaus

PROOF = f"{EMPLOYMENT}/disability-employment-proof"


def checks(answer: httpx2.Response) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in answer.json()["checks"]}


def test_a_gateway_shows_on_a_port_of_its_own_how_it_is_and_what_it_counted(bureaus: Bureaus) -> None:
    port, status = free_port(), free_port()
    config = changed_config(bureaus.world, "labour-bureau", port=port, status_port=status, drafts=[])
    with running_gateway(bureaus.world, config, bureaus.environment) as address:
        answer = httpx2.get(f"http://127.0.0.1:{status}/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        assert list(checks(answer)) == ["keys", "trust_list", "hub", "disk", "clock"]
        httpx2.post(address, content=b"no container")
        shown = httpx2.get(f"http://127.0.0.1:{status}/metrics").text
        code = "envelope.not_a_zip"
        assert sample(shown, "heliograph_gateway_answers_total", code=code, service="") >= 1
        own = address.removesuffix("/messages")
        assert httpx2.get(f"{own}/readyz").status_code == 200
        assert httpx2.get(f"{own}/healthz").json() == {"status": "ok"}
        # What it counts is for its operator, not for whoever may send messages.
        assert httpx2.get(f"{own}/metrics").status_code == 404


def test_a_gateway_without_its_hub_says_so_and_what_cures_it(bureaus: Bureaus) -> None:
    port, nobody = free_port(), free_port()
    changes = {"port": port, "hub_url": f"http://127.0.0.1:{nobody}", "drafts": []}
    config = changed_config(bureaus.world, "labour-bureau", **changes)
    with running_gateway(bureaus.world, config, bureaus.environment) as address:
        answer = httpx2.get(f"{address.removesuffix('/messages')}/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "impaired")
    hub = checks(answer)["hub"]
    assert (hub["state"], hub["detail"]) == ("impaired", "ConnectError")
    assert "hub_url" in hub["cure"]["en"]


def test_how_long_a_departments_own_system_took_is_measured(bureaus: Bureaus) -> None:
    data = {"employer": FIRST_EMPLOYER, "year": bureaus.today.year}
    asked = bureaus.ask(PROOF, data, bureaus.caseworker).json()
    assert bureaus.settled(asked["id"], bureaus.caseworker)["state"] == "delivered"
    from hub.telemetry import exposition

    shown = exposition()[0].decode()
    assert sample(shown, "heliograph_gateway_legacy_seconds_count", service=PROOF) >= 1
    assert sample(shown, "heliograph_gateway_answers_total", service=PROOF, code="") >= 1
