# SPDX-License-Identifier: Apache-2.0
"""Every signature of an exchange, and a document's seal, made by keys that never leave their tokens."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import HubClient, Question
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from hub.clock import SystemClock
from hub.custody import open_key, read_key_file
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.documents import DocumentSealer, typeset_proof, verify_document
from hub.errors import HubError
from hub.trust import OnlineRevocation
from tests.hub.documents.conftest import NOTICE, read_example
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, EchoAdapter
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, World, echo_service, running_world
from tests.pki import free_port
from tests.softhsm import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.custody import TokenPlace
    from hub.identifiers import SubsystemId
    from tests.pki import ServedPki
    from tests.softhsm import SoftHsm


def moved_into_token(softhsm: SoftHsm, pki: ServedPki, label: str, folder: Path) -> TokenPlace:
    """Put the key of a label into a token of its own."""
    key = read_key_file(pki.key(label), pki.passphrase)
    return softhsm.import_key(softhsm.token(), label, key, folder)


@contextmanager
def gateway(
    world: World, subsystem: SubsystemId, place: TokenPlace, label: str, folder: Path
) -> Iterator[GatewayProcess]:
    """Run a department's gateway whose key is in a token; the labour bureau's echoes."""
    file, pki = folder / f"{label}.yaml", world.pki
    folder.joinpath("pin").write_text(f"{PIN}\n", encoding="utf-8")
    folder.joinpath("pin").chmod(0o600)
    file.write_text(
        f"""\
member: {subsystem[:18]}
subsystems: [{subsystem}]
port: {free_port()}
hub_url: {world.url}
hub_member: {HUB_MEMBER}
signing: {{key: "{place}", chain: {pki.chain(label)}, passphrase: "file:pin"}}
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
    with serving(build_gateway_app(process), settings.port) as address:
        if subsystem == EMPLOYMENT:
            service = echo_service(LABOUR_ECHO, f"{address}/messages", timeout_seconds=20)
            world.hub.registry.put(service, by="tests")
        yield process


def ask(client: HubClient, text: str) -> object:
    question = Question(service=LABOUR_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE)
    return client.ask(question).data["text"]


def is_answered(client: HubClient, text: str) -> bool:
    try:
        return ask(client, text) == text
    except HubError:
        return False


@pytest.fixture
def places(softhsm: SoftHsm, pki: ServedPki, tmp_path: Path) -> dict[str, TokenPlace]:
    labels = ("hub-sign", "labour-sign", "federation-sign")
    return {label: moved_into_token(softhsm, pki, label, tmp_path) for label in labels}


def test_hub_and_gateways_exchange_with_keys_in_tokens_and_outlive_one_that_is_pulled(
    pki: ServedPki, softhsm: SoftHsm, places: dict[str, TokenPlace], tmp_path: Path
) -> None:
    hub = {
        "HELIOGRAPH_SIGNING_KEY": str(places["hub-sign"]),
        "HELIOGRAPH_SIGNING_PASSPHRASE": PIN,
    }
    with (
        running_world(tmp_path / "world", pki, environment=hub) as world,
        gateway(world, EMPLOYMENT, places["labour-sign"], "labour-sign", tmp_path),
        gateway(world, FUND, places["federation-sign"], "federation-sign", tmp_path) as asking,
    ):
        client = asking.client_for(FUND)
        assert ask(client, "你好") == "你好"

        home, away = softhsm.folder_of(str(places["labour-sign"].token)), tmp_path / "away"
        shutil.move(home, away)
        assert not is_answered(client, "is anybody there")
        shutil.move(away, home)
        deadline = time.monotonic() + 30
        while not is_answered(client, "welcome back") and time.monotonic() < deadline:
            time.sleep(0.3)
        assert ask(client, "还在") == "还在"


def test_a_seal_in_a_token_seals_a_document(pki: ServedPki, softhsm: SoftHsm, tmp_path: Path) -> None:
    place = moved_into_token(softhsm, pki, "labour-seal", tmp_path)
    key = open_key(place, pki.chain("labour-seal"), softhsm.pin)
    revocation = OnlineRevocation()
    sealer = DocumentSealer(key, pki.approved(), revocation, [pki.time_stamp_url], notice=NOTICE)
    try:
        sealed = sealer.seal(typeset_proof(read_example(), notice=NOTICE))
    finally:
        sealer.close()
        revocation.close()
    assert verify_document(sealed, pki.approved(), at=SystemClock().now()).is_valid
