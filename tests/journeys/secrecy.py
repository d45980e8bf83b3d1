# SPDX-License-Identifier: Apache-2.0
"""Two gateways that keep what they exchange from the hub between them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import Question
from adapters.ports import Answer, Document
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from adapters.sources import Probe
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.identifiers import ContractId, MemberId, ServiceId, member_of
from hub.registry import AccessRight
from hub.trust import Use
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.serving import serving, wait_for
from tests.journeys.world import PURPOSE, World, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.hubclient import HubClient
    from adapters.ports import Call, JsonObject
    from hub.identifiers import SubsystemId

APPRAISAL = ServiceId(f"{EMPLOYMENT}/work-injury-appraisal")
CONTRACT = ContractId("work-injury-appraisal/v1")
PERSON = "510108198503120235"
FINDING = "右手拇指末节缺失，示指关节功能丧失"
PDF = b"%PDF-1.7\n% the conclusion, sealed\n"


class AppraisalAdapter:
    """Answers with the same conclusion, whoever is asked about, and counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[JsonObject, Call]] = []

    def answer(self, request: JsonObject, call: Call) -> Answer:
        self.asked.append((request, call))
        conclusion: JsonObject = {
            "number": "CHQ-2025-00412",
            "concluded_on": "2025-09-18",
            "disability_grade": 7,
            "self_care": "none",
            "finding": FINDING,
        }
        data = {"person_id": request["person_id"], "appraisals": [conclusion]}
        return Answer(data, (Document("appraisal.pdf", "application/pdf", PDF),))

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class SecretSite:
    """A department's gateway with decryption keys.

    Attributes:
        label: of the key that signs.
        adapter: answers, where it is the labour bureau's.
    """

    world: World
    subsystem: SubsystemId
    label: str
    folder: Path
    adapter: AppraisalAdapter = field(default_factory=AppraisalAdapter)

    @contextmanager
    def running(self, *decryption: str, waits: bool = True) -> Iterator[GatewayProcess]:
        """Run the gateway with decryption keys, the present one first; it registers that by itself."""
        pki, config = self.world.pki, self.folder / "gateway.yaml"
        keys = ", ".join(_key(pki.key(each), pki.chain(each)) for each in decryption)
        config.write_text(
            f"""\
member: {self.subsystem[:18]}
subsystems: [{self.subsystem}]
port: {free_port()}
hub_url: {self.world.url}
hub_member: {HUB_MEMBER}
signing: {_key(pki.key(self.label), pki.chain(self.label))}
decryption: [{keys}]
trust_list: {pki.trust_list}
trust_list_signer: {pki.trust_list_signer}
contracts: {PROJECT / "contracts"}
data_folder: data
""",
            encoding="utf-8",
        )
        settings = load_gateway_settings(config, {"P": pki.passphrase.decode()})
        configured = ConfiguredAdapter(APPRAISAL, CONTRACT, "appraisal", 10.0, self.adapter)
        process = GatewayProcess(settings, more=[configured] if self.subsystem == EMPLOYMENT else [])
        with serving(build_gateway_app(process), settings.port) as address:
            if self.subsystem == EMPLOYMENT:
                register_appraisal(self.world, f"{address}/messages")
            if waits:
                for each in decryption[:1]:
                    wait_for(lambda each=each: registered(self.world, self.subsystem, each))  # type: ignore[misc]
            yield process


def _key(key: Path, chain: Path) -> str:
    return f"{{key: {key}, chain: {chain}, passphrase: env:P}}"


def registered(world: World, subsystem: SubsystemId, label: str) -> bool:
    """Tell whether a member's encryption certificate is registered."""
    index = world.hub.registry.snapshot.certificates
    entries = index.get((member_of(subsystem), Use.ENCRYPTION), {})
    return any(entry.x509 == world.pki.certificates(label)[0] for entry in entries.values())


def register_appraisal(world: World, gateway_url: str | None) -> None:
    """Enter the service and who may ask it."""
    right = AccessRight(
        id="fund-asks-appraisal",  # type: ignore[arg-type]  # a literal id
        consumer=FUND,
        service=APPRAISAL,
        purposes=(PURPOSE.item,),
        legal_basis="测试",
        valid_from=date(2026, 1, 1),
    )
    world.hub.registry.apply((service_at(APPRAISAL, CONTRACT, gateway_url, 20), right), by="tests")


def register_key(world: World, member: str, label: str) -> None:
    """Have an encryption certificate registered by an administrator."""
    chain = world.pki.certificates(label)
    world.hub.certificates.register(chain, MemberId(member), Use.ENCRYPTION, by="tests")


def question() -> Question:
    return Question(service=APPRAISAL, contract=CONTRACT, data={"person_id": PERSON}, purpose=PURPOSE)


def client_of(process: GatewayProcess) -> HubClient:
    return process.client_for(FUND)
