# SPDX-License-Identifier: Apache-2.0
"""Mappings as tables, and back: whatever a table shows, it also keeps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources import Shape, ShapeType
from adapters.values import ValueType
from adapters.wizard.places import Place, PlaceKind, places_of_schema, places_of_shape, steps_of
from adapters.wizard.rows import Missing, NotATableError, Row, node_of, rows_of
from adapters.wizard.suggesting import paths_of, suggested
from hub.contracts import load_contracts
from hub.identifiers import ContractId
from tests.adapters.wizard.consoles import CONTRACTS

EMPLOYMENT = load_contracts(CONTRACTS)[ContractId("employment-record/v1")].response[0].schema or {}

NODE: dict[str, Any] = {
    "object": {
        "employer": {"object": {"uscc": "answer.dwdm", "name": "answer.dwmc"}},
        "year": {"from": "answer.nd", "type": "integer"},
        "workers": {
            "each": "answer.ry",
            "where": 'item.zt == "1"',
            "as": {
                "object": {
                    "name": "item.姓名",
                    "employed_from": {"from": "item.ksrq", "type": "date", "format": "%Y%m%d"},
                    "employed_to": {"from": "item.jsrq", "type": "date", "nullable": True},
                    "kind": {"from": "item.lx", "list": "用工方式"},
                }
            },
        },
        "retrieved_at": {"from": "call.retrieved_at", "type": "instant"},
    }
}


def test_a_mapping_that_a_table_shows_comes_back_as_it_was() -> None:
    places = places_of_schema(EMPLOYMENT)
    assert node_of(places, rows_of(NODE)) == NODE


def test_the_rows_of_a_mapping_say_what_its_nodes_say() -> None:
    rows = rows_of(NODE)
    assert rows["/workers"] == Row(source="answer.ry", where='item.zt == "1"')
    assert rows["/workers/*/employed_to"] == Row(
        source="item.jsrq", type=ValueType.DATE, missing=Missing.NULL
    )
    assert rows["/workers/*/kind"].code_list == "用工方式"
    assert "/employer" not in rows


@pytest.mark.parametrize(
    "node",
    [
        {"one": "answer.records", "as": {"object": {"name": "item.name"}}},
        {"object": {"a": {"each": "answer.x", "as": "item", "group": ["item.id"]}}},
        {"object": {"a": {"each": "answer.x", "as": "item", "with": {"n": "answer.n"}}}},
        {"object": {"a": {"from": "answer.x", "places": 2, "type": "decimal"}}},
        {"object": {"a": {"from": "answer.x", "absent": ["", "0"]}}},
        {"object": {"a": {"value": {"deep": [1]}}}},
        {"object": {"*": "answer.x"}},
        {"object": {"a": {"object": {}}}},
        {"object": {"a": 7}},
    ],
)
def test_a_mapping_that_says_more_is_refused_and_not_cut(node: dict[str, Any]) -> None:
    with pytest.raises(NotATableError):
        rows_of(node)


def test_a_constant_becomes_an_expression_that_says_the_same() -> None:
    rows = rows_of({"object": {"kind": {"value": "direct"}, "to": {"value": None}}})
    assert rows["/kind"].source == '"direct"'
    assert rows["/to"] == Row(source="null", type=ValueType.ANY, missing=Missing.NULL)


def test_nothing_is_mapped_where_nothing_was_said() -> None:
    places = places_of_schema(EMPLOYMENT)
    assert node_of(places, {}) == {"object": {}}
    assert node_of(places, {"/employer/uscc": Row(source="answer.x")}) == {
        "object": {"employer": {"object": {"uscc": "answer.x"}}}
    }


def test_a_list_whose_elements_nobody_describes_stays_what_it_is() -> None:
    places = places_of_schema(EMPLOYMENT)
    assert node_of(places, {"/workers": Row(source="answer.ry")}) == {
        "object": {"workers": {"from": "answer.ry", "type": "any"}}
    }


def test_a_schema_has_its_places_in_order_with_what_they_must_be() -> None:
    places = {place.pointer: place for place in places_of_schema(EMPLOYMENT)}
    assert list(places)[:4] == ["/employer", "/employer/uscc", "/employer/name", "/year"]
    assert places["/workers"].kind is PlaceKind.LIST
    assert places["/workers/*"].kind is PlaceKind.OBJECT
    assert places["/workers/*/employed_to"].is_nullable
    assert places["/workers/*/employed_to"].type is ValueType.DATE
    assert places["/workers/*/kind"].codes == ("direct", "dispatched")
    assert places["/retrieved_at"].type is ValueType.INSTANT
    assert places["/year"].type is ValueType.INTEGER


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"$ref": "https://evil.example/schema.json"}}},
        {"properties": {"a": True}},
        {},
    ],
)
def test_a_schema_that_leads_nowhere_ends(schema: dict[str, Any]) -> None:
    assert [place.type for place in places_of_schema(schema)] in ([ValueType.ANY], [])


def test_a_schema_within_itself_is_cut() -> None:
    tree: dict[str, Any] = {"$defs": {"t": {"type": "object", "properties": {"t": {"$ref": "#/$defs/t"}}}}}
    places = places_of_schema({**tree, "properties": {"root": {"$ref": "#/$defs/t"}}})
    assert 1 < len(places) < 20


def test_a_shape_has_its_places() -> None:
    person = Shape("person", ShapeType.OBJECT, is_list=True, children=(Shape("id", ShapeType.TEXT),))
    shape = Shape("", ShapeType.OBJECT, children=(Shape("day", ShapeType.DATE, is_required=False), person))
    assert [(each.pointer, each.kind.value, each.type.value) for each in places_of_shape(shape)] == [
        ("/day", "value", "date"),
        ("/person", "list", "any"),
        ("/person/*", "object", "any"),
        ("/person/*/id", "value", "text"),
    ]


def test_what_has_the_same_name_is_suggested_and_nothing_else() -> None:
    answer: Any = {
        "Employer": {"USCC": "1", "x": 2},
        "workers": [{"person-id": "3", "姓名": "王"}],
        "Year": 2026,
    }
    paths = paths_of({"answer": answer, "request": {"year": 2025}})
    assert 'item["person-id"]' in paths
    assert "item.姓名" in paths
    rows = suggested(places_of_schema(EMPLOYMENT), paths)
    assert {pointer: row.source for pointer, row in rows.items()} == {
        "/employer/uscc": "answer.Employer.USCC",
        "/year": "answer.Year",
        "/workers": "answer.workers",
        "/workers/*/person_id": 'item["person-id"]',
        "/retrieved_at": "call.retrieved_at",
    }
    assert rows["/year"].type is ValueType.INTEGER


def test_an_endless_sample_gives_some_paths() -> None:
    sample: Any = {"end": 1}
    for _ in range(200):
        sample = {"deeper": sample, "list": [sample]}
    assert len(paths_of({"answer": sample})) < 400


NAMES = st.text(alphabet="ab/~*é 1", min_size=1, max_size=4).filter(lambda name: name != "*")
SOURCES = st.sampled_from(["answer.a", 'item["b c"]', "1 + 1"])


@given(
    st.dictionaries(
        NAMES,
        st.builds(
            Row,
            source=SOURCES,
            type=st.sampled_from([ValueType.TEXT, ValueType.DATE, ValueType.INTEGER]),
            missing=st.sampled_from(Missing),
        ),
        max_size=5,
    )
)
def test_every_table_comes_back_as_it_was(filled: dict[str, Row]) -> None:
    rows = {"/" + name.replace("~", "~0").replace("/", "~1"): row for name, row in filled.items()}
    places = [Place(pointer=pointer, kind=PlaceKind.VALUE) for pointer in rows]
    assert [steps_of(pointer)[0] for pointer in rows] == list(filled)
    assert rows_of(node_of(places, rows)) == rows
