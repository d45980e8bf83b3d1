# SPDX-License-Identifier: Apache-2.0
"""A verification report for programs, and for people in Chinese and English.

What failed, and what cures it, stand in the reader's language; a refused certificate with name, clause and
time. Other facts of a step stand in English in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.errors import Language, error_kinds
from hub.findings import finding_to_json, printable, tell
from hub.verifier import containers, foreign_verification
from hub.verifier.steps import NOT_CHECKED

if TYPE_CHECKING:
    from hub.trust import VerificationReport, VerificationStep

_CHINESE_STEPS = {
    containers.ZIP: "大小和ZIP结构",
    containers.MEMBERS: "成员",
    containers.HEADER: "报文头",
    containers.PAYLOADS: "附件摘要",
    containers.MANIFEST: "清单",
    containers.SIGNATURE: "签名",
    containers.TIME: "签名时间",
    containers.PATH: "证书路径和用途",
    containers.REVOCATION: "签名时证书未被吊销",
    containers.SENDER: "证书所属成员即发送方",
    containers.BINDING: "与所答复报文绑定",
    containers.NOTICE: "回执或故障的内容",
    foreign_verification.ZIP: "ZIP结构（外部容器）",
    foreign_verification.MIMETYPE: "容器类型",
    foreign_verification.MANIFESTS: "清单文件",
    foreign_verification.DIGESTS: "清单所列文件的摘要",
    foreign_verification.COVERAGE: "每个文件均被签名覆盖",
    foreign_verification.SIGNATURE: "签名",
    foreign_verification.PATH: "证书路径和用途",
    foreign_verification.REVOCATION: "签名时证书未被吊销",
    foreign_verification.NOT_EVALUATED: "存在但未评估的证明",
    "Kind of file": "文件类型",
    "The file is a readable PDF": "文件是可读的PDF",
    "It bears one seal": "带有一个电子印章",
    "Nothing was changed after sealing": "盖章后未被改动",
    "The seal's signature holds": "印章签名有效",
    "A time stamp says when it was sealed": "时间戳证明盖章时间",
    "The seal's certificate leads to the trust list": "印章证书可追溯至信任列表",
    "It was not revoked when sealing": "盖章时证书未被吊销",
    "Data is attached, in its one form": "附有规范形式的数据",
    "The member sealed that the data names": "盖章成员即数据所载成员",
    "A document time stamp covers the whole file": "文档时间戳覆盖整个文件",
    "It verifies for the long term": "可长期验证",
    "The time stamp's authority holds today": "时间戳机构目前有效",
}
_CHINESE_KINDS = {
    "envelope": "报文容器",
    "foreign container": "外部ASiC-E容器",
    "document": "电子文书",
    "unknown": "未知类型",
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
    """Return the report as a JSON object: subject, kind, is_valid, steps and facts."""
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
    }


def render_report(report: VerificationReport, language: Language) -> str:
    """Write the report as plain text, a line a step; what failed is followed by what cures it.

    Control characters, which a hostile file may bring into names and texts, are shown as escapes.
    """
    words = _WORDS[language]
    kind = _CHINESE_KINDS.get(report.kind, report.kind) if language is Language.ZH else report.kind
    verdict = words["valid"] if report.is_valid else words["invalid"]
    lines = [f"{printable(report.subject)} ({kind}): {verdict}"]
    for step in report.steps:
        lines += _render_step(step, language)
    if report.facts:
        lines.append(f"{words['facts'] if report.is_valid else words['claims']}:")
        lines += [f"      {printable(name)}: {printable(value)}" for name, value in report.facts.items()]
    return "\n".join(lines)


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
    name = _CHINESE_STEPS.get(base, base) if language is Language.ZH else base
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
