# SPDX-License-Identifier: Apache-2.0
"""The gateway's SOAP endpoint, asked by zeep and by PHP; behind it stands what the hub would answer."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest
import zeep
from lxml import etree
from starlette.applications import Starlette
from zeep.exceptions import Fault
from zeep.wsse.username import UsernameToken

from adapters.references import Surroundings
from adapters.soap.inbound import SoapDesk, SoapServiceSettings
from hub.clock import FixedClock, SystemClock
from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId, new_message_id
from tests.adapters.running import TODAY, running_app, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.hubclient import Question
    from hub.clock import Clock

CONTRACTS = load_contracts(Path(__file__).parents[4] / "contracts")
SERVICE = "11510108MB1A00002M/employment/echo"
SUBSYSTEM = "13510108MB1A00003J/fund"
PURPOSE = {"item": "000788002000", "case": "CL-1", "legal_basis": "条例", "official": "周敏", "post": "岗"}
SPACE = "urn:heliograph:contract:echo:v1"

_Client: Any = zeep.Client
_Token: Any = UsernameToken


@dataclass
class Hub:
    """Answers in the hub's place, and remembers what it was asked."""

    asked: list[Question] = field(default_factory=list)
    put_in: list[Question] = field(default_factory=list)

    def ask(self, question: Question) -> object:
        self.asked.append(question)
        if question.data["text"] == "nobody":
            raise AdapterError("adapter.record_not_found", "a detail that stays here")
        payloads = {"response.json": json.dumps(dict(question.data)).encode()}
        return SimpleNamespace(data=dict(question.data), payloads=payloads)

    def put(self, key: str, question: Question, *, origin: str, sender: str) -> str:
        assert (key.startswith("soap-"), origin, sender) == (True, "soap", SUBSYSTEM)
        self.put_in.append(question)
        return new_message_id(TODAY)


@contextmanager
def desk(hub: Hub, clock: Clock | None = None, **more: object) -> Iterator[str]:
    """Serve the desk; yields the address of its service."""
    described = {
        "service": SERVICE,
        "contract": "echo/v1",
        "subsystem": SUBSYSTEM,
        "callers": [{"username": "old", "password": "env:SECRET"}],
        **more,
    }
    settings = SoapServiceSettings.model_validate(
        described, context=Surroundings(Path(), {"SECRET": "long and secret"})
    )
    app = SoapDesk(
        [settings],
        contracts=CONTRACTS,
        client_for=lambda _: cast("Any", hub),
        outgoing=cast("Any", hub),
        clock=clock or SystemClock(),
    )
    with running_app(Starlette(routes=app.routes())) as port:
        yield f"http://127.0.0.1:{port}/soap/{settings.service}"


def asking(address: str, password: str = "long and secret", **token: object) -> Any:  # noqa: S107 - invented
    return _Client(f"{address}?wsdl", wsse=_Token("old", password, **token))


@pytest.mark.parametrize("use_digest", [True, False])
@pytest.mark.parametrize("port", ["EchoSoap11", "EchoSoap12"])
def test_zeep_asks_by_the_wsdl_of_the_contract(port: str, *, use_digest: bool) -> None:
    hub = Hub()
    with desk(hub) as address:
        client = asking(address, use_digest=use_digest)
        answer = client.bind("Echo", port).Echo(text="你好 <&> ", purpose=PURPOSE)

    assert answer == "你好 <&> "
    [question] = hub.asked
    assert (question.service, question.contract) == (SERVICE, ContractId("echo/v1"))
    assert (question.purpose.case, question.purpose.official) == ("CL-1", "周敏")
    assert dict(question.data) == {"text": "你好 <&> "}


def test_what_the_settings_say_of_the_purpose_need_not_be_said_and_is_not_overruled() -> None:
    hub = Hub()
    with desk(hub, purpose={**PURPOSE, "official": "前置机"}) as address:
        client = asking(address)
        client.service.Echo(text="a")
        client.service.Echo(text="b", purpose={"official": "somebody else"})

    assert [question.purpose.official for question in hub.asked] == ["前置机", "前置机"]


def test_a_request_without_its_purpose_is_refused() -> None:
    hub = Hub()
    with desk(hub) as address, pytest.raises(Fault, match="SOAP") as caught:
        asking(address).service.Echo(text="a", purpose={**PURPOSE, "case": ""})

    assert caught.value.code == "soap:Client"
    assert b"adapter.request_unreadable" in etree.tostring(caught.value.detail)
    assert hub.asked == []


