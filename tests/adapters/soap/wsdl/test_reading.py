# SPDX-License-Identifier: Apache-2.0
"""WSDLs as they are met: what is sound is read as it stands, what is broken is mended or told."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zeep
from lxml import etree

from adapters.soap.catalogue import Catalogue, well_known
from adapters.soap.wsdl import read_wsdl
from adapters.sources import Severity, ShapeType
from hub.errors import Language
from tests.adapters.soap.wsdl.texts import (
    BINDING,
    HEAD,
    MESSAGES,
    PORT_TYPE,
    SERVICE,
    SPACES,
    TYPES,
    written,
    wsdl,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.sources import Shape, Source

SHARED = Path(__file__).parents[5] / "shared" / "data" / "wsdl"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/wsdl")

_Client: Any = zeep.Client


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every attempt to use the network fail the test, whoever may catch what it raises."""
    tried: list[object] = []

    def refuse(*wanted: object, **_: object) -> None:
        tried.append(wanted)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert tried == []


def codes(source: Source) -> set[str]:
    return {finding.code for finding in source.findings}


def field(shape: Shape, *names: str) -> Shape:
    for name in names:
        [shape] = [child for child in shape.children if child.name == name]
    return shape


def test_a_sound_wsdl_has_no_findings_and_a_ready_connection(tmp_path: Path) -> None:
    path = written(tmp_path, wsdl())

    source = read_wsdl(path)

    assert source.findings == ()
    [ask] = source.operations
    assert (ask.name, ask.about, ask.is_usable) == ("ask", "Who is it?", True)
    assert ask.connection == {"wsdl": str(path), "binding": "{urn:t}DeskSoap", "operation": "ask"}
    assert [(child.name, child.type, child.is_required) for child in ask.request.children] == [
        ("id", ShapeType.TEXT, True),
        ("kind", ShapeType.TEXT, False),
    ]
    assert field(ask.request, "kind").codes == ("A", "B")
    assert [(child.name, child.type, child.is_list) for child in ask.answer.children] == [
        ("name", ShapeType.TEXT, False),
        ("born", ShapeType.DATE, False),
        ("months", ShapeType.INTEGER, True),
        ("photo", ShapeType.BYTES, False),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        pytest.param("<!DOCTYPE html><html><body>sign in</body></html>", "soap.html", 1, id="html"),
        pytest.param("\n <HTML><body/></HTML>", "soap.html", 1, id="html without a type"),
        pytest.param("", "source.unreadable", None, id="empty"),
        pytest.param("not found", "soap.not_xml", 1, id="text"),
        pytest.param("<", "soap.not_xml", 1, id="one character"),
        pytest.param(b"\xff\xfe<\x00a\x00/\x00>\x00", "soap.not_a_wsdl", 1, id="utf-16 of something else"),
        pytest.param(b"\x00\x01\x02\x03", "soap.not_xml", 1, id="bytes"),
        pytest.param(
            "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'/>", "soap.not_a_wsdl", 1, id="xsd"
        ),
        pytest.param("<description xmlns='http://www.w3.org/ns/wsdl'/>", "soap.wsdl_20", 1, id="wsdl 2.0"),
        pytest.param(
            f"{HEAD}<!DOCTYPE x [<!ENTITY a 'b'>]>\n<x>&a;</x>", "soap.document_type", 2, id="entity"
        ),
        pytest.param("<a>" * 300 + "</a>" * 300, "soap.too_deep", 1, id="deep"),
        pytest.param(wsdl(port_type="", binding="", service=""), "soap.nothing_to_ask", None, id="abstract"),
    ],
)
def test_what_cannot_be_used_is_refused_with_reason_and_cure(
    tmp_path: Path, text: str | bytes, code: str, line: int | None
) -> None:
    source = read_wsdl(written(tmp_path, text))

    assert not source.is_usable
    [error] = [finding for finding in source.findings if finding.severity is Severity.ERROR]
    assert error.code == code
    assert error.at == ("desk.wsdl" if line is None else f"desk.wsdl:{line}")
    assert all(error.cure[language] for language in Language)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        pytest.param(
            wsdl(spaces=SPACES.replace('xmlns:xs="http://www.w3.org/2001/XMLSchema"', "")),
            "soap.prefix_undeclared",
            4,
            id="prefix of an element",
        ),
        pytest.param(
            wsdl(types=TYPES.replace('type="t:Kind"', 'type="u:Kind"')),
            "soap.found_elsewhere",
            7,
            id="prefix of a name",
        ),
        pytest.param(
            wsdl(types=TYPES.replace('type="t:Kind"', 'type="t:Gone"')),
            "soap.undefined",
            7,
            id="missing type",
        ),
        pytest.param(
            wsdl(types=TYPES.replace('type="xs:date"', 'type="xs:day"')),
            "soap.undefined",
            12,
            id="type that XML Schema lacks",
        ),
        pytest.param(
            wsdl(types=TYPES.replace('targetNamespace="urn:t"', 'targetNamespace="urn:u"')),
            "soap.found_elsewhere",
            7,
            id="wrong target namespace",
        ),
        pytest.param(
            wsdl(messages=MESSAGES.replace("t:Told", "t:Gone")),
            "soap.undefined",
            22,
            id="missing element of a part",
        ),
        pytest.param(
            wsdl(messages=MESSAGES.replace(' element="t:Told"', "")),
            "soap.part_without_type",
            22,
            id="part without type",
        ),
        pytest.param(
            wsdl(messages=MESSAGES.splitlines()[0] + "\n"),
            "soap.message_missing",
            24,
            id="missing message of the answer",
        ),
        pytest.param(
            wsdl(port_type=PORT_TYPE.replace("t:AskIn", "AskIn")), None, 0, id="name without prefix"
        ),
        pytest.param(
            wsdl(
                types=TYPES.replace(
                    "</wsdl:types>",
                    '<xs:schema targetNamespace="urn:t"><xs:complexType '
                    'name="Told"/></xs:schema></wsdl:types>',
                )
            ),
            "soap.duplicate",
            20,
            id="defined twice",
        ),
        pytest.param(
            wsdl(binding=BINDING.replace("http://schemas.xmlsoap.org/soap/http", "HTTP")),
            "soap.transport_wrong",
            27,
            id="transport",
        ),
        pytest.param(
            wsdl(binding=BINDING.replace("soap:", "wsdl:")),
            "soap.extension_namespace",
            28,
            id="binding without the namespace of SOAP",
        ),
        pytest.param(
            wsdl(
                types=TYPES.replace(
                    '<xs:sequence>\n        <xs:element name="id"', '<xs:element name="id"', 1
                ).replace("</xs:sequence></xs:complexType></xs:element>", "</xs:complexType></xs:element>", 1)
            ),
            "soap.sequence_missing",
            5,
            id="no sequence",
        ),
        pytest.param(
            wsdl(
                types=TYPES.replace("2001/XMLSchema", "1999/XMLSchema"),
                spaces=SPACES.replace("2001/XMLSchema", "1999/XMLSchema"),
            ),
            "soap.old_schema",
            4,
            id="draft",
        ),
        pytest.param("junk\n" + wsdl(head=""), "soap.leading_text", 1, id="text before it"),
        pytest.param(
            wsdl(types=TYPES.replace('name="Kind"', 'name="Kind" broken')),
            "soap.malformed",
            16,
            id="damaged XML",
        ),
        pytest.param(
            wsdl(
                types=TYPES.replace(
                    '<xs:element name="Told"',
                    '<xs:import namespace="urn:x" '
                    'schemaLocation="http://198.51.100.7/x.xsd"/><xs:element name="Told"',
                )
            ),
            "soap.import_missing",
            9,
            id="import from the network",
        ),
        pytest.param(
            wsdl(types=TYPES.replace('<xs:element name="Told"', '<xs:include/><xs:element name="Told"')),
            "soap.include_without_place",
            9,
            id="include of nothing",
        ),
        pytest.param(
            wsdl().encode("gb18030").replace(b"Who is it?", "这是谁？".encode("gb18030")),
            "soap.wrong_encoding",
            1,
            id="encoding",
        ),
    ],
)
def test_what_can_be_mended_is_usable_and_told_with_its_line(
    tmp_path: Path, text: str | bytes, code: str | None, line: int
) -> None:
    source = read_wsdl(written(tmp_path, text))

    assert source.is_usable, source.findings
    assert [operation.name for operation in source.operations] == ["ask"]
    if code is None:
        assert source.findings == ()
    else:
        assert (code, f"desk.wsdl:{line}") in {(finding.code, finding.at) for finding in source.findings}


