# SPDX-License-Identifier: Apache-2.0
"""A whole gateway behind a firewall: no address in the registry, and hubs that share one database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import Question
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from hub.app import build_app, build_hub
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.settings import load_settings
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, EchoAdapter
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, World, echo_service, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.identifiers import SubsystemId
    from tests.pki import ServedPki


@contextmanager
def gateway(
    world: World, folder: Path, subsystem: SubsystemId, label: str, hub_url: str, *, collects: bool
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
contracts: {PROJECT / "contracts"}
data_folder: data-{label}
""",
        encoding="utf-8",
    )
    settings = load_gateway_settings(file, {})
    echo = ConfiguredAdapter(LABOUR_ECHO, ECHO, "echo", 10.0, EchoAdapter())
    process = GatewayProcess(settings, more=[echo] if subsystem == EMPLOYMENT else [])
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
