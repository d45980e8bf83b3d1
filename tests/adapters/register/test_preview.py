# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.register import LossReason, Preview, preview
from adapters.sources import Operation, Shape
from hub.clock import FixedClock
from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId
from tests.adapters.running import CONTRACTS, DEMO, TODAY

if TYPE_CHECKING:
    from hub.contracts import Contract

PERSON = "510103196509212754"
RECORD = {
    "cxjg": 1,
    "zjhm": PERSON,
    "xm": "王芳",
    "zjlx": "1",
    "zh": f"{PERSON}44",
    "cjlb": "4",
    "cjdj": "4",
    "yxqq": "20200101",
    "yxqz": "20300101",
    "zt": "0",
}
FEDERATION = (DEMO / "federation.yaml").read_text(encoding="utf-8")


def contract(name: str = "disability-certificate/v1") -> Contract:
    return load_contracts(CONTRACTS)[ContractId(name)]


def tried(
    answer: Any = None, request: Any = None, *, text: str = FEDERATION, operation: Operation | None = None
) -> Preview:
    return preview(
        text,
        contract=contract(),
        sample_request=request,
        sample_answer=answer,
        operation=operation,
        clock=FixedClock(TODAY),
    )


def answer_of(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"code": "0", "data": list(records), **more}


def changed(**response: Any) -> str:
    """Return the federation's description with other nodes for certificates' fields."""
    content = yaml.safe_load(FEDERATION)
    fields = content["services"][0]["response"]["object"]["certificates"]["as"]["object"]
    for name, node in response.items():
        if node is None:
            del fields[name]
        else:
            fields[name] = node
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def losses(previewed: Preview) -> set[tuple[str, LossReason]]:
    return {(loss.pointer, loss.reason) for loss in previewed.answer.lossy}


def test_a_sample_that_maps_well_has_nothing_to_report() -> None:
    previewed = tried(answer_of(RECORD), {"person_ids": [PERSON]})

    assert previewed.is_sound
    for side in (previewed.request, previewed.answer):
        assert (side.refusal, side.violations, side.unmapped, side.unread, side.lossy) == (
            None,
            (),
            (),
            (),
            (),
        )
        assert all(field.problem is None and field.has_value for field in side.fields)
    assert [field.pointer for field in previewed.request.fields] == ["/body/lsh", "/body/zjhms"]


def test_what_nothing_reads_is_reported_once_and_exactly() -> None:
    record = RECORD | {"bz": "note", "lxr": {"dh": "139", "xm": "李"}, "empty": [], "nothing": None}

    previewed = tried(answer_of(record, msg="ok", **{"a/b~c": 1}))
    assert set(previewed.answer.unread) == {
        "/msg",
        "/a~1b~0c",
        "/data/0/bz",
        "/data/0/lxr/dh",
        "/data/0/lxr/xm",
        "/data/0/empty",
        "/data/0/nothing",
    }


def test_what_an_expression_for_the_engine_looks_at_counts_as_read() -> None:
    text = changed(name='trim(item.xm) + item["bz"] + (len(item.lxr) > 0 ? "" : "")')
    record = RECORD | {"bz": "", "lxr": [{"dh": "139"}], "dz": "x"}

    assert tried(answer_of(record), text=text).answer.unread == ("/data/0/dz",)


def test_every_field_is_told_though_production_would_stop_at_the_first() -> None:
    record = RECORD | {"cjdj": "four", "yxqq": "2020-01-01", "zt": "9"}

    previewed = tried(answer_of(record)).answer
    problems = {field.pointer: field.problem for field in previewed.fields if field.problem}
    assert set(problems) == {
        "/certificates/0/grade",
        "/certificates/0/valid_from",
        "/certificates/0/status",
    }
    assert previewed.result is None
    assert previewed.refusal is not None
    assert previewed.refusal.code == "adapter.mapping_failed"
    assert "/certificates/0/grade" in previewed.refusal.detail
    assert "four" not in json.dumps(list(problems.values()))


def test_an_outcome_is_told_with_its_code() -> None:
    refusal = tried({"code": "7"}).answer.refusal

    assert refusal is not None
    assert refusal.code == "adapter.system_fault"


def test_the_result_is_held_to_the_contract() -> None:
    record = RECORD | {"cjdj": "40", "xm": ""}

    previewed = tried(answer_of(record), text=changed(name={"from": "item.xm", "absent": []})).answer
    assert {violation.pointer for violation in previewed.violations} == {
        "/certificates/0/grade",
        "/certificates/0/name",
    }
    assert not previewed.is_sound


def test_a_sample_request_is_held_to_the_contract_too() -> None:
    previewed = tried(None, {"person_ids": ["1"]}).request

    assert {violation.pointer for violation in previewed.violations} == {"/person_ids/0"}


