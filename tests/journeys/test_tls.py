# SPDX-License-Identifier: Apache-2.0
"""Hub and gateways over TLS, with certificates on both sides, and everybody who may not pass."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import HubClient, Question
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from hub.accounts import Role
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.envelope import CONTAINER_MEDIA_TYPE, open_envelope, read_fault
from hub.errors import ExchangeError, SettingsError
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, EchoAdapter
from tests.journeys.serving import serving, wait_for
from tests.journeys.world import PURPOSE, World, echo_service, running_world
from tests.pki import PASSPHRASE, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.identifiers import SubsystemId
    from tests.pki import ServedPki

MESSAGES = "/api/v1/messages"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, pki: ServedPki) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("tls"), pki, tls=True) as running:
        yield running


def write_gateway(
    folder: Path,
    world: World,
    subsystem: SubsystemId,
    label: str,
    *,
    shown: str | None = None,
    **changes: str,
) -> Path:
    """Write the configuration of a gateway; `shown` is its TLS certificate where not its own."""
    pki, file = world.pki, folder / f"{label}.yaml"
    shown = shown or f"{label}-tls"
    settings = {
        "member": subsystem[:18],
        "subsystems": f"[{subsystem}]",
        "port": str(free_port()),
        "hub_url": world.url,
        "hub_member": HUB_MEMBER,
        "signing": f'{{key: "{pki.key(f"{label}-sign")}", chain: {pki.chain(f"{label}-sign")}, '
        'passphrase: "env:PASSPHRASE"}',
        "tls": f'{{key: "{pki.key(shown)}", chain: {pki.chain(shown)}, passphrase: "env:PASSPHRASE"}}',
        "trust_list": str(pki.trust_list),
        "trust_list_signer": str(pki.trust_list_signer),
        "contracts": str(PROJECT / "contracts"),
        "data_folder": f"data-{label}",
    }
    lines = [f"{name}: {value}\n" for name, value in (settings | changes).items()]
    file.write_text("".join(lines), encoding="utf-8")
    return file


@contextmanager
def gateway(file: Path) -> Iterator[GatewayProcess]:
    """Run a gateway over TLS; the labour bureau's echoes."""
    settings = load_gateway_settings(file, {"PASSPHRASE": PASSPHRASE.decode()})
    echo = ConfiguredAdapter(LABOUR_ECHO, ECHO, "echo", 10.0, EchoAdapter())
    process = GatewayProcess(settings, more=[echo] if EMPLOYMENT in settings.subsystems else [])
    server = None if process.connections is None else process.connections.server
    with serving(build_gateway_app(process), settings.port, tls=server):
        yield process


def register(world: World, port: int, host: str = "127.0.0.1", scheme: str = "https") -> None:
    service = echo_service(LABOUR_ECHO, f"{scheme}://{host}:{port}/messages", timeout_seconds=20)
    world.hub.registry.put(service, by="tests")


def ask(client: HubClient, text: str = "你好") -> object:
    question = Question(service=LABOUR_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE)
    return client.ask(question).data["text"]


def test_a_question_travels_over_tls_all_the_way_and_back(world: World, tmp_path: Path) -> None:
    labour = write_gateway(tmp_path, world, EMPLOYMENT, "labour")
    with gateway(labour), gateway(write_gateway(tmp_path, world, FUND, "federation")) as federation:
        register(world, load_gateway_settings(labour, {"PASSPHRASE": "x"}).port)
        assert ask(federation.client_for(FUND)) == "你好"


@pytest.mark.parametrize(
    ("shown", "detail"),
    [
        ("federation-tls", "is of 13510108MB1A00003J, not of 11510108MB1A00002M"),
        ("labour-tls-revoked", "trust.certificate_revoked"),
        ("labour-tls-expired", "Certificate"),
        ("labour-tls-elsewhere", "Certificate"),
        ("labour-tls-client-only", "Certificate"),
        ("no-member-tls", "trust.wrong_member"),
        ("labour-sign", "Certificate"),
    ],
)
def test_the_hub_sends_nothing_to_a_server_that_is_not_the_department(
    world: World, tmp_path: Path, shown: str, detail: str
) -> None:
    file = write_gateway(tmp_path, world, EMPLOYMENT, "labour", shown=shown)
    with gateway(file) as labour:
        register(world, load_gateway_settings(file, {"PASSPHRASE": "x"}).port)
        reply = world.send(world.request().raw)
        assert reply.fault is not None
        assert reply.fault.code == "exchange.undeliverable"
        assert detail in reply.fault.detail
        assert labour.gateway is not None


