# SPDX-License-Identifier: Apache-2.0
"""What a contract test tells people, programs and CI servers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from adapters.trials import CaseKind, Trial, TrialCase, advice_on, title_of, trial_to_json, trials_to_junit
from hub.errors import Language

CASES = (
    TrialCase("request.json", passed=True, code="", detail="", seconds=0.25, kind=CaseKind.EXAMPLE),
    TrialCase(
        "a\x00<b>&\ud800",
        passed=False,
        code="contract.response_invalid",
        detail="response.json#/a: type object",
        seconds=1.5,
        kind=CaseKind.SAMPLE,
    ),
    TrialCase("", passed=False, code="", detail="0 of 2", seconds=0.0, kind=CaseKind.ANSWERED),
)
FOUND = Trial("s", "c/v1", "rest", datetime(2026, 3, 1, 8, tzinfo=UTC), CASES)


def test_junit_counts_and_escapes() -> None:
    [suite] = etree.fromstring(trials_to_junit((FOUND,)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    assert suite.get("timestamp") == "2026-03-01T08:00:00"
    failures = [case.find("failure") for case in suite]
    assert [failure is None for failure in failures] == [True, False, False]
    assert failures[1] is not None
    assert failures[1].get("type") == "contract.response_invalid"
    assert "a?<b>&?" in str(suite[1].get("name"))


@pytest.mark.parametrize("kind", list(CaseKind))
@pytest.mark.parametrize("language", list(Language))
def test_every_kind_of_case_is_said_in_both_languages(kind: CaseKind, language: Language) -> None:
    case = TrialCase("x", passed=False, code="", detail="", seconds=0, kind=kind)
    assert title_of(case, language)
    assert title_of(case, Language.ZH) != title_of(case, Language.EN)


def test_advice_is_given_only_where_something_failed() -> None:
    assert advice_on(CASES[0], Language.EN) == ""
    assert "contract" in advice_on(CASES[1], Language.EN)
    assert "--requests" in advice_on(CASES[2], Language.ZH)


def test_json_has_everything() -> None:
    told: Any = trial_to_json(FOUND)
    assert told["passed"] is False
    assert told["started_at"] == "2026-03-01T08:00:00.000Z"
    assert [each["passed"] for each in told["cases"]] == [True, False, False]
    assert told["cases"][1]["advice"]["zh-CN"]