def test_what_the_contract_requires_and_nothing_fills_is_known_without_a_sample() -> None:
    previewed = tried(text=changed(name=None, status=None))

    assert previewed.answer.unmapped == ("/certificates/*/name", "/certificates/*/status")
    assert not previewed.answer.is_tried
    assert not previewed.is_sound


def test_what_a_system_requires_and_nothing_fills_is_known_from_its_source() -> None:
    inner = Shape("body", "object", children=(Shape("lsh", "text"), Shape("jgdm", "text")))
    optional = Shape("query", "object", is_required=False)
    request = Shape("request", "object", children=(inner, optional, Shape("path", "object")))
    operation = Operation("plcx", "", request, Shape("answer", "any"), {})

    assert tried(operation=operation).request.unmapped == ("/body/jgdm", "/path")


@pytest.mark.parametrize(
    ("fields", "record", "lost"),
    [
        ({}, {"cjdj": "04"}, ("/data/0/cjdj", LossReason.ZEROS_DROPPED)),
        (
            {"valid_from": {"from": "item.yxqq", "type": "date", "format": "%Y%m%d%H%M"}},
            {"yxqq": "202001010830"},
            ("/data/0/yxqq", LossReason.TIME_DROPPED),
        ),
        (
            {"valid_from": {"from": "item.yxqq", "type": "date", "format": "%Y%m%d", "to": "%Y-%m-01"}},
            {"yxqq": "20200115"},
            ("/data/0/yxqq", LossReason.DAY_DROPPED),
        ),
    ],
)
def test_what_a_conversion_drops_is_told(
    fields: dict[str, Any], record: dict[str, Any], lost: tuple[str, LossReason]
) -> None:
    assert losses(tried(answer_of(RECORD | record), text=changed(**fields))) == {lost}


def test_a_time_of_midnight_and_a_number_without_zeros_lose_nothing() -> None:
    text = changed(valid_from={"from": "item.yxqq", "type": "date", "format": "%Y%m%d%H%M"})

    assert losses(tried(answer_of(RECORD | {"yxqq": "202001010000", "cjdj": "4"}), text=text)) == set()


def test_codes_that_become_one_are_told() -> None:
    content = yaml.safe_load(FEDERATION)
    content["services"][0]["code_lists"]["证件状态"]["7"] = "01"
    text = yaml.safe_dump(content, allow_unicode=True)

    assert losses(tried(answer_of(RECORD), text=text)) == {("/data/0/zt", LossReason.CODES_MERGED)}
    assert losses(tried(answer_of(RECORD | {"zt": "1"}), text=text)) == set()


def test_an_element_that_no_array_takes_is_told() -> None:
    neither, not_found = RECORD | {"cxjg": 2}, {"cxjg": 0, "zjhm": PERSON}

    assert losses(tried(answer_of(RECORD, not_found, neither))) == {("/data/2", LossReason.ELEMENT_DROPPED)}


def test_a_system_asked_once_for_each_element_is_shown_each_question() -> None:
    content = yaml.safe_load(FEDERATION)
    content["services"][0]["connection"]["for_each"] = "request.person_ids"
    content["services"][0]["request"] = {"object": {"query": {"object": {"zjhm": "item"}}}}
    text = yaml.safe_dump(content, allow_unicode=True)

    previewed = tried(None, {"person_ids": [PERSON, "110105199003078888"]}, text=text).request
    assert previewed.result == [{"query": {"zjhm": PERSON}}, {"query": {"zjhm": "110105199003078888"}}]
    assert previewed.unread == ()


@pytest.mark.parametrize(
    "text",
    [
        "services: []",
        FEDERATION.replace("disability-certificate/v1", "echo/v1"),
        FEDERATION + FEDERATION.split("services:\n")[1].replace("/register/", "/registry/"),
        FEDERATION.replace("item.xm", "item +"),
    ],
)
def test_what_cannot_be_tried_is_refused(text: str) -> None:
    with pytest.raises(AdapterError) as caught:
        tried(answer_of(RECORD), text=text)
    assert caught.value.code == "adapter.configuration_invalid"


def test_a_preview_reads_no_secret_and_no_environment() -> None:
    text = FEDERATION.replace("env:REGISTER_API_KEY", "env:NOT_THERE_AT_ALL")

    assert tried(answer_of(RECORD), text=text).is_sound


def test_a_preview_is_written_as_json() -> None:
    told = json.loads(json.dumps(tried(answer_of(RECORD, x=1), {"person_ids": ["1"]}).as_json()))

    assert told["answer"]["unread"] == ["/x"]
    assert told["request"]["violations"][0]["message"].keys() == {"zh-CN", "en"}