@pytest.mark.parametrize("port", ["EchoSoap11", "EchoSoap12"])
def test_a_refusal_of_the_hub_is_a_fault_with_its_code_and_without_its_detail(port: str) -> None:
    with desk(Hub()) as address, pytest.raises(Fault) as caught:
        asking(address).bind("Echo", port).Echo(text="nobody", purpose=PURPOSE)

    detail = etree.tostring(caught.value.detail)
    assert b"adapter.record_not_found" in detail
    assert b"stays here" not in detail


@pytest.mark.parametrize(
    "token",
    [
        {"password": "wrong"},
        {"password": "wrong", "use_digest": True},
        {"password": ""},
    ],
)
def test_a_wrong_password_is_refused(token: dict[str, Any]) -> None:
    hub = Hub()
    with desk(hub) as address, pytest.raises(Fault) as caught:
        asking(address, **token).service.Echo(text="a", purpose=PURPOSE)

    assert b"adapter.caller_refused" in etree.tostring(caught.value.detail)
    assert hub.asked == []


def test_without_a_token_nobody_is_believed() -> None:
    hub = Hub()
    with desk(hub) as address, pytest.raises(Fault) as caught:
        _Client(f"{address}?wsdl").service.Echo(text="a", purpose=PURPOSE)

    assert b"adapter.caller_refused" in etree.tostring(caught.value.detail)
    assert hub.asked == []


def test_a_digest_is_believed_once_and_only_while_it_is_fresh() -> None:
    hub = Hub()
    with desk(hub) as address:
        client = asking(address, use_digest=True)
        envelope = client.create_message(client.service, "Echo", text="a", purpose=PURPOSE)
        signed, _ = client.wsse.apply(envelope, {})
        content = etree.tostring(signed)
        first, second = (httpx2.post(address, content=content) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 500)
    assert "adapter.caller_refused" in second.text
    with desk(Hub(), FixedClock(TODAY)) as address:
        assert "adapter.caller_refused" in httpx2.post(address, content=content).text


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "a document type"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16"), "a document type, in UTF-16"),
        (b"not xml", "no XML"),
        (b"", "nothing"),
        (b"<x/>", "no envelope"),
        (b"<a>" * 500 + b"</a>" * 500, "too deep"),
        (b"<a>" + b"x" * 2_000_000 + b"</a>", "too large"),
        (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>', "empty"),
        (
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">%b<s:Body><y/></s:Body></s:Envelope>'
            % b'<s:Header><x s:mustUnderstand="1"/></s:Header>',
            "a header that must be understood",
        ),
    ],
)
def test_what_attacks_or_is_no_envelope_is_refused_and_the_gateway_lives_on(
    content: bytes, what: str
) -> None:
    hub = Hub()
    with desk(hub) as address:
        reply = httpx2.post(address, content=content)
        assert asking(address).service.Echo(text="a", purpose=PURPOSE) == "a"

    assert (reply.status_code, what) == (500, what)
    assert "adapter.request_unreadable" in reply.text
    assert len(hub.asked) == 1


def test_an_unknown_service_has_no_wsdl_and_answers_a_fault() -> None:
    with desk(Hub()) as address:
        assert httpx2.get(f"{address}x?wsdl").status_code == 404
        assert httpx2.get(address).status_code == 404
        assert "adapter.service_unknown" in httpx2.post(f"{address}x", content=b"<x/>").text


def test_what_nobody_waits_for_goes_into_the_queue() -> None:
    hub = Hub()
    with desk(hub, contract="notice/v1", purpose=PURPOSE) as address:
        client = asking(address)
        example = {"title": "通知", "text": "明日停机"}
        client.service.Notice(**example)

    [question] = hub.put_in
    assert dict(question.data) == example
    assert hub.asked == []


@pytest.mark.skipif(tool("php") is None, reason="needs php with its soap extension (php-cli, php-soap)")
@pytest.mark.parametrize("version", ["1", "2"])
def test_php_asks_by_the_wsdl_of_the_contract(version: str) -> None:
    hub = Hub()
    script = Path(__file__).with_name("caller.php")
    with desk(hub, purpose=PURPOSE) as address:
        ran = subprocess.run(
            ["php", str(script), address, version, "old", "long and secret", "你好"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert (ran.stdout, ran.stderr, ran.returncode) == ("你好", "", 0)
    assert dict(hub.asked[0].data) == {"text": "你好"}
