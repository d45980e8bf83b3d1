# SPDX-License-Identifier: Apache-2.0
"""A whole gateway behind a firewall: no address in the registry, and hubs that share one database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import Question
from adapters.largesender import LargeSender
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from hub.app import build_app, build_hub
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.envelope import FilePayload
from hub.errors import HubError
from hub.registry import DeliveryPolicy
from hub.settings import load_settings
from tests.adapters.bulk.gateway import BULK, SERVICE, BulkAdapter, write_data
from tests.adapters.running import wait_until
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, EchoAdapter
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, World, echo_right, echo_service, running_world, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.identifiers import SubsystemId
    from tests.pki import ServedPki


@contextmanager
def gateway(
    world: World,
    folder: Path,
    subsystem: SubsystemId,
    label: str,
    hub_url: str,
    *,
    collects: bool,
    contracts: Path = PROJECT / "contracts",
) -> Iterator[GatewayProcess]:
    """Run a department's gateway on a port that nobody is told; the labour bureau's echoes."""
    file, pki = folder / f"{label}.yaml", world.pki
    (folder / "passphrase").write_bytes(pki.passphrase)
    (folder / "passphrase").chmod(0o600)
    file.write_text(
        f"""\
member: {subsystem[:18]}
subsystems: [{subsystem}]
port: {free_port()}
hub_url: {hub_url}
hub_member: {HUB_MEMBER}
collects: {str(collects).lower()}
report_seconds: null
signing: {{key: {pki.key(label)}, chain: {pki.chain(label)}, passphrase: "file:passphrase"}}
trust_list: {pki.trust_list}
trust_list_signer: {pki.trust_list_signer}
contracts: {contracts}
data_folder: data-{label}
""",
        encoding="utf-8",
    )
    settings = load_gateway_settings(file, {})
    echo = ConfiguredAdapter(LABOUR_ECHO, ECHO, "echo", 10.0, EchoAdapter())
    (folder / "bulk").mkdir(exist_ok=True)
    bulk = ConfiguredAdapter(SERVICE, BULK, "bulk", 10.0, BulkAdapter(folder / "bulk"))
    process = GatewayProcess(settings, more=[echo, bulk] if subsystem == EMPLOYMENT else [])
    with serving(build_gateway_app(process), settings.port):
        yield process


def test_who_asks_one_hub_is_answered_by_a_gateway_that_comes_to_another(
    pki: ServedPki, tmp_path: Path, postgresql_url: str
) -> None:
    environment = {"HELIOGRAPH_DATABASE_URL": postgresql_url}
    with running_world(tmp_path / "world", pki, environment=environment) as world:
        world.hub.registry.put(echo_service(LABOUR_ECHO, None, 20), by="tests")
        prepared = world.prepared
        second = build_hub(load_settings(prepared.folder.hub_config, {**prepared.environment, **environment}))
        second.start()
        with (
            serving(build_app(second), free_port()) as elsewhere,
            gateway(world, tmp_path, EMPLOYMENT, "labour-sign", elsewhere, collects=True),
            gateway(world, tmp_path, FUND, "federation-sign", world.url, collects=False) as asking,
        ):
            client = asking.client_for(FUND)
            for text in ("你好", "again"):
                question = Question(service=LABOUR_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE)
                assert client.ask(question).data == {"text": text}
        assert not world.departments.received, "nothing was delivered to an address"


def test_a_large_message_is_fetched_and_an_answer_that_cannot_be_handed_in_is_a_fault(
    pki: ServedPki, tmp_path: Path
) -> None:
    with running_world(tmp_path / "world", pki) as world:
        contracts = world.prepared.folder.path / "contracts"
        policy = DeliveryPolicy(first_pause_seconds=1)
        world.hub.registry.apply(
            (
                replace(service_at(SERVICE, BULK, None, 20), delivery=policy),
                echo_right("fund-sends-bulk", FUND, SERVICE),
            ),
            by="tests",
        )
        where = {"contracts": contracts}
        with (
            gateway(world, tmp_path, EMPLOYMENT, "labour-sign", world.url, collects=True, **where),
            gateway(world, tmp_path, FUND, "federation-sign", world.url, collects=False, **where) as asking,
        ):
            client = asking.client_for(FUND)
            file = tmp_path / "data.bin"
            digest = write_data(file, 20 * 1024 * 1024 + 17, 5)
            question = Question(service=SERVICE, contract=BULK, data={"text": "bulk"}, purpose=PURPOSE)
            sender = LargeSender(client=client)
            message = sender.sign(question, [FilePayload.of("data.bin", "application/octet-stream", file)])
            sender.send(message, {"data.bin": file})
            wait_until(lambda: client.outcome(message, PURPOSE).state == "processed", seconds=60)
            answered = client.outcome(message, PURPOSE).answer
            assert answered is not None
            assert answered.data == {"text": digest}

            with pytest.raises(HubError) as refused:
                client.ask(replace(question, data={"text": f"give {18 * 1024 * 1024}"}))
            assert refused.value.code == "adapter.answer_too_large"