def test_what_is_mended_has_to_be_accepted_by_its_code(tmp_path: Path) -> None:
    [ask] = read_wsdl(written(tmp_path, wsdl(types=TYPES.replace("t:Kind", "t:Gone")))).operations

    assert ask.connection["repairs"] == ["soap.undefined"]


def test_imports_and_includes_are_read_from_files_beside(tmp_path: Path) -> None:
    kind = '<xs:simpleType name="Kind"><xs:restriction base="xs:string"/></xs:simpleType>'
    chameleon = (
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{kind}<xs:complexType name="Pair">'
        '<xs:sequence><xs:element name="first" type="Kind"/></xs:sequence></xs:complexType></xs:schema>'
    )
    written(tmp_path, chameleon, "parts/kinds.xsd")
    types = TYPES.replace(
        '<xs:element name="Told"', '<xs:include schemaLocation="parts/kinds.xsd"/><xs:element name="Told"'
    ).replace('type="xs:date"', 'type="t:Pair"')
    types = types[: types.index("<xs:simpleType")] + types[types.index("</xs:schema>") :]

    source = read_wsdl(written(tmp_path, wsdl(types=types)))

    assert source.findings == ()
    assert field(source.operations[0].answer, "born", "first").type == ShapeType.TEXT


def test_a_redefined_type_has_both_its_old_and_its_new_elements(tmp_path: Path) -> None:
    old = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t">'
        '<xs:complexType name="Pair"><xs:sequence><xs:element name="first" type="xs:int"/></xs:sequence>'
        "</xs:complexType></xs:schema>"
    )
    written(tmp_path, old, "old.xsd")
    new = (
        '<xs:redefine schemaLocation="old.xsd"><xs:complexType name="Pair"><xs:complexContent>'
        '<xs:extension base="t:Pair"><xs:sequence><xs:element name="second" type="xs:boolean"/></xs:sequence>'
        '</xs:extension></xs:complexContent></xs:complexType></xs:redefine><xs:element name="Told"'
    )
    types = TYPES.replace('<xs:element name="Told"', new).replace('type="xs:date"', 'type="t:Pair"')

    source = read_wsdl(written(tmp_path, wsdl(types=types)))

    assert source.findings == ()
    born = field(source.operations[0].answer, "born")
    assert [(child.name, child.type) for child in born.children] == [
        ("first", ShapeType.INTEGER),
        ("second", ShapeType.BOOLEAN),
    ]


