# SPDX-License-Identifier: Apache-2.0
"""Stand-ins generated from WSDLs: every operation answers what its own schema says, and zeep can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree
from zeep.exceptions import Fault, TransportError

from adapters.simulators.generated import FilePlan, Misbehaviour, Misconduct, running_file
from adapters.simulators.generated.envelopes import reply
from adapters.simulators.generated.soap import SoapStandIn
from adapters.simulators.generated.wsdl import read_served
from adapters.soap.wsdl import open_client
from hub.clock import SystemClock
from hub.errors import AdapterError

WSDL = Path(__file__).parents[4] / "adapters" / "simulators" / "soap.wsdl"
SHARED = Path(__file__).parents[4] / ".." / "shared" / "data" / "wsdl"
# zeep publishes no types.
_zeep: Any = zeep
SOAP_11, SOAP_12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
QUESTION = {"LSH": "1", "DWDM": "91510108MA6C00001C", "ND": "2025"}
TRICKY = Path(__file__).with_name("tricky.wsdl")


def client(folder: Path, *, port: str | None = None) -> Any:
    opened = _zeep.Client(str(folder / "service.wsdl"))
    return opened.service if port is None else opened.bind(port_name=port)


@pytest.mark.parametrize("port", ["YGBASoap11", "YGBASoap12"])
def test_an_operation_answers_what_its_schema_says_about_what_was_asked(port: str, tmp_path: Path) -> None:
    with running_file(FilePlan(file=WSDL, folder=tmp_path)):
        answer = client(tmp_path, port=port).CXYGBA(**QUESTION)
        again = client(tmp_path, port=port).CXYGBA(**QUESTION)
    assert QUESTION["DWDM"] == answer.DWXX.DWDM
    assert QUESTION["ND"] == answer.ND
    assert len(answer.RYXX) == 2
    assert repr(answer) == repr(again)


def test_nobody_is_answered_by_the_fault_the_wsdl_declares(tmp_path: Path) -> None:
    with running_file(FilePlan(file=WSDL, folder=tmp_path)), pytest.raises(Fault) as fault:
        client(tmp_path).CXYGBA(
            LSH="1", DWDM="91990000MA60000000"[:17] + _check("91990000MA6000000"), ND="2025"
        )
    assert fault.value.detail.find("{*}CWXX/{*}CWDM") is not None


def _check(stem: str) -> str:
    from hub.identifiers import is_uscc

    return next(each for each in "0123456789ABCDEFGHJKLMNPQRTUWXY" if is_uscc(stem + each))


@pytest.mark.parametrize("way", [Misbehaviour.FAULT, Misbehaviour.HALF_WRITTEN])
def test_what_goes_wrong_on_demand_does(way: Misbehaviour, tmp_path: Path) -> None:
    plan = FilePlan(file=WSDL, folder=tmp_path, misconduct=Misconduct(ways=(way,)))
    with running_file(plan), pytest.raises((Fault, TransportError, zeep.exceptions.XMLSyntaxError)):
        client(tmp_path).CXYGBA(**QUESTION)


def test_derived_types_groups_attributes_and_rpc_are_written_as_the_schema_says(tmp_path: Path) -> None:
    with running_file(FilePlan(file=TRICKY, folder=tmp_path)):
        answer = client(tmp_path, port="P").Ask(id="AB1234")
        small = client(tmp_path, port="RP").Old("x")
    assert answer.it.id == "AB1234"
    assert type(answer.it).__name__ == "Sub"
    assert answer.it.child is not None
    assert {str(each) for each in answer.it.kind} <= {"a", "b"}
    assert answer.small in {3, 4}
    assert answer.money.currency == "CNY"
    assert answer.lang == "zh-CN"
    assert small in {3, 4}


def test_a_sample_of_the_tricky_schema_is_valid() -> None:
    from datetime import UTC, datetime
    from random import Random

    from adapters.invention import Asked
    from adapters.simulators.generated.instances import Sampler

    served = read_served(TRICKY)
    [schema] = served.root.iter("{http://www.w3.org/2001/XMLSchema}schema")
    judge = etree.XMLSchema(etree.fromstring(etree.tostring(schema)))
    for seed in range(20):
        sampler = Sampler(served.schemas, Random(seed), datetime(2026, 3, 2, tzinfo=UTC), Asked())  # noqa: S311 - reproducible
        sample = sampler.of_element("{urn:t}answer")
        assert sample is not None
        judge.assertValid(etree.fromstring(etree.tostring(sample)))


@pytest.mark.parametrize(
    "content", [b"", b"<html/>", b"<a", b"<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>"]
)
def test_a_file_nothing_can_be_made_of_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "broken.wsdl"
    file.write_bytes(content)
    with pytest.raises(AdapterError) as refused, running_file(FilePlan(file=file, folder=tmp_path)):
        pytest.fail("it runs")
    assert refused.value.code == "adapter.configuration_invalid"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a>&e;</a>',
        f'<e:Envelope xmlns:e="{SOAP_11}"><e:Body/></e:Envelope>'.encode(),
        f'<e:Envelope xmlns:e="{SOAP_12}"><e:Body><x/></e:Body></e:Envelope>'.encode(),
    ],
)
def test_a_request_that_is_none_gets_a_fault_and_the_stand_in_lives_on(body: bytes, tmp_path: Path) -> None:
    import httpx2

    with running_file(FilePlan(file=WSDL, folder=tmp_path)) as offer, httpx2.Client(trust_env=False) as http:
        url = f"http://127.0.0.1:{offer.port}/service"
        answer = http.post(url, content=body)
        assert answer.status_code == 500
        assert b"Fault" in answer.content
        assert http.get(f"{url}?wsdl").content.startswith(b"<?xml")
        assert client(tmp_path).CXYGBA(**QUESTION).ND == "2025"


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/wsdl is not on this machine")
def test_vies_gets_a_stand_in(tmp_path: Path) -> None:
    [file] = sorted((SHARED / "vies").glob("*.wsdl"))[:1]
    with running_file(FilePlan(file=file, folder=tmp_path)):
        answer = client(tmp_path).checkVat(countryCode="AT", vatNumber="U12345678")
    assert answer.countryCode == "AT"
    assert answer.vatNumber == "U12345678"
    assert isinstance(answer.valid, bool)


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/wsdl is not on this machine")
def test_what_every_wsdl_describes_can_be_answered_as_its_schema_says() -> None:
    """The answers are read by zeep, which knows nothing of how they were written."""
    read = unread = 0
    for file in sorted(SHARED.rglob("*.wsdl")):
        try:
            served = read_served(file, SHARED / "catalog")
            opened: Any = open_client(served.at_address("http://127.0.0.1/service"))
        except (AdapterError, ValueError):
            continue
        stand_in = SoapStandIn(wsdl=served, misconduct=Misconduct(), seed="0", clock=SystemClock())
        spoken = [each for each in opened.wsdl.bindings.values() if "Soap" in type(each).__name__]
        for binding in spoken:
            version = SOAP_12 if "12" in type(binding).__name__ else SOAP_11
            for name, operation in getattr(binding, "_operations", {}).items():
                found = next((each for each in served.operations if each.name == name), None)
                if found is None or found.answers is None:
                    continue
                answer = stand_in.answer(found, None)
                try:
                    operation.process_reply(etree.fromstring(bytes(reply(version, answer or []).body)))
                    read += 1
                except (zeep.exceptions.Error, IndexError):
                    unread += 1
    assert read > 100
    assert unread <= read / 50
