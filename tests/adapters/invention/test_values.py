# SPDX-License-Identifier: Apache-2.0
"""Values invented for schemas: they keep to them, they are the same for the same seed, they are nobody's."""

from __future__ import annotations

from random import Random
from typing import Any

import jsonschema
import pytest

from adapters.invention import Inventor, NothingFitsError, asked
from adapters.invention.people import is_nobody, resident_id, uscc
from hub.contracts import Side, load_contracts
from hub.contracts.formats import FORMATS
from hub.contracts.store import cross_check
from hub.identifiers import ContractId, is_resident_id, is_uscc
from tests.adapters.running import CONTRACTS

SCHEMAS = [(contract, side) for contract in sorted(load_contracts(CONTRACTS)) for side in Side]


@pytest.mark.parametrize(("contract", "side"), SCHEMAS)
def test_requests_and_answers_of_every_contract_can_be_invented(contract: ContractId, side: Side) -> None:
    known = load_contracts(CONTRACTS)[contract]
    for part in known.request if side is Side.REQUEST else known.response:
        if part.schema is None:
            continue
        for seed in range(5):
            inventor = Inventor(root=part.schema, seed=str(seed), formats=FORMATS)
            value: Any = inventor.invent(part.schema)
            # The other validator, which the inventor does not ask.
            assert not cross_check(part, value)


CASES: list[dict[str, Any]] = [
    {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"const": 7}},
    },
    {"allOf": [{"type": "string", "minLength": 4}, {"maxLength": 4}]},
    {"oneOf": [{"type": "integer", "minimum": 5, "maximum": 6}, {"type": "string", "pattern": "^x$"}]},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    {"type": "integer", "multipleOf": 7, "minimum": 20},
    {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": ["a", "b", "c"]}},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
    {"type": ["null", "string"], "format": "date"},
    {"properties": {"n": {"type": "string"}}, "required": ["n"], "additionalProperties": False},
    {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}},
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["x"]},
        "else": {"properties": {"x": False}},
    },
    {"type": "object", "required": ["me"], "properties": {"me": {"type": ["object", "null"]}}},
    {"type": "string", "not": {"const": "示例100"}},
    {},
]


@pytest.mark.parametrize("schema", CASES)
def test_an_invented_value_keeps_to_its_schema(schema: dict[str, Any]) -> None:
    for seed in range(30):
        value = Inventor(root=schema, seed=str(seed)).invent(schema)
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)


def test_a_schema_of_openapi_may_be_nullable() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "nullable": True}}}
    assert isinstance(Inventor(root=schema).invent(schema), dict)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"$ref": "https://198.51.100.7/schema.json"},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": 5},
        {"type": "string", "pattern": "("},
        {"enum": [1], "type": "string"},
    ],
)
def test_a_schema_nothing_fits_is_an_error_and_no_wrong_sample(schema: dict[str, Any]) -> None:
    with pytest.raises(NothingFitsError):
        Inventor(root=schema).invent(schema)


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}, "name": {"type": "string"}}}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    assert isinstance(Inventor(root=schema).invent(schema), dict)


def test_the_seed_decides() -> None:
    schema = load_contracts(CONTRACTS)[ContractId("employment-record/v1")].response[0].schema
    assert schema is not None
    values = [Inventor(root=schema, seed=seed, formats=FORMATS).invent(schema) for seed in ("a", "a", "b")]
    assert values[0] == values[1] != values[2]


def test_the_answer_is_about_what_was_asked() -> None:
    known = load_contracts(CONTRACTS)[ContractId("employment-record/v1")]
    schema = known.response[0].schema
    assert schema is not None
    question: Any = {"employer": "91510108MA6C00001C", "year": 2025}
    answer: Any = Inventor(root=schema, formats=FORMATS).invent(schema, asked(question, FORMATS))
    assert answer["employer"]["uscc"] == question["employer"]
    assert answer["year"] == question["year"]


def test_spans_end_after_they_begin() -> None:
    day = {"type": "string", "format": "date"}
    schema = {
        "type": "object",
        "required": ["valid_from", "valid_to"],
        "properties": dict.fromkeys(("valid_from", "valid_to"), day),
    }
    for seed in range(40):
        span: Any = Inventor(root=schema, seed=str(seed)).invent(schema)
        assert span["valid_from"] <= span["valid_to"]


def test_invented_numbers_are_valid_and_the_reserved_ones_are_nobodys() -> None:
    for seed in range(200):
        chance = Random(seed)  # noqa: S311 - reproducible, not a secret
        assert is_resident_id(resident_id(chance))
        assert is_uscc(uscc(chance))
        assert not is_nobody(resident_id(chance))
        assert not is_nobody(uscc(chance))
        assert is_nobody(resident_id(chance, is_nobody=True))
        assert is_nobody(uscc(chance, is_nobody=True))
    assert not is_nobody("990000")