def test_a_wsdl_in_two_files_is_one(tmp_path: Path) -> None:
    written(tmp_path, wsdl(binding="", service=""), "abstract.wsdl")
    concrete = (
        f'{HEAD}<wsdl:definitions targetNamespace="urn:c" {SPACES} xmlns:c="urn:c">'
        f'<wsdl:import namespace="urn:t" location="abstract.wsdl"/>{BINDING}'
        f"{SERVICE.replace('t:Desk', 'c:Desk')}"
        "</wsdl:definitions>"
    )

    source = read_wsdl(written(tmp_path, concrete))

    assert source.findings == ()
    assert source.operations[0].connection["binding"] == "{urn:c}DeskSoap"


def test_a_type_within_itself_is_cut(tmp_path: Path) -> None:
    types = TYPES.replace(
        '<xs:element name="born" type="xs:date"/>', '<xs:element name="next" type="t:Told" minOccurs="0"/>'
    )

    source = read_wsdl(written(tmp_path, wsdl(types=types)))

    assert field(source.operations[0].answer, "next").type == ShapeType.ANY


def test_imports_stay_below_the_folder_they_have_to(tmp_path: Path) -> None:
    written(tmp_path, '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>', "outside.xsd")
    include = '<xs:include schemaLocation="../outside.xsd"/><xs:element name="Told"'
    path = written(tmp_path, wsdl(types=TYPES.replace('<xs:element name="Told"', include)), "in/desk.wsdl")

    assert codes(read_wsdl(path, imports_below=tmp_path / "in")) == {"soap.import_missing"}
    [ask] = read_wsdl(path).operations
    assert ask.connection["imports_below"] == str(tmp_path)


