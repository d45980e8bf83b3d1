# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from adapters.configuration import load_adapters
from adapters.simulators.misbehaviour import Misbehaviour, StandIn
from adapters.simulators.population import FIRST_EMPLOYER, SECOND_EMPLOYER
from hub.errors import AdapterError
from tests.adapters.running import call_of, check_response, described, free_port, only_adapter, running_app

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from tests.adapters.running import RunningStandIns

DEMO = "labour-bureau.yaml"
QUESTION: JsonObject = {"employer": FIRST_EMPLOYER, "year": 2026}
SOAP_12 = "{urn:chenghua:rsj:ygba}YGBASoap12"


def refusal(
    configured: ConfiguredAdapter, question: JsonObject = QUESTION, *, seconds: float = 10.0
) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        configured.adapter.answer(question, call_of(configured, timeout_seconds=seconds))
    return caught.value


@pytest.mark.parametrize("binding", [None, SOAP_12])
@pytest.mark.parametrize("password_type", ["digest", "text"])
def test_the_stand_in_answers_in_the_words_of_the_contract(
    stand_ins: RunningStandIns, binding: str | None, password_type: str
) -> None:
    changes = {"connection__binding": binding, "connection__username_token__password_type": password_type}
    with stand_ins.adapter(DEMO, **changes) as configured:
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    check_response("employment-record/v1", answer.data)
    assert answer.data["employer"] == {"uscc": FIRST_EMPLOYER, "name": "成都市成华区晨曦纸品有限公司"}
    headcount = cast("list[dict[str, Any]]", answer.data["headcount"])
    assert [row["month"] for row in headcount] == [f"2026-{number:02d}" for number in range(1, 10)]
    assert {row["employees"] for row in headcount} == {12}
    workers = cast("list[dict[str, Any]]", answer.data["workers"])
    assert len(workers) == 12
    [dispatched] = [worker for worker in workers if worker["kind"] == "dispatched"]
    assert dispatched["counted_by"] == SECOND_EMPLOYER
    assert answer.data["retrieved_at"] == "2026-09-15T04:00:00.000Z"


def test_an_answer_that_breaks_the_contract_is_not_made_good(stand_ins: RunningStandIns) -> None:
    with (
        stand_ins.adapter(DEMO) as configured,
        stand_ins.misbehaving(StandIn.SOAP, Misbehaviour.BREAKS_CONTRACT),
    ):
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    headcount = cast("list[dict[str, Any]]", answer.data["headcount"])
    assert headcount[0]["employees"] == -1


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"employer": "91510108MA6C00003K", "year": 2026}, "record_not_found"),
        ({"employer": FIRST_EMPLOYER, "year": 2027}, "record_not_found"),
        ({"employer": FIRST_EMPLOYER}, "mapping_failed"),
    ],
)
def test_a_question_without_a_record_is_told_so(
    stand_ins: RunningStandIns, question: JsonObject, code: str
) -> None:
    with stand_ins.adapter(DEMO) as configured:
        assert refusal(configured, question).code == f"adapter.{code}"


@pytest.mark.parametrize(
    ("how", "code", "detail"),
    [
        (Misbehaviour.FAULT, "system_fault", "E9001"),
        (Misbehaviour.SLOW, "system_timeout", ""),
        (Misbehaviour.UNKNOWN_CODE, "mapping_failed", "用工方式"),
        (Misbehaviour.ENTITY_BOMB, "answer_unreadable", ""),
        (Misbehaviour.EXTERNAL_ENTITY, "answer_unreadable", "DTDForbidden"),
        (Misbehaviour.OVERSIZED, "answer_unreadable", "7000000"),
        (Misbehaviour.REDIRECT, "answer_unreadable", "198.51.100.7"),
    ],
)
def test_a_system_that_misbehaves_is_refused(
    stand_ins: RunningStandIns, how: Misbehaviour, code: str, detail: str
) -> None:
    with stand_ins.adapter(DEMO) as configured:
        with stand_ins.misbehaving(StandIn.SOAP, how):
            error = refusal(configured, seconds=0.5)
        assert configured.adapter.answer(QUESTION, call_of(configured)).data

    assert error.code == f"adapter.{code}"
    assert detail in error.detail