def test_the_hub_sends_nothing_in_plain_beyond_its_machine(world: World) -> None:
    register(world, 80, host="192.0.2.1", scheme="http")
    fault = world.send(world.request().raw).fault
    assert fault is not None
    assert fault.code == "exchange.undeliverable"
    assert "plain HTTP" in fault.detail


def post(world: World, label: str | None, raw: bytes) -> httpx2.Response:
    with httpx2.Client(verify=world.pki.tls_of(label), timeout=20) as client:
        headers = {"Content-Type": CONTAINER_MEDIA_TYPE, "Accept-Language": "en"}
        return client.post(f"{world.url}{MESSAGES}", content=raw, headers=headers)


def test_a_message_over_another_members_connection_is_refused_and_logged(world: World) -> None:
    request = world.request()
    response = post(world, "social-insurance-tls", request.raw)
    assert response.status_code == 403
    assert response.headers["content-type"] == CONTAINER_MEDIA_TYPE
    fault = read_fault(open_envelope(response.content))
    assert fault.code == "exchange.client_certificate_mismatch"
    assert world.entries(request)[-1].code == "exchange.client_certificate_mismatch"


def test_a_message_without_a_certificate_is_refused(world: World) -> None:
    request = world.request()
    response = post(world, None, request.raw)
    assert response.status_code == 403
    assert response.json()["code"] == "exchange.client_certificate_missing"
    assert world.entries(request) == []


def test_nobody_gets_round_it_by_another_spelling_of_the_path(world: World) -> None:
    with httpx2.Client(verify=world.pki.tls_of(None), timeout=20) as client:
        for path in ("/api/v1/messages/", "//api/v1/messages", "/api/v1/%6dessages", "/API/v1/messages"):
            response = client.post(f"{world.url}{path}", content=world.request().raw)
            assert response.status_code in {403, 404, 405, 307}, path


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("labour-tls-revoked", "trust.certificate_revoked"),
        ("no-member-tls", "trust.wrong_member"),
        ("labour-unlisted", "trust.usage_not_allowed"),
        ("federation-sign", "trust.usage_not_allowed"),
    ],
)
def test_a_certificate_that_is_not_believed_is_refused_whatever_is_asked(
    world: World, label: str, code: str
) -> None:
    assert post(world, label, world.request().raw).json()["code"] == code
    with httpx2.Client(verify=world.pki.tls_of(label), timeout=20) as client:
        response = client.get(f"{world.url}/healthz", headers={"Accept-Language": "en"})
        assert response.status_code == 403
        assert response.json()["code"] == code
        assert response.json()["finding"]["reason_id"]
        assert response.headers["connection"] == "close"


@pytest.mark.parametrize("label", ["labour-tls-expired", "rogue/labour-sign"])
def test_a_stranger_gets_no_connection(world: World, label: str) -> None:
    with pytest.raises(httpx2.HTTPError):
        post(world, label, world.request().raw)


def test_people_and_commands_need_no_certificate(world: World) -> None:
    with httpx2.Client(verify=world.pki.tls_of(None), timeout=20) as client:
        assert client.get(f"{world.url}/portal/").status_code in {200, 303}
        answer = client.get(f"{world.url}{MESSAGES}", headers=world.token(Role.AUDITOR))
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"]


def test_a_gateway_takes_messages_from_the_hub_only(world: World, tmp_path: Path) -> None:
    file = write_gateway(tmp_path, world, EMPLOYMENT, "labour")
    port = load_gateway_settings(file, {"PASSPHRASE": "x"}).port
    with gateway(file):
        for label, code in (
            ("federation-tls", "exchange.client_certificate_mismatch"),
            (None, "exchange.client_certificate_missing"),
        ):
            with httpx2.Client(verify=world.pki.tls_of(label), timeout=20) as client:
                refused = client.post(f"https://127.0.0.1:{port}/messages", content=b"")
                assert (refused.status_code, refused.json()["code"]) == (403, code)