@pytest.mark.parametrize("place", ["/etc/passwd", "file:///etc/hostname", "../../../../etc/hostname"])
def test_only_schemas_are_read_for_an_import(tmp_path: Path, place: str) -> None:
    include = f'<xs:include schemaLocation="{place}"/><xs:element name="Told"'
    source = read_wsdl(written(tmp_path, wsdl(types=TYPES.replace('<xs:element name="Told"', include))))

    assert codes(source) & {"soap.import_missing", "soap.not_xml"}
    assert "root" not in str(source.findings)


def test_the_catalogue_answers_for_an_address_and_for_a_namespace(tmp_path: Path) -> None:
    schema = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:k">'
        '<xs:simpleType name="Sort"><xs:restriction base="xs:int"/></xs:simpleType></xs:schema>'
    )
    file = written(tmp_path, schema, "catalogue/kinds.xsd")
    types = TYPES.replace(
        '<xs:element name="Told"',
        '<xs:import namespace="urn:k" schemaLocation="http://198.51.100.7/k.xsd"/><xs:element name="Told"',
    )
    types = types.replace('type="xs:date"', 'type="k:Sort" xmlns:k="urn:k"')
    path = written(tmp_path, wsdl(types=types))
    for catalogue in (
        Catalogue(addresses={"http://198.51.100.7/k.xsd": file}),
        Catalogue(folders=(file.parent,)),
    ):
        source = read_wsdl(path, catalogue)
        assert codes(source) <= {"soap.import_from_catalogue"}
        assert field(source.operations[0].answer, "born").type == ShapeType.INTEGER

    assert "soap.undefined" in codes(read_wsdl(path))


@pytest.mark.parametrize("namespace", sorted(well_known()))
def test_a_well_known_schema_is_a_schema(namespace: str) -> None:
    etree.fromstring(well_known()[namespace])


def test_a_header_is_part_of_the_request(tmp_path: Path) -> None:
    header = '<soap:header message="t:AskOut" part="body" use="literal"/><soap:body use="literal"/>'
    text = wsdl(binding=BINDING.replace('<soap:body use="literal"/>', header, 1))

    [ask] = read_wsdl(written(tmp_path, text)).operations

    assert field(ask.request, "_soapheaders", "body", "name").type == ShapeType.TEXT


@needs_shared
def test_every_wsdl_that_departments_really_have_registers_or_is_refused_with_a_reason() -> None:
    files = sorted(path for path in SHARED.rglob("*") if path.suffix in {".wsdl", ".txt"})
    catalogue = Catalogue(folders=(SHARED / "catalog",))
    usable = 0
    for path in files:
        source = read_wsdl(path, catalogue)
        errors = [finding for finding in source.findings if finding.severity is Severity.ERROR]
        assert source.is_usable or errors, path
        usable += source.is_usable
        source.as_json()
    # What is left has no operation, is abstract, or is no WSDL at all.
    assert len(files) - usable <= 12


@needs_shared
def test_what_zeep_reads_alone_reads_the_same_when_mended() -> None:
    compared = 0
    for path in sorted((SHARED / "suwinet").rglob("*.wsdl")) + sorted((SHARED / "vies").rglob("*.wsdl")):
        wsdl_alone = _Client(str(path)).wsdl
        ours = {operation.name: operation for operation in read_wsdl(path).operations}
        for binding in wsdl_alone.bindings.values():
            for name, operation in binding._operations.items():  # noqa: SLF001 - zeep lists them nowhere else
                wanted = [child for child, _ in operation.input.body.type.elements]
                assert [shape.name for shape in ours[name].request.children] == wanted, (path, name)
                compared += 1
    assert compared > 5
