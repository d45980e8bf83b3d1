# SPDX-License-Identifier: Apache-2.0
"""Adapters registered at a running gateway: switched, taken back, kept over a restart, while the hub asks."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.console.administrators import generate_token
from adapters.console.client import ConsoleClient
from adapters.hubclient import Question
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from hub.clock import FixedClock, SystemClock
from hub.demo.preparation import PROJECT
from hub.errors import HubError
from hub.identifiers import ContractId, ServiceId, SubsystemId
from tests.journeys.bureaus import _stand_ins, changed_config
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.hubclient import HubClient
    from tests.journeys.world import World
    from tests.pki import ServedPki

SERVICE = ServiceId("13510108MB1A00003J/register/disability-certificate")
CONTRACT = ContractId("disability-certificate/v1")
PERSON = "510103196509212754"
MARK = "2020-02-02T00:00:00.000Z"
DESCRIPTION = (PROJECT / "adapters" / "demo" / "federation.yaml").read_text(encoding="utf-8")


class Department:
    """The federation with its console, and the labour bureau that asks it."""

    def __init__(self, world: World, folder: Path, environment: dict[str, str]) -> None:
        self.world = world
        self.folder = folder
        self.environment = environment
        self.port = free_port()
        self.token, digest = generate_token()
        for name, content in (("token", self.token), ("digest", digest)):
            (folder / name).write_text(content, encoding="utf-8")
            (folder / name).chmod(0o600)

    @contextmanager
    def running(self) -> Iterator[ConsoleClient]:
        console = {
            "port": self.port,
            "administrators": [{"name": "周敏", "tokens": [{"digest": f"file:{self.folder / 'digest'}"}]}],
        }
        config = changed_config(self.world, "federation", console=console)
        settings = load_gateway_settings(config, self.environment)
        with serving(build_gateway_app(GatewayProcess(settings)), settings.port):
            yield ConsoleClient.open(f"http://127.0.0.1:{self.port}", self.folder / "token")

    @contextmanager
    def asking(self) -> Iterator[HubClient]:
        config = changed_config(self.world, "labour-bureau", services=[], drafts=[], port=free_port())
        process = GatewayProcess(load_gateway_settings(config, self.environment))
        try:
            yield process.client_for(SubsystemId("11510108MB1A00002M/employment"))
        finally:
            process.close()


@pytest.fixture(scope="module")
def department(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with ExitStack() as stack:
        world = stack.enter_context(running_world(tmp_path_factory.mktemp("console"), pki))
        folder = world.prepared.folder.stand_ins
        stand_ins = stack.enter_context(_stand_ins(folder, FixedClock(SystemClock().now())))
        environment = {**world.prepared.environment, **stand_ins}
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Department(world, tmp_path_factory.mktemp("people"), environment)


def described(**response: Any) -> str:
    content = yaml.safe_load(DESCRIPTION)
    content["services"][0]["response"]["object"] |= response
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def retrieved_at(client: HubClient) -> str:
    question = Question(service=SERVICE, contract=CONTRACT, data={"person_ids": [PERSON]}, purpose=PURPOSE)
    return str(client.ask(question).data["retrieved_at"])


def refusal(console: ConsoleClient, path: str, **body: Any) -> str:
    with pytest.raises(HubError) as caught:
        console.call("POST", path, body=body)
    return caught.value.code


def test_versions_are_switched_under_traffic_without_a_failure(department: Department) -> None:
    with department.running() as console, department.asking() as client:
        assert retrieved_at(client) != MARK
        seen: list[str] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                seen.append(retrieved_at(client))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            [version] = console.call(
                "POST", "/adapters/apply", body={"text": described(retrieved_at={"value": MARK})}
            )["versions"]
            assert version["state"] == "active"
            assert retrieved_at(client) == MARK
            for _ in range(5):
                console.call("POST", f"/adapters/{SERVICE}/versions/1/activate", body={})
            console.call("POST", f"/adapters/{SERVICE}/retire")
            assert retrieved_at(client) != MARK
        finally:
            is_over.set()
            asking.join(60)
        assert len(seen) > 1
        events = console.call("GET", "/events")["events"]
        assert {event["by"] for event in events} == {"周敏"}


def test_what_is_active_answers_after_a_restart(department: Department) -> None:
    with department.running() as console:
        console.call("POST", "/adapters/apply", body={"text": described(retrieved_at={"value": MARK})})
    with department.running() as console, department.asking() as client:
        assert retrieved_at(client) == MARK
        console.call("POST", f"/adapters/{SERVICE}/retire")


def test_a_secret_is_neither_kept_nor_sent_elsewhere(department: Department) -> None:
    config = department.world.prepared.folder.gateway_config("federation")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    (department.folder / "copy").write_text(department.environment["REGISTER_API_KEY"], encoding="utf-8")
    (department.folder / "copy").chmod(0o600)
    key = "env:REGISTER_API_KEY"
    inline = DESCRIPTION.replace(key, "a-very-inline-secret")
    passphrase = DESCRIPTION.replace(key, absolute(settings["signing"]["passphrase"], config.parent))
    digest = DESCRIPTION.replace(key, f"file:{department.folder}/../{department.folder.name}/digest")
    other = DESCRIPTION.replace(key, f"file:{department.folder}/copy")

    with department.running() as console:
        for text, why in ((inline, "reference"), (passphrase, "gateway's own"), (digest, "gateway's own")):
            for path in ("versions", "apply", "plan", "probe"):
                with pytest.raises(HubError) as caught:
                    console.call("POST", f"/adapters/{path}", body={"text": text})
                assert caught.value.code == "adapter.configuration_invalid"
                assert why in caught.value.detail
        assert console.call("POST", "/adapters/versions", body={"text": other})["state"] == "draft"
    kept = list((config.parent / settings["data_folder"]).glob("adapters.sqlite*"))
    assert kept
    assert b"a-very-inline-secret" not in b"".join(file.read_bytes() for file in kept)


def absolute(reference: str, folder: Path) -> str:
    """Return a reference that means the same from anywhere."""
    scheme, _, place = reference.partition(":")
    return f"file:{folder / place}" if scheme == "file" else reference


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("13510108MB1A00003J/register", "11510108MB1A00002M/employment"),
        ("contract: disability-certificate/v1", "contract: unheard-of/v1"),
    ],
)
def test_a_gateway_registers_only_what_it_may_answer(department: Department, before: str, after: str) -> None:
    with department.running() as console:
        text = DESCRIPTION.replace(before, after)
        assert refusal(console, "/adapters/apply", text=text) == "adapter.configuration_invalid"


def test_the_systems_real_answer_is_a_sample_and_its_preview_is_what_is_answered(
    department: Department,
) -> None:
    with department.running() as console, department.asking() as client:
        request = {"person_ids": [PERSON]}
        body = {"text": DESCRIPTION, "request": request}
        answer = console.call("POST", "/adapters/ask", body=body)["answer"]
        assert answer["code"] == "0"
        previewed = console.call(
            "POST",
            "/adapters/preview",
            body={"text": DESCRIPTION, "sample_request": request, "sample_answer": answer},
        )
        question = Question(service=SERVICE, contract=CONTRACT, data=request, purpose=PURPOSE)
        answered = dict(client.ask(question).data)
        assert previewed["answer"]["result"] | {"retrieved_at": ""} == answered | {"retrieved_at": ""}
