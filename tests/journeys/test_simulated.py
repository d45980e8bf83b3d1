# SPDX-License-Identifier: Apache-2.0
"""From nothing to an exchange: a stand-in is made, registered, tested, switched on, asked through the hub."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from adapters.console.administrators import generate_token
from adapters.simulators.generated import Misbehaviour, Misconduct, plan_for, running
from hub.demo.preparation import FUND, LABOUR_BUREAU, PROJECT
from hub.envelope import Payload
from hub.identifiers import ContractId, ServiceId
from tests.journeys.bureaus import changed_config, running_gateway
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.refusals import require_fault
from tests.journeys.world import echo_right, service_at
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.simulators.generated import StandIn
    from hub.envelope import Envelope
    from tests.journeys.world import World

CONTRACT = ContractId("disability-certificate/v1")
KINDS = ("rest", "soap", "sftp")
PERSON = "511622197901111001"
NOBODY = "990000198001010004"


@dataclass(frozen=True)
class Office:
    """A gateway without any adapter, its console, and the hub that knows its services."""

    world: World
    console: str
    token: str

    def call(self, path: str, **body: Any) -> Any:
        """Call the console as its administrator; returns what it says."""
        answer = self.world.http.post(
            f"{self.console}/api/v1/adapters{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        return answer.json() | {"status": answer.status_code}

    def ask(self, kind: str, *persons: str) -> Any:
        return self.world.send(self.request(kind, *persons).raw)

    def request(self, kind: str, *persons: str) -> Envelope:
        content = json.dumps({"person_ids": persons}).encode()
        part = Payload("request.json", "application/json", content)
        return self.world.request(service_of(kind), contract=CONTRACT, payloads=(part,))


def service_of(kind: str) -> ServiceId:
    return ServiceId(f"{EMPLOYMENT}/simulated-{kind}")


@pytest.fixture(scope="module")
def office(world: World) -> Iterator[Office]:
    token, digest = generate_token()
    port = free_port()
    config = changed_config(
        world,
        "labour-bureau",
        services=[],
        port=free_port(),
        data_folder="data/labour-simulated",
        console={
            "port": port,
            "needs_test": True,
            "administrators": [{"name": "周敏", "tokens": [{"digest": "env:CONSOLE_TOKEN"}]}],
        },
    )
    with running_gateway(world, config, {"CONSOLE_TOKEN": digest}) as gateway:
        for kind in KINDS:
            right = echo_right(f"fund-asks-simulated-{kind}", FUND, service_of(kind))
            world.hub.registry.apply((service_at(service_of(kind), CONTRACT, gateway, 20), right), by="tests")
        yield Office(world, f"http://127.0.0.1:{port}", token)


@contextmanager
def stand_in(kind: str, folder: Path, **wanted: object) -> Iterator[StandIn]:
    plan = plan_for(
        PROJECT / "contracts", CONTRACT, kind=kind, folder=folder, service=service_of(kind), **wanted
    )
    with running(plan) as running_stand_in:
        yield running_stand_in


@pytest.mark.parametrize("kind", KINDS)
def test_a_stand_in_is_registered_tested_switched_on_and_answers_through_the_hub(
    kind: str, office: Office, tmp_path: Path
) -> None:
    with stand_in(kind, tmp_path) as simulated:
        require_fault(office.ask(kind, PERSON), "adapter.service_unknown")

        saved = office.call("/versions", text=simulated.description.read_text(encoding="utf-8"))
        at = f"/{service_of(kind)}/versions/{saved['number']}"
        assert office.call(f"{at}/activate")["status"] == 409
        tested = office.call(f"{at}/test", samples=[{"person_ids": [PERSON]}])
        assert tested["passed"], tested
        assert office.call(f"{at}/activate")["state"] == "active"

        reply = office.ask(kind, PERSON)
        assert reply.fault is None, reply.fault
        assert reply.signer == LABOUR_BUREAU
        certificates = json.loads(reply.envelope.payloads["response.json"])["certificates"]
        assert PERSON in {each["person_id"] for each in certificates}
        require_fault(office.ask(kind, NOBODY), "adapter.record_not_found")


def test_a_stand_in_that_breaks_the_contract_is_not_switched_on(office: Office, tmp_path: Path) -> None:
    misconduct = Misconduct(ways=(Misbehaviour.BREAKS_CONTRACT,))
    with ExitStack() as stack:
        simulated = stack.enter_context(stand_in("rest", tmp_path, misconduct=misconduct))
        saved = office.call("/versions", text=simulated.description.read_text(encoding="utf-8"))
        at = f"/{service_of('rest')}/versions/{saved['number']}"
        tested = office.call(f"{at}/test")
        assert not tested["passed"]
        assert "contract.response_invalid" in {case["code"] for case in tested["cases"]}
        assert office.call(f"{at}/activate")["status"] == 409


def test_a_version_is_tested_by_command_and_the_command_says_whether_it_passed(
    office: Office, tmp_path: Path
) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "1.json").write_text(json.dumps({"person_ids": [PERSON]}), encoding="utf-8")
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(office.token, encoding="utf-8")
    with stand_in("rest", tmp_path / "stand-in") as simulated:
        saved = office.call("/versions", text=simulated.description.read_text(encoding="utf-8"))
        command = [sys.executable, "-m", "hub.cli", "adapters", "test-version", service_of("rest")]
        command += [str(saved["number"]), "--gateway", office.console, "--token-file", str(token)]
        command += ["--requests", str(tmp_path / "samples"), "--language", "zh-CN"]
        passed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "本单位样例得到应答" in passed.stdout
    gone = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert gone.returncode == 1
    assert "adapter.system_unreachable" in gone.stdout


def test_nobody_tests_without_a_token(office: Office) -> None:
    with httpx2.Client(trust_env=False) as http:
        url = f"{office.console}/api/v1/adapters/{service_of('rest')}/versions/1/test"
        assert http.post(url, json={}).status_code == 401