def test_a_gateway_asks_no_other_server_than_the_hubs(world: World, tmp_path: Path) -> None:
    labour = write_gateway(tmp_path, world, EMPLOYMENT, "labour")
    port = load_gateway_settings(labour, {"PASSPHRASE": "x"}).port
    misled = write_gateway(tmp_path, world, FUND, "federation", hub_url=f"https://127.0.0.1:{port}")
    with gateway(labour), gateway(misled) as federation:
        with pytest.raises(ExchangeError) as refused:
            ask(federation.client_for(FUND))
        assert refused.value.code == "exchange.undeliverable"
        assert f"not of {HUB_MEMBER}" in refused.value.detail


def test_a_renewed_certificate_is_used_without_a_restart(world: World, tmp_path: Path) -> None:
    pki = world.pki
    for kind in ("key", "chain"):
        shutil.copy(getattr(pki, kind)("labour-tls"), tmp_path / f"tls.{kind}.pem")
    tls = '{key: tls.key.pem, chain: tls.chain.pem, passphrase: "env:PASSPHRASE"}'
    file = write_gateway(tmp_path, world, EMPLOYMENT, "labour", tls=tls)
    port = load_gateway_settings(file, {"PASSPHRASE": "x"}).port
    with gateway(file) as labour:
        register(world, port)
        assert world.send(world.request().raw).fault is None
        connections = labour.connections
        assert connections is not None
        # The chain comes first; until its key is there, the old ones stay in use.
        shutil.copy(pki.chain("labour-tls-next"), tmp_path / "tls.chain.pem")
        connections.look()
        assert connections.certificate == pki.certificates("labour-tls")[0]
        shutil.copy(pki.key("labour-tls-next"), tmp_path / "tls.key.pem")
        wait_for(lambda: connections.certificate == pki.certificates("labour-tls-next")[0])
        assert world.send(world.request().raw).fault is None
        assert served_certificate(port) == pki.certificate("labour-tls-next").read_text()


def served_certificate(port: int) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=30,
    ).stdout.decode()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
    return begin + shown.split(begin)[1].split(end)[0] + end


def test_curl_with_the_departments_certificate_sends_a_message(world: World, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    register(world, free_port(), scheme="http")
    (tmp_path / "request.asice").write_bytes(world.request().raw)
    command = ["curl", "--silent", "--show-error", "--cacert", str(world.pki.certificate("root"))]
    command += ["--cert", str(world.pki.chain("federation-tls"))]
    command += ["--key", str(world.pki.key("federation-tls")), "--pass", PASSPHRASE.decode()]
    command += ["--data-binary", f"@{tmp_path / 'request.asice'}", "-o", str(tmp_path / "answer.asice")]
    command += ["-H", f"Content-Type: {CONTAINER_MEDIA_TYPE}", f"{world.url}{MESSAGES}"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    # Nobody listens at the gateway's port; the hub's signed fault says so.
    assert (
        read_fault(open_envelope((tmp_path / "answer.asice").read_bytes())).code == "exchange.undeliverable"
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hub_url": "http://192.0.2.1:8443"}, "settings.connection_unprotected"),
        (
            {"host": "192.0.2.9", "tls": "null", "hub_url": "http://127.0.0.1:1"},
            "settings.connection_unprotected",
        ),
        ({"tls": "null"}, "settings.invalid"),
    ],
)
def test_a_gateway_does_not_start_unprotected(
    world: World, tmp_path: Path, changes: dict[str, str], code: str
) -> None:
    file = write_gateway(tmp_path, world, EMPLOYMENT, "labour", **changes)
    with pytest.raises(SettingsError) as refused:
        load_gateway_settings(file, {"PASSPHRASE": "x"})
    assert refused.value.code == code


def test_a_gateway_behind_a_terminator_says_so(world: World, tmp_path: Path) -> None:
    changes = {
        "host": "192.0.2.9",
        "tls": "null",
        "hub_url": "http://192.0.2.1",
        "plain_http_beyond_loopback": "true",
    }
    file = write_gateway(tmp_path, world, EMPLOYMENT, "labour", **changes)
    assert load_gateway_settings(file, {"PASSPHRASE": "x"}).tls is None


def test_the_pages_answers_name_no_server(world: World) -> None:
    with httpx2.Client(verify=world.pki.tls_of(None), timeout=20) as client:
        answer = client.get(f"{world.url}/nothing-here", headers={"Accept-Language": "en"})
        assert answer.status_code == 404
        assert "server" not in answer.headers
        assert answer.headers["content-security-policy"]
        assert json.loads(answer.content)["code"]
