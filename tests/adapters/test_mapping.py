# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from adapters.mapping import CodeLists, ObjectMapping
from adapters.nodes import ObjectNode
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject


def mapping(text: str, code_lists: CodeLists | None = None) -> ObjectMapping:
    root: ObjectNode = TypeAdapter(ObjectNode).validate_python({"object": yaml.safe_load(text)})
    return ObjectMapping(root, code_lists or {})


def mapped(text: str, answer: Any, code_lists: CodeLists | None = None) -> JsonObject:
    return mapping(text, code_lists).apply({"answer": answer})


def refusal(text: str, answer: Any, code_lists: CodeLists | None = None) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        mapped(text, answer, code_lists)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("answer.x", "文字", "文字"),
        ("answer.x", 42, "42"),
        ("answer.单位.名称", None, "晨曦"),
        ('answer["单位"]["名称"]', None, "晨曦"),
        ('trim(answer.x) + "-" + upper("a")', " b ", "b-A"),
        ("{from: answer.x, type: integer}", "007", 7),
        ("{from: answer.x, type: integer}", 7, 7),
        ("{from: len(answer.list), type: integer}", None, 2),
        ("{from: answer.x, type: decimal}", "4500.10", "4500.10"),
        ("{from: answer.x, type: decimal, places: 2}", "4500", "4500.00"),
        ("{from: answer.x, type: decimal, places: 2}", "-0004500.1000", "-4500.10"),
        ("{from: number(answer.x) * 12, type: decimal}", "0.1", "1.2"),
        ("{from: number(answer.x) + 0.01, type: decimal}", "1234567890123456.78", "1234567890123456.79"),
        ("{from: answer.x, type: boolean}", "true", True),
        ("{from: answer.x == 1, type: boolean}", 1, True),
        ('{from: answer.x, type: date, format: "%Y%m%d"}', "20260301", "2026-03-01"),
        ('{from: answer.x, type: date, format: "%Y%m%d"}', 20260301, "2026-03-01"),
        ('{from: answer.x, type: date, format: "%d/%m/%Y %H:%M"}', "01/03/2026 00:00", "2026-03-01"),
        ('{from: answer.x, type: date, to: "%Y%m%d"}', "2026-03-01", "20260301"),
        ('{from: answer.x, type: month, format: "%Y%m"}', "202603", "2026-03"),
        ("{from: answer.x, type: instant}", "2026-03-01T08:00:00+08:00", "2026-03-01T00:00:00.000Z"),
        (
            '{from: answer.x, type: instant, format: "%Y%m%d%H%M%S%z"}',
            "20260301080000+0800",
            "2026-03-01T00:00:00.000Z",
        ),
        ("{from: answer.x, type: any}", {"a": [1]}, {"a": [1]}),
        ("{from: answer.x, nullable: true}", "", None),
        ('{from: answer.x, type: date, absent: ["99991231"], nullable: true}', "99991231", None),
        ("{from: answer.missing.deeper, nullable: true}", None, None),
        ("{value: [constant, 1]}", None, ["constant", 1]),
        ('{each: answer.list, as: {from: "item.n", type: integer}}', None, [1, 2]),
        ('{each: answer.list, where: item.n > 1, as: {from: "item.n", type: integer}}', None, [2]),
        (
            "{each: answer.list, as: {object: {owner: owner}}, with: {owner: answer.单位.名称}}",
            None,
            [{"owner": "晨曦"}] * 2,
        ),
        ("{each: 'split(answer.x, \",\")', as: item}", "a,b", ["a", "b"]),
        ("{each: answer.nothing, as: item, optional: true}", None, "left out"),
        ("{one: answer.list, where: item.n == 2, as: {from: item.n, type: integer}}", None, 2),
    ],
)  # fmt: skip
def test_a_value_is_mapped(field: str, value: object, expected: object) -> None:
    answer = {"x": value, "单位": {"名称": "晨曦"}, "list": [{"n": 1}, {"n": 2}]}

    result = mapped(f"out: {field}", answer)

    assert result.get("out", "left out") == expected


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("answer.missing", None, "mapping_failed"),
        ("answer.x", 1.5, "mapping_failed"),
        ("answer.x", True, "mapping_failed"),
        ("number(answer.x)", "secret", "mapping_failed"),
        ("{from: answer.x, type: integer}", "1.0", "mapping_failed"),
        ("{from: answer.x, type: integer}", "١٢", "mapping_failed"),
        ("{from: answer.x, type: decimal}", "1e3", "mapping_failed"),
        ("{from: answer.x, type: decimal, places: 2}", "1.005", "mapping_failed"),
        ("{from: number(answer.x) / 2, type: any}", "1", "mapping_failed"),
        ("{from: answer.x, type: boolean}", "J", "mapping_failed"),
        ('{from: answer.x, type: date, format: "%Y%m%d"}', "20260231", "mapping_failed"),
        ("{from: answer.x, type: date}", "2026-3-1", "mapping_failed"),
        ('{from: answer.x, type: date, format: "%Y%m%d"}', "", "mapping_failed"),
        ("{from: answer.x, type: instant}", "2026-03-01T08:00:00", "mapping_failed"),
        ("{each: answer.x, as: item}", {"not": "an array"}, "mapping_failed"),
        ("{each: answer.list, where: item.n, as: {from: item.n, type: integer}}", None, "mapping_failed"),
        ("{one: answer.list, where: item.n == 9, as: {from: item.n}}", None, "record_not_found"),
        ("{one: answer.list, as: {from: item.n}}", None, "record_ambiguous"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_without_being_told(
    field: str, value: object, code: str
) -> None:
    error = refusal(f"out: {field}", {"x": value, "list": [{"n": 1}, {"n": 2}]})

    assert error.code == f"adapter.{code}"
    assert error.detail.startswith("/out")
    assert "secret" not in error.detail
    assert value in (None, "", True) or str(value) not in error.detail


def test_a_code_is_translated_by_its_list() -> None:
    text = "out: {from: answer.x, list: states}"
    states: CodeLists = {"states": {"1": "01", "2": None, "true": 7}}

    assert mapped(text, {"x": "1"}, states) == {"out": "01"}
    assert mapped(text, {"x": 2}, states) == {"out": None}
    assert mapped(text, {"x": True}, states) == {"out": 7}


def test_an_unknown_code_names_the_list_and_not_the_code() -> None:
    error = refusal("out: {from: answer.x, list: states}", {"x": "HIV"}, {"states": {"1": "01"}})

    assert error.code == "adapter.mapping_failed"
    assert "'states'" in error.detail
    assert "HIV" not in str(error)


def test_a_list_that_is_not_described_is_refused_before_any_call() -> None:
    with pytest.raises(ValueError, match="'states'"):
        mapping("out: {each: answer.l, as: {object: {a: {from: item, list: states}}}}")


def test_rows_are_grouped_in_the_order_they_came() -> None:
    rows = [{"id": "a", "m": "1", "k": "p"}, {"id": "b", "m": "1", "k": "p"}, {"id": "a", "m": "1", "k": "q"}]
    text = """
    out:
      each: answer
      group: [item.id, item.m]
      as: {object: {id: item.id, kinds: {each: group, as: item.k}}}
    """

    assert mapped(text, rows) == {"out": [{"id": "a", "kinds": ["p", "q"]}, {"id": "b", "kinds": ["p"]}]}


def test_an_optional_field_is_left_out() -> None:
    assert mapped("{a: answer.a, b: {from: answer.b, optional: true}}", {"a": "1"}) == {"a": "1"}


@pytest.mark.parametrize(
    "field",
    [
        "{from: answer.x, unknown: 1}",
        "{from: answer.x, value: 1}",
        "{from: 'answer.x +'}",
        "{from: 5}",
        "{}",
        "5",
        "{from: answer.x, places: 2}",
        "{from: answer.x, format: '%Y'}",
        "{from: answer.x, optional: true, nullable: true}",
        "{from: answer.x, type: money}",
        "{each: answer.x}",
    ],
)
def test_a_node_that_is_not_one_is_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        mapping(f"out: {field}")


def test_mappings_may_be_applied_by_several_threads() -> None:
    shared = mapping('out: {each: answer, as: {from: "number(item) * 2", type: decimal}}')
    failures: list[object] = []

    def work() -> None:
        for _ in range(50):
            result = shared.apply({"answer": ["1", "2.5"]})
            if result != {"out": ["2", "5.0"]}:
                failures.append(result)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
