# SPDX-License-Identifier: Apache-2.0
"""Texts for regular expressions."""

from __future__ import annotations

import re
from random import Random

import pytest

from adapters.invention.patterns import PatternNotUnderstoodError, text_matching


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - reproducible, not a secret


PATTERNS = [
    r"^[1-9][0-9]{16}[0-9X]$",
    r"^(0|[1-9][0-9]{0,8})$",
    r"^[^\u0000-\u001f]+$",
    r"^20[0-9]{2}-(0[1-9]|1[0-2])$",
    r"([A-Z]{2})?[0-9]{1,5}(\.[0-9]+)?",
    r"\d{4}-\w+\s?[\w.-]*",
    r"^(?:GET|POST)\|[\]\\a-c-]+$",
    r"^[0-9A-HJ-NPQRTUWXY]{18}/[a-z][a-z0-9-]{0,39}$",
    r"^a{3}b{2,}c{0,1}d*?$",
    r"^.{5}$",
    r"^\x41\u4e2d\.$",
    r"^(?P<year>[0-9]{4})$",
    r"",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_written_matches_the_pattern(pattern: str) -> None:
    for seed in range(50):
        text = text_matching(pattern, chance(seed))
        assert re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text), text


def test_chance_reaches_every_branch() -> None:
    found = {text_matching("^(a|b|c)$", chance(seed)) for seed in range(60)}
    assert found == {"a", "b", "c"}


@pytest.mark.parametrize(("least", "most"), [(0, 1), (20, 20), (3, 5), (40, None)])
def test_open_repetitions_are_stretched_to_the_length_that_is_asked(least: int, most: int | None) -> None:
    text = text_matching("^[0-9]*$", chance(1), length=(least, most))
    assert least <= len(text)
    assert most is None or len(text) <= most


def test_classes_of_xml_schema_are_understood() -> None:
    for seed in range(30):
        text = text_matching(r"\i\c*[a-z-[aeiou]]\p{Lu}[\p{L}]", chance(seed))
        assert re.fullmatch(r"[A-Za-z_][\w.-]*[b-df-hj-np-tv-z][A-Z]\w", text), text


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", r"(", r"a)", r"[a", "\\", r"\p{Nonsense}"])
def test_what_is_not_understood_is_said(pattern: str) -> None:
    with pytest.raises(PatternNotUnderstoodError):
        text_matching(pattern, chance(1))


def test_repetitions_within_repetitions_do_not_multiply_without_end() -> None:
    assert len(text_matching("((a{4000}){4000}){4000}", chance(1))) <= 4000
