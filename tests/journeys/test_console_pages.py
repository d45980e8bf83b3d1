# SPDX-License-Identifier: Apache-2.0
"""The console of a real gateway: its pages on a port of their own, its adapters as they fare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from adapters.wizard import MOUNTED_AT
from tests.adapters.wizard.consoles import PASSWORD, PEOPLE, kept_password
from tests.journeys.bureaus import changed_config, running_bureaus, running_gateway
from tests.journeys.portal import text_of
from tests.pki import free_port

if TYPE_CHECKING:
    from tests.journeys.world import World

SERVICE = "11510108MB1A00002M/employment/employment-record"


def test_a_gateways_own_adapters_stand_on_its_consoles_first_page(world: World) -> None:
    port = free_port()
    administrators = [{"name": PEOPLE[0], "password": "env:KEPT"}]
    config = changed_config(
        world,
        "labour-bureau",
        port=free_port(),
        console={"port": port, "administrators": administrators},
        data_folder="data-console",
    )
    with running_bureaus(world) as bureaus:
        environment = {**bureaus.environment, "KEPT": kept_password()}
        with running_gateway(world, config, environment) as address, httpx2.Client(timeout=30) as http:
            console = f"http://127.0.0.1:{port}"
            assert http.get(f"{console}{MOUNTED_AT}/").status_code == 303
            form = {"name": PEOPLE[0], "password": PASSWORD}
            entered = http.post(f"{console}{MOUNTED_AT}/sign-in", data=form, headers={"Origin": console})
            assert entered.headers["location"] == f"{MOUNTED_AT}/"
            shown = text_of(http.get(f"{console}{MOUNTED_AT}/", headers={"Accept-Language": "en"}).text)
            assert SERVICE in shown
            assert "Not asked yet" in shown
            versions = http.get(f"{console}{MOUNTED_AT}/adapters/{SERVICE}/versions")
            assert versions.status_code == 200
            # Neither port answers for the other.
            gateway = address.removesuffix("/messages")
            assert http.get(f"{gateway}{MOUNTED_AT}/").status_code == 404
            assert http.post(f"{console}/messages", content=b"x").status_code in {404, 405}
            assert http.get(f"{console}/api/v1/adapters").status_code == 401, "a session is no token"