def test_a_wrong_password_is_a_fault_of_the_system(
    stand_ins: RunningStandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[str, str]", stand_ins.environment), "LABOUR_BUREAU_PASSWORD", "wrong")
    with stand_ins.adapter(DEMO) as configured:
        error = refusal(configured)

    assert (error.code, "E0401" in error.detail) == ("adapter.system_fault", True)


def test_a_request_the_wsdl_does_not_know_is_not_sent(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO, request__object__ZZ={"value": "1"}) as configured:
        assert refusal(configured).code == "adapter.mapping_failed"


def test_several_threads_may_ask_at_once(stand_ins: RunningStandIns) -> None:
    counts: list[int] = []

    def ask(configured: ConfiguredAdapter) -> None:
        for _ in range(5):
            answer = configured.adapter.answer(QUESTION, call_of(configured))
            counts.append(len(cast("list[object]", answer.data["workers"])))

    with stand_ins.adapter(DEMO) as configured:
        threads = [threading.Thread(target=ask, args=[configured]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert counts == [12] * 20


def test_a_system_that_is_away_when_the_gateway_starts_is_asked_later(tmp_path: Path) -> None:
    port = free_port()
    environment = {"LABOUR_BUREAU_PORT": str(port), "LABOUR_BUREAU_PASSWORD": "x"}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        assert refusal(configured).code == "adapter.system_unreachable"


@pytest.mark.parametrize(
    ("prolog", "import_line", "reason"),
    [
        ('<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "", "document_type"),
        ("<!DOCTYPE d>", "", "document_type"),
        ("", '<xs:import namespace="urn:x" schemaLocation="http://198.51.100.7/x.xsd"/>', "198.51.100.7"),
        ("", '<xs:include schemaLocation="../outside.xsd"/>', "out of its folder"),
        ("", '<xs:include schemaLocation="file:///etc/outside.xsd"/>', "out of its folder"),
        ("<broken>", "", "WSDL"),
    ],
)
def test_a_hostile_wsdl_is_refused_when_the_gateway_starts(
    tmp_path: Path, stand_ins: RunningStandIns, prolog: str, import_line: str, reason: str
) -> None:
    text = (resources.files("adapters.simulators") / "soap.wsdl").read_text(encoding="utf-8")
    head, _, rest = text.partition("?>")
    marker = 'elementFormDefault="qualified">'
    (tmp_path / "outside.xsd").write_text("<x/>", encoding="utf-8")
    (tmp_path / "inside").mkdir()
    wsdl = tmp_path / "inside" / "hostile.wsdl"
    wsdl.write_text(f"{head}?>{prolog}{rest.replace(marker, marker + import_line)}", encoding="utf-8")
    path = described(tmp_path, DEMO, connection__wsdl=str(wsdl))

    with pytest.raises(AdapterError) as caught:
        load_adapters(path, environment=stand_ins.environment)

    assert caught.value.code == "adapter.configuration_invalid"
    assert reason in str(caught.value)


def test_a_remote_wsdl_may_not_import_from_another_host(tmp_path: Path) -> None:
    def wsdl(_: Request) -> Response:
        return Response(
            '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:x">'
            '<wsdl:import namespace="urn:y" location="http://198.51.100.7/other.wsdl"/></wsdl:definitions>',
            media_type="text/xml",
        )

    with running_app(Starlette(routes=[Route("/ygba", wsdl)])) as port:
        environment = {"LABOUR_BUREAU_PORT": str(port), "LABOUR_BUREAU_PASSWORD": "x"}
        with pytest.raises(AdapterError, match=r"imports from 198\.51\.100\.7"):
            load_adapters(described(tmp_path, DEMO), environment=environment)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, "not XML", "answer_unreadable"),
        (200, "<a/>", "answer_unreadable"),
        (503, "busy", "system_unreachable"),
        (500, "stack trace", "system_fault"),
        (404, "", "system_fault"),
    ],
)
def test_an_answer_that_is_not_soap_is_refused(tmp_path: Path, status: int, body: str, code: str) -> None:
    def reply(_: Request) -> Response:
        return Response(body, status_code=status, media_type="text/xml")

    with running_app(Starlette(routes=[Route("/ygba", reply, methods=["POST"])])) as port:
        wsdl = (resources.files("adapters.simulators") / "soap.wsdl").read_bytes()
        (tmp_path / "soap.wsdl").write_bytes(wsdl)
        changes = {"connection__wsdl": "soap.wsdl", "connection__address": "http://127.0.0.1/ygba"}
        environment = {"LABOUR_BUREAU_PORT": str(port), "LABOUR_BUREAU_PASSWORD": "x"}
        with only_adapter(described(tmp_path, DEMO, **changes), environment) as configured:
            assert refusal(configured).code == f"adapter.{code}"
