# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import zen

from adapters.proof import Facts, Reason, Verdict, load_counting_rule
from hub.errors import AdapterError
from tests.adapters.proof.staff import CONTRACTS, RULE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FACTS = Facts(
    days_employed=31,
    days_in_month=31,
    employment_kind="direct",
    counted_by="none",
    is_name_matching=True,
    certificate_status="01",
    certificate_kind="civil",
    certificate_grade=3,
    certificate_days_valid=31,
    is_certificate_valid_on_review=True,
    insurances=("medical", "pension"),
)


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    """Copy the rule to where it may be broken."""
    shutil.copy(RULE_FILE, tmp_path)
    shutil.copy(RULE_FILE.with_suffix(".examples.json"), tmp_path)
    return tmp_path / RULE_FILE.name


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def table(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["nodes"][1]["content"]
    return found


def test_the_rule_tells_its_id_its_version_and_the_digest_of_its_file() -> None:
    rule = load_counting_rule(RULE_FILE)
    assert (rule.id, rule.version) == ("disability-employment-counting", "1.0.0")
    assert rule.sha256 == hashlib.sha256(RULE_FILE.read_bytes()).hexdigest()


def test_a_rule_may_be_asked_from_several_threads() -> None:
    rule = load_counting_rule(RULE_FILE)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(rule.judge, [[FACTS] * 50] * 8))
    assert answers == [(Verdict(1, Reason.COUNTED),) * 50] * 8


def test_the_reasons_of_the_table_are_the_reasons_of_the_contract() -> None:
    rows = table(json.loads(RULE_FILE.read_text(encoding="utf-8")))["rules"]
    schema = CONTRACTS / "disability-employment-proof" / "v1" / "response.schema.json"
    person = json.loads(schema.read_text(encoding="utf-8"))["properties"]["persons"]["items"]["properties"]
    agreed = person["months"]["items"]["properties"]["reason"]["enum"]
    assert {row["reason"].strip('"') for row in rows} == set(agreed) == {str(reason) for reason in Reason}
    in_order = list(dict.fromkeys(row["reason"].strip('"') for row in rows if row["weight"] == "0"))
    assert in_order == [str(reason) for reason in Reason][: len(in_order)]


@pytest.mark.parametrize("row", range(12))
def test_a_table_that_lost_a_row_is_refused(rule_file: Path, row: int) -> None:
    rewrite(rule_file, lambda content: table(content)["rules"].pop(row))
    with pytest.raises(AdapterError) as refusal:
        load_counting_rule(rule_file)
    assert refusal.value.code == "adapter.counting_rule_invalid"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: table(c)["rules"][0].update(days_employed="< ("), "row 1: the cell days_employed"),
        (lambda c: table(c)["rules"][0].update(weight=""), "row 1: the cell weight"),
        (
            lambda c: table(c)["rules"][3].update(certificate_status="$ != 01"),
            "example 3 should be counted, but is certificate_not_effective",
        ),
        (
            lambda c: table(c)["rules"][8].update(certificate_kind="civil"),
            "11: model_type",
        ),
        (lambda c: table(c)["rules"][0].update(weight="3"), "0/weight: less_than_equal"),
        (lambda c: table(c)["rules"][0].update(reason='"absent"'), "0/reason: enum"),
        (lambda c: table(c)["inputs"][0].update(field="days_employd"), "days_employd, which is no fact"),
        (lambda c: c["nodes"].append(dict(c["nodes"][1], id="x")), "2 tables"),
        (lambda c: table(c)["rules"].append(dict(table(c)["rules"][0])), "no example reaches row 13"),
        (lambda c: table(c).update(rules=[]), "nodes/1/content/rules: too_short"),
        (lambda c: c["nodes"].pop(1), "missingNode"),
        (lambda c: c.update(version="one"), "version: string_pattern_mismatch"),
        (lambda c: c.pop("id"), "id: missing"),
        (lambda c: c.pop("edges"), "counting.json"),
    ],
)
def test_a_broken_table_is_refused_with_the_place(
    rule_file: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    rewrite(rule_file, change)
    with pytest.raises(AdapterError) as refusal:
        load_counting_rule(rule_file)
    assert refusal.value.code == "adapter.counting_rule_invalid"
    assert said in refusal.value.detail
    assert "\n" not in refusal.value.detail


def test_the_engine_alone_would_have_accepted_a_cell_it_cannot_read() -> None:
    # This is why every cell is compiled when the rule is loaded. If it fails, the engine has learned to.
    content = json.loads(RULE_FILE.read_text(encoding="utf-8"))
    table(content)["rules"][0]["days_employed"] = "< ("
    decision = zen.ZenEngine().create_decision(json.dumps(content))
    decision.validate()
    verdict = decision.evaluate({"facts": [{"days_employed": 0}]})["result"]["verdicts"][0]
    assert verdict["reason"] != "not_employed"


def test_a_rule_without_examples_is_refused(rule_file: Path) -> None:
    rule_file.with_suffix(".examples.json").unlink()
    with pytest.raises(AdapterError, match="counting"):
        load_counting_rule(rule_file)


def test_a_file_that_is_no_json_is_refused(rule_file: Path) -> None:
    rule_file.write_text("{", encoding="utf-8")
    with pytest.raises(AdapterError, match="not JSON"):
        load_counting_rule(rule_file)


def test_a_city_may_ask_for_whole_months_by_changing_the_data_alone(rule_file: Path) -> None:
    rewrite(rule_file, lambda c: table(c)["rules"][0].update(days_employed="$ < days_in_month"))
    examples = rule_file.with_suffix(".examples.json")
    cases = json.loads(examples.read_text(encoding="utf-8"))
    one_day = next(case for case in cases if case["facts"]["days_employed"] == 1)
    one_day["verdict"] = {"weight": 0, "reason": "not_employed"}
    examples.write_text(json.dumps(cases), encoding="utf-8")
    verdict = load_counting_rule(rule_file).judge([FACTS])
    assert verdict == (Verdict(1, Reason.COUNTED),)
