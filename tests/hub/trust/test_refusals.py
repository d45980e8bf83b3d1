# SPDX-License-Identifier: Apache-2.0
"""The reasons for which certificates are refused: complete in both languages, by clause, each used."""

from __future__ import annotations

import ast
import re
import tomllib
from string import Formatter
from typing import TYPE_CHECKING

import pytest

from hub.clock import SystemClock
from hub.errors import Language, error_kinds
from hub.trust import key_problem, refusal, signature_problem
from hub.trust.refusals import Reason, reasons
from tests.refusals_page import PROJECT, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pki import ServedPki

ROWS = pytest.mark.parametrize("reason", reasons().values(), ids=reasons())
FIELDS = {"code", "clause", "en", "zh"}
CURES = {"cure_en", "cure_zh"}

STANDARDS = (
    r"RFC [0-9]{4}",
    r"ETSI (?:EN|TS) [0-9]{3} [0-9]{3}(?:-[0-9])?",
    r"ITU-T X\.[0-9]{3}",
    r"X\.690",
    r"GB(?:/T)? [0-9.]+",
    r"GM/T [0-9]{4}",
    r"FIPS [0-9]{3}",
    r"PKCS #11",
    r"(?:Heliograph )?PR-[A-Z]+",
)
_NUMBER = r"(?:(?:appendix|annex) )?[0-9A-Z]+(?:\.[0-9]+)*(?: \([A-Za-z0-9]+\))?(?:\([0-9]\))?"
CLAUSE = re.compile(rf"(?:{'|'.join(STANDARDS)}) {_NUMBER}(?:(?:, | and | to ){_NUMBER})*")
"""A standard and its clause, such as `RFC 5280 6.1.3 (a)(2)`."""


def sources() -> list[Path]:
    return sorted(each for folder in ("hub", "adapters") for each in (PROJECT / folder).rglob("*.py"))


def constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def refused_for(tree: ast.AST) -> Iterator[str]:
    """Name the reasons that are literally given to `refusal`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if called == "refusal" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


@ROWS
def test_a_reason_names_its_clause(reason: Reason) -> None:
    for clause in re.split("; |, (?=[A-Z]{2})", reason.clause):
        assert CLAUSE.fullmatch(clause), f"{clause!r} is not <standard> <clause>, see STANDARDS here"


@ROWS
def test_a_reason_speaks_both_languages_of_the_same_facts(reason: Reason) -> None:
    facts = {
        language: {field for _, field, _, _ in Formatter().parse(words) if field is not None}
        for language, words in reason.words.items()
    }
    assert facts[Language.EN] == facts[Language.ZH]
    assert all(re.fullmatch("[a-z_]+", fact) for fact in facts[Language.EN])
    assert re.search("[\u4e00-\u9fff]", reason.words[Language.ZH])
    assert not re.search("[\u4e00-\u9fff]", reason.words[Language.EN])
    assert reason.words[Language.EN].endswith(".")
    assert reason.words[Language.ZH].endswith("。")


@ROWS
def test_a_reason_has_a_code_of_trust_and_a_cure_without_holes(reason: Reason) -> None:
    assert reason.code in error_kinds()
    assert reason.code.startswith("trust.")
    for cure in reason.cure.values():
        assert cure.strip()
        assert "{" not in cure
    assert re.search("[\u4e00-\u9fff]", reason.cure[Language.ZH])


def test_a_row_has_the_known_fields_and_a_cure_in_both_languages_or_in_none() -> None:
    for table in TABLES:
        for name, row in tomllib.loads(table.read_text(encoding="utf-8")).items():
            assert FIELDS <= set(row) <= FIELDS | CURES, name
            assert len(CURES & set(row)) != 1, name


def test_every_reason_is_used() -> None:
    named = {
        text for source in sources() for text in constants(ast.parse(source.read_text(encoding="utf-8")))
    }
    assert sorted(set(reasons()) - named) == []


def test_every_reason_used_exists() -> None:
    used = {
        name: str(source.relative_to(PROJECT))
        for source in sources()
        for name in refused_for(ast.parse(source.read_text(encoding="utf-8")))
    }
    assert used
    assert {name: file for name, file in used.items() if name not in reasons()} == {}


@ROWS
def test_a_refusal_fills_every_hole_and_names_certificate_time_and_clause(
    pki: ServedPki, reason: Reason
) -> None:
    certificate, at = pki.certificates("labour-sign")[0], SystemClock().now()
    facts = {field for _, field, _, _ in Formatter().parse(reason.words[Language.EN]) if field}
    error = refusal(reason.id, certificate, at, **dict.fromkeys(facts, "fact"))
    assert error.finding is not None
    assert error.code == error.finding.code == reason.code
    assert f"{certificate.serial_number:x}" in error.detail
    assert reason.clause in error.detail
    for words in error.finding.reason.values():
        assert "{" not in words


def test_a_refusal_about_no_certificate_names_none() -> None:
    error = refusal("expired", end="then")
    assert error.finding is not None
    assert (error.finding.subject, error.finding.issuer, error.finding.serial) == ("", "", "")
    assert "certificate '" not in error.detail


def test_a_persons_certificate_is_refused_without_naming_the_person() -> None:
    from tests.hub.envelope.signers import throwaway_key

    certificate = throwaway_key(name="王敏 11010519491231002X").certificate_chain[0]
    error = refusal("expired", certificate, end="then")
    assert "11010519491231002X" not in f"{error.detail} {error.finding}"


@pytest.mark.parametrize("label", ["labour-rsa-short", "labour-sha1"])
def test_what_is_wrong_with_a_key_or_signature_is_said_in_the_readers_language(
    pki: ServedPki, label: str
) -> None:
    certificate = pki.certificates(label)[0]
    problem = key_problem(certificate) or signature_problem(certificate)
    assert problem is not None
    refused = refusal("algorithm_not_allowed", certificate, problem=problem)
    assert refused.finding is not None
    chinese, english = (refused.finding.reason[language] for language in (Language.ZH, Language.EN))
    assert "is not allowed" in english
    assert "不允许使用" in chinese
    assert "not allowed" not in chinese
