# SPDX-License-Identifier: Apache-2.0
"""A verification report for programs, and for people in Chinese and English.

What failed, and what cures it, stand in the reader's language; a refused certificate with name, clause and
time. Other facts of a step stand in English in both. The steps' names in Chinese are those of `steps.toml`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hub.errors import Language, error_kinds
from hub.findings import finding_to_json, printable, tell
from hub.verifier.steps import NOT_CHECKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.trust import VerificationReport, VerificationStep

_NUMBER = re.compile(" [0-9]+$")
_CHINESE_KINDS = {
    "envelope": "报文容器",
    "foreign container": "外部ASiC-E容器",
    "document": "电子文书",
    "unknown": "未知类型",
    "evidence bundle": "证据包",
    "exchange": "交换",
    "log proof": "日志证明",
}
_WORDS = {
    Language.ZH: {
        "valid": "有效",
        "invalid": "无效",
        True: "通过",
        False: "未通过",
        "cure": "处理办法",
        "facts": "内容",
        "claims": "文件自称（不足为信）",
    },
    Language.EN: {
        "valid": "VALID",
        "invalid": "NOT VALID",
        True: "passed",
        False: "FAILED",
        "cure": "cure",
        "facts": "What it says",
        "claims": "What it claims (not to be believed)",
    },
}


def report_to_json(report: VerificationReport) -> dict[str, Any]:
    """Return the report as a JSON object, its parts below it; docs/report.schema.json has its form."""
    return {
        "subject": report.subject,
        "kind": report.kind,
        "is_valid": report.is_valid,
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "is_passed": step.is_passed,
                "code": step.code,
                "reason": step.reason,
                "finding": finding_to_json(step.finding) if step.finding else None,
            }
            for step in report.steps
        ],
        "facts": dict(report.facts),
        "sections": [report_to_json(section) for section in report.sections],
    }


def render_report(report: VerificationReport, language: Language) -> str:
    """Write the report as plain text, a line a step; what failed is followed by what cures it.

    Control characters, which a hostile file may bring into names and texts, are shown as escapes.
    """
    return "\n".join(_render(report, language))


def _render(report: VerificationReport, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    kind = _CHINESE_KINDS.get(report.kind, report.kind) if language is Language.ZH else report.kind
    yield f"{printable(report.subject)} ({kind}): {words['valid'] if report.is_valid else words['invalid']}"
    for step in report.steps:
        yield from _render_step(step, language)
    if report.facts:
        yield f"{words['facts'] if report.is_valid else words['claims']}:"
        yield from (f"      {printable(name)}: {printable(value)}" for name, value in report.facts.items())
    for section in report.sections:
        yield ""
        yield from (f"    {line}" if line else "" for line in _render(section, language))


def _chinese(name: str) -> str:
    """Name a step in Chinese; some are numbered, as the authorities of time stamps are."""
    number = _NUMBER.search(name)
    end = number[0] if number else ""
    found = _chinese_steps().get(name.removesuffix(end))
    return found + end if found else name


@cache
def _chinese_steps() -> dict[str, str]:
    table = tomllib.loads(resources.files("hub.verifier").joinpath("steps.toml").read_text(encoding="utf-8"))
    return {row["name"]: row["zh"] for row in table["step"]}


@dataclass(frozen=True)
class ToldStep:
    """A step in its reader's language; control characters are shown as escapes.

    Attributes:
        name: what was checked.
        is_passed: whether it holds.
        reason: the facts of this very case.
        code: a stable code when it does not hold, else None.
        message: what the code means.
        cure: what to do about it, where somebody knows.
    """

    number: int
    name: str
    is_passed: bool
    reason: str
    code: str | None = None
    message: str = ""
    cure: str | None = None


def tell_step(step: VerificationStep, language: Language) -> ToldStep:
    """Say what a step found."""
    base, separator, subject = step.name.partition(": ")
    name = _chinese(base) if language is Language.ZH else base
    name = printable(f"{name}{separator}{subject}")
    if step.is_passed or step.reason.startswith(NOT_CHECKED):
        return ToldStep(step.number, name, step.is_passed, printable(step.reason))
    known = error_kinds().get(step.code or "")
    cure = step.finding.cure if step.finding else known.cure if known else None
    return ToldStep(
        step.number,
        name,
        is_passed=False,
        reason=tell(step.finding, language) if step.finding else printable(step.reason),
        code=step.code,
        message=known.message[language] if known else "",
        cure=cure[language] if cure else None,
    )


def _render_step(step: VerificationStep, language: Language) -> list[str]:
    words = _WORDS[language]
    told = tell_step(step, language)
    head = f"  {told.number:>2}  {words[told.is_passed]}  {told.name}: "
    if told.code is None:
        return [head + told.reason]
    message = f"{told.message} " if told.message else ""
    lines = [f"{head}{message}[{told.code}] {told.reason}"]
    return [*lines, f"      {words['cure']}: {told.cure}"] if told.cure else lines
