# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub import errors
from hub.errors import Culprit, HubError, Language, LogError, ReportedFaultError, error_kinds

FAMILIES = {
    each.family: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, HubError)
}
FAMILIES.pop("")


@pytest.mark.parametrize("code", error_kinds())
def test_every_code_can_be_raised_and_speaks_both_languages(code: str) -> None:
    family, _, name = code.partition(".")
    error = FAMILIES[family](code, "the facts")
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    assert (error.code, error.culprit, error.is_retryable) == (code, error.kind.culprit, error.kind.retryable)
    assert str(error) == f"{code}: the facts"
    for words in (error.kind.message, error.kind.cure):
        assert re.search(r"[\u4e00-\u9fff]", words[Language.ZH])
        assert words[Language.EN].endswith(".")


def test_every_family_is_drawn_in_the_tree() -> None:
    assert errors.__doc__ is not None
    for family, each in FAMILIES.items():
        assert re.search(rf"{each.__name__} +{family}\.\*", errors.__doc__)


def test_an_error_without_details_says_what_its_code_means() -> None:
    assert str(LogError("log.entry_unknown")) == "log.entry_unknown: The log has no such entry."


def test_a_code_of_another_family_or_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="LogError cannot carry"):
        LogError("trust.path_invalid")
    with pytest.raises(KeyError):
        LogError("log.there_is_no_such_code")


def test_every_code_named_in_the_source_exists() -> None:
    families = "|".join(FAMILIES)
    raised = re.compile(rf'Error\(\s*"((?:{families})\.[a-z0-9_]+)"')
    source = Path(errors.__file__).parent
    named = {
        code for path in source.rglob("*.py") for code in raised.findall(path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(error_kinds())


def test_the_other_sides_fault_keeps_its_code_even_when_it_is_unknown() -> None:
    known = ReportedFaultError("log.corrupt", "details", culprit=Culprit.SENDER, is_retryable=True)
    unknown = ReportedFaultError("moon.full", "details", culprit=Culprit.RECIPIENT, is_retryable=False)
    assert (known.culprit, known.is_retryable) == (Culprit.SENDER, True)
    assert known.kind.message == error_kinds()["log.corrupt"].message
    assert (unknown.code, unknown.culprit, str(unknown)) == (
        "moon.full",
        Culprit.RECIPIENT,
        "moon.full: details",
    )
