# SPDX-License-Identifier: Apache-2.0
"""A worker of its own process delivers over TLS, beside a hub that does not, and says how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from adapters.hubclient import Question
from adapters.settings import load_gateway_settings
from hub.demo.processes import Program, all_running, wait_for_http
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO
from tests.journeys.serving import wait_for
from tests.journeys.test_tls import gateway, register, write_gateway
from tests.journeys.world import DATABASE_VARIABLE, PURPOSE, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.pki import ServedPki


def test_a_worker_delivers_over_tls_and_says_how_it_is(
    pki: ServedPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql")
    with running_world(tmp_path / "hub", pki, tls=True) as world:
        world.hub.worker.stop()
        labour, status = write_gateway(tmp_path, world, EMPLOYMENT, "labour"), free_port()
        arguments = [
            "worker",
            "--config",
            str(world.prepared.folder.hub_config),
            "--status-port",
            str(status),
        ]
        worker = {"worker": Program("hub.cli:main", arguments)}
        logs, environment = world.prepared.folder.logs, world.prepared.environment
        with gateway(labour), all_running(worker, logs=logs, environment=environment) as running:
            register(world, load_gateway_settings(labour, {"PASSPHRASE": "x"}).port)
            address = f"http://127.0.0.1:{status}"
            wait_for_http(running["worker"], f"{address}/healthz", log=logs / "worker.log")
            client = world.client()
            question = Question(service=LABOUR_ECHO, contract=ECHO, data={"text": "你好"}, purpose=PURPOSE)
            sent = client.send(question)
            wait_for(lambda: client.outcome(sent.request, PURPOSE).state == "processed")
            answer = client.outcome(sent.request, PURPOSE).answer
            assert answer is not None
            assert answer.data["text"] == "你好"
            wait_for(lambda: httpx2.get(f"{address}/readyz").status_code == 200)
            metrics = httpx2.get(f"{address}/metrics").text
            assert f'heliograph_exchanges_total{{code="",service="{LABOUR_ECHO}"}} 1.0' in metrics, metrics
