# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from adapters.codelists import CodeList, DescribedCode, DescribedList
from adapters.mapping import ObjectMapping
from adapters.nodes import ObjectNode
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject

DATED = """
- {code: "11", value: pension}
- {code: "31", value: maternity, valid_to: "2019-12-31"}
- {code: "31", value: medical, valid_from: 2020-01-01}
- {code: "21", value: medical, valid_to: 2019-12-31}
"""


def code_list(text: str) -> CodeList:
    described: Any = TypeAdapter(DescribedList).validate_python(yaml.safe_load(text))
    return CodeList(described)


def mapped(field: str, lists: str, answer: Any, *, on: str = "2026-03-01") -> JsonObject:
    root: ObjectNode = TypeAdapter(ObjectNode).validate_python({"object": {"x": yaml.safe_load(field)}})
    described: Any = TypeAdapter(DescribedList).validate_python(yaml.safe_load(lists))
    return ObjectMapping(root, {"险种": described}).apply({"answer": answer, "call": {"on_date": on}})


def refusal(field: str, lists: str, answer: Any) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        mapped(field, lists, answer)
    assert caught.value.code == "adapter.mapping_failed"
    return caught.value


@pytest.mark.parametrize(
    ("code", "on", "value"),
    [
        ("11", "1990-01-01", "pension"),
        ("31", "2019-12-31", "maternity"),
        ("31", "2020-01-01", "medical"),
        ("21", "2019-12-31", "medical"),
    ],
)
def test_a_code_means_what_it_meant_on_its_day(code: str, on: str, value: str) -> None:
    assert code_list(DATED).translate(code, date.fromisoformat(on)) == value
    assert code_list(DATED).reverse(value, date.fromisoformat(on)) == code


def test_a_code_means_nothing_on_another_day() -> None:
    with pytest.raises(KeyError):
        code_list(DATED).translate("21", date(2020, 1, 1))
    with pytest.raises(KeyError):
        code_list(DATED).reverse("maternity", date(2020, 1, 1))


@pytest.mark.parametrize(
    "text",
    [
        '[{code: "1", value: a}, {code: "1", value: b, valid_from: 2020-01-01}]',
        '[{code: "1", value: a, valid_from: 2020-01-02, valid_to: 2020-01-01}]',
    ],
)
def test_a_list_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'1'"):
        code_list(text)


@pytest.mark.parametrize(
    "text",
    ["[{code: 1, value: a}]", '[{code: "1"}]', '[{code: "1", value: a, valid_to: "31.12.2019"}]', "{1: a}"],
)
def test_a_list_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        code_list(text)


def test_a_field_looks_its_code_up_on_the_day_it_names_or_today() -> None:
    on_the_day = "{from: answer.lx, list: 险种, on_date: answer.rq}"

    assert mapped("{from: answer.lx, list: 险种}", DATED, {"lx": "31"}) == {"x": "medical"}
    assert mapped("{from: answer.lx, list: 险种}", DATED, {"lx": "31"}, on="2019-05-01") == {"x": "maternity"}
    assert mapped(on_the_day, DATED, {"lx": "31", "rq": "2018-01-01"}) == {"x": "maternity"}
    assert mapped(on_the_day, DATED, {"lx": 31, "rq": "20210101"}) == {"x": "medical"}


def test_a_field_without_a_day_to_look_on_is_an_error_that_names_no_value() -> None:
    refused = refusal(
        "{from: answer.lx, list: 险种, on_date: answer.rq}", DATED, {"lx": "31", "rq": "gestern"}
    )

    assert "no day" in refused.detail
    assert "gestern" not in refused.detail


def test_a_list_is_read_backwards_too() -> None:
    assert mapped("{from: answer.v, list: 险种, reverse: true}", DATED, {"v": "pension"}) == {"x": "11"}
    assert mapped("{from: answer.v, list: 险种, reverse: true}", '{"1": true}', {"v": True}) == {"x": "1"}


def test_a_list_with_two_codes_for_one_value_is_not_read_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        mapped("{from: answer.v, list: 险种, reverse: true}", '{"1": a, "2": a}', {"v": "a"})


def test_days_and_directions_belong_to_lists() -> None:
    with pytest.raises(ValidationError):
        mapped("{from: answer.v, reverse: true}", "{}", {})


def test_codes_that_become_one_value_are_known() -> None:
    merging = CodeList({"1": "a", "2": "a", "3": "b"})

    assert merging.merges("1", date(2026, 1, 1))
    assert not merging.merges("3", date(2026, 1, 1))
    assert not code_list(DATED).merges("31", date(2026, 1, 1))
    assert DescribedCode(code="1", value=None).valid_to is None
