# SPDX-License-Identifier: Apache-2.0
"""A contract as a WSDL: every example of every contract goes to XML and back, by the schema of its WSDL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from adapters.soap import read_wsdl
from adapters.soap.inbound import contract_form, contract_wsdl
from adapters.soap.inbound.form import FormError, Kind, element_name, fill, form_of, read
from hub.contracts import Pattern, load_contracts
from hub.errors import AdapterError

if TYPE_CHECKING:
    from hub.contracts import Contract, JsonValue

CONTRACTS = Path(__file__).parents[4] / "contracts"
XSD = "{http://www.w3.org/2001/XMLSchema}"


def speakable() -> list[Contract]:
    contracts = []
    for contract in load_contracts(CONTRACTS).values():
        try:
            contract_form(contract)
        except AdapterError:
            continue
        contracts.append(contract)
    return contracts


def examples(contract: Contract, side: str) -> list[JsonValue]:
    folder = CONTRACTS / contract.id / "examples"
    return [json.loads(file.read_bytes()) for file in sorted(folder.rglob(f"*{side}*.json"))]


@pytest.mark.parametrize("contract", speakable(), ids=lambda contract: contract.id)
def test_a_contract_becomes_a_wsdl_that_everybody_reads(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "contract.wsdl"
    path.write_bytes(contract_wsdl(contract, "http://127.0.0.1/soap"))

    source = read_wsdl(path)

    assert source.findings == ()
    form = contract_form(contract)
    [operation] = source.operations
    assert operation.name == form.name
    fields = [shape.name for shape in operation.request.children]
    assert fields == ["purpose", *(element_name(name) for name, _, _ in form.request.fields)]


@pytest.mark.parametrize("contract", speakable(), ids=lambda contract: contract.id)
def test_every_example_goes_to_xml_and_back_and_keeps_to_the_schema(contract: Contract) -> None:
    form = contract_form(contract)
    wsdl = etree.fromstring(contract_wsdl(contract, "http://127.0.0.1/soap", asks_purpose=False))
    schema = etree.XMLSchema(etree.fromstring(etree.tostring(next(wsdl.iter(f"{XSD}schema")))))
    sides = [("request", form.request, form.request_tag)]
    if form.answer is not None:
        sides.append(("response", form.answer, form.answer_tag))
    for side, place, tag in sides:
        for example in examples(contract, side):
            parts = [part for part in contract.request + contract.response if part.schema is not None]
            if not any(part.validator is not None and part.validator.is_valid(example) for part in parts):
                continue  # an example of what is refused
            node = etree.Element(tag)
            fill(node, example, place, form.space)
            assert schema.validate(node), schema.error_log
            assert read(node, place) == example


def test_the_repository_has_contracts_of_both_kinds_to_speak() -> None:
    patterns = {contract.pattern for contract in speakable()}
    assert patterns >= {Pattern.REQUEST}
    assert len(speakable()) >= 5


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, {"a": None}),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
          "required": ["a"]}, {"a": []}),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}},
         {"a": [1, 2]}),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "array", "items":
          {"type": "boolean"}}}}}, {"a": [[True], [], [False, True]]}),
        ({"type": "object", "properties": {"1 乱 x": {"type": "string"}}}, {"1 乱 x": " spaces stay "}),
        ({"type": "object", "properties": {"a": {}}}, {"a": {"any": [1, None]}}),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "number"}}},
         {"a": 1.5}),
        ({"type": "object", "properties": {"a": {"oneOf": [
            {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
            {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]}]}}},
         {"a": {"y": 3}}),
        ({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}},
         {"a": None}),
        ({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}},
         {"a": 7}),
        ({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
            "next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}}}, {"v": 1, "next": {"v": 2}}),
    ],
)  # fmt: skip
def test_what_json_schema_can_say_goes_there_and_back(schema: dict[str, JsonValue], value: JsonValue) -> None:
    form = form_of(schema)
    node = etree.Element("{urn:t}T")

    fill(node, value, form, "urn:t")

    assert read(etree.fromstring(etree.tostring(node, encoding="utf-8")), form) == value


@pytest.mark.parametrize(
    "xml",
    [
        "<T><n>x</n></T>",
        "<T><n><b/></n></T>",
        "<T><m>1</m></T>",
        "<T><n>1</n><n>2</n></T>",
        "<T><f>maybe</f></T>",
        "<T><d>1e999</d></T>",
        "<T><d>NaN</d></T>",
        f"<T><n>{'9' * 500}</n></T>",
    ],
)
def test_xml_of_another_form_is_refused_without_its_values(xml: str) -> None:
    kinds: dict[str, JsonValue] = {
        "n": {"type": "integer"},
        "f": {"type": "boolean"},
        "d": {"type": "number"},
    }
    form = form_of({"type": "object", "properties": kinds})
    assert form.kind is Kind.OBJECT

    with pytest.raises(FormError) as caught:
        read(etree.fromstring(xml), form)

    assert "maybe" not in str(caught.value)
