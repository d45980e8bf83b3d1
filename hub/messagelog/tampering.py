# SPDX-License-Identifier: Apache-2.0
"""What an audit of the log may find, and how it is said.

What each kind means, and what to do about it, stands in `tampering.toml`, in both languages.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from hub.errors import Language


class Tampering(StrEnum):
    """What is wrong with a log."""

    ENTRY_CHANGED = "entry_changed"
    ENTRY_MISSING = "entry_missing"
    ENTRY_INSERTED = "entry_inserted"
    ENTRIES_SWAPPED = "entries_swapped"
    ENTRY_OR_HASH_CHANGED = "entry_or_hash_changed"
    HASH_CHANGED = "hash_changed"
    NODE_CHANGED = "node_changed"
    NODE_MISSING = "node_missing"
    NODE_STRAY = "node_stray"
    MESSAGE_ID_CHANGED = "message_id_changed"
    TRUNCATED = "truncated"
    ROLLED_BACK = "rolled_back"
    REWRITTEN = "rewritten"
    FORKED = "forked"
    CHECKPOINT_CHANGED = "checkpoint_changed"
    CHECKPOINT_FOREIGN_KEY = "checkpoint_foreign_key"
    CHECKPOINT_MOVED = "checkpoint_moved"
    CHECKPOINT_DELETED = "checkpoint_deleted"
    CHECKPOINT_FALSE = "checkpoint_false"
    HEAD_CHANGED = "head_changed"
    STAMP_MISSING = "stamp_missing"
    STAMP_OTHER = "stamp_other"
    STAMP_CHANGED = "stamp_changed"
    EXCHANGE_UNLOGGED = "exchange_unlogged"
    EXCHANGE_CHANGED = "exchange_changed"
    EXCHANGE_MISSING = "exchange_missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where the first entry is that it concerns.

    Attributes:
        kind: what is wrong.
        first: number of the first bad entry, counted from 0; or, when `last` is another, the earliest that
            may be it. None when no entry is concerned.
        last: the latest entry that may be the first bad one; the same as `first` when it is known exactly.
        message_id: of the first bad entry as far as it is known, or of the exchange.
        size: of the checkpoint concerned.
        detail: the facts, in English.
        count: how many entries, hashes or rows are concerned.
    """

    kind: Tampering
    detail: str
    first: int | None = None
    last: int | None = None
    message_id: str | None = None
    size: int | None = None
    count: int = 1

    @property
    def is_exact(self) -> bool:
        """Whether the first bad entry is known."""
        return self.first is not None and self.first == self.last

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands among others: by the first bad entry; what concerns none comes last."""
        is_nowhere = self.first is None
        return (int(is_nowhere), (self.first if self.first is not None else self.size) or 0)


@dataclass(frozen=True)
class TamperingKind:
    """What a kind of finding means and what to do; one row of `tampering.toml`."""

    name: dict[Language, str]
    meaning: dict[Language, str]
    cure: dict[Language, str]


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        size: how many entries the database holds.
        sealed: how many of them the largest believed checkpoint covers.
        checkpoints: how many stored checkpoints hold.
        findings: everything wrong, the one with the first bad entry first.
        unlisted: how many further findings were left out, because there are too many.
        compared: what outside the database was compared: `head`, `kept`, `witness`, `mirror`, `stamps`,
            `exchanges`.
    """

    size: int
    sealed: int
    checkpoints: int
    findings: tuple[Finding, ...]
    unlisted: int
    compared: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """The finding that names the first bad entry."""
        return self.findings[0] if self.findings else None


@cache
def tampering_kinds() -> dict[Tampering, TamperingKind]:
    """Return what every kind of finding means."""
    file = resources.files("hub.messagelog").joinpath("tampering.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        Tampering(kind): TamperingKind(
            name={Language.ZH: row["zh"], Language.EN: row["en"]},
            meaning={Language.ZH: row["meaning_zh"], Language.EN: row["meaning_en"]},
            cure={Language.ZH: row["cure_zh"], Language.EN: row["cure_en"]},
        )
        for kind, row in table.items()
    }


def describe_place(finding: Finding, language: Language) -> str:
    """Say where the first bad entry is, or that none is."""
    if finding.first is None or finding.last is None:
        return {Language.EN: "no entry is concerned", Language.ZH: "不涉及具体条目"}[language]
    if finding.is_exact:
        return {Language.EN: f"entry {finding.first}", Language.ZH: f"第{finding.first}号条目"}[language]
    return {
        Language.EN: f"an entry between {finding.first} and {finding.last}",
        Language.ZH: f"第{finding.first}至{finding.last}号条目之间",
    }[language]


def conclude(report: AuditReport, language: Language) -> str:
    """Say what the audit says as a whole, and what it could not see."""
    named = ", ".join(report.compared)
    if language is Language.ZH:
        lines = [
            f"日志共{report.size}个条目，{report.checkpoints}个检查点成立，所涵盖的前{report.sealed}个条目得到证明。",
            f"与数据库之外的证据比对：{named}。" if named else _ALONE[language],
            "未发现问题。" if report.holds else f"发现{len(report.findings) + report.unlisted}项问题。",
        ]
        return "".join(lines)
    lines = [
        f"Entries: {report.size}; the first {report.sealed} are proven by {report.checkpoints} checkpoints.",
        f"Compared with what is kept outside the database: {named}." if named else _ALONE[language],
        "Nothing is wrong." if report.holds else f"Wrong: {len(report.findings) + report.unlisted} things.",
    ]
    return " ".join(lines)


def report_as_json(report: AuditReport) -> dict[str, object]:
    """Write a report for programs."""
    return {
        "holds": report.holds,
        "size": report.size,
        "proven": report.sealed,
        "checkpoints": report.checkpoints,
        "compared": list(report.compared),
        "unlisted": report.unlisted,
        "findings": [finding_as_json(finding) for finding in report.findings],
    }


_ALONE = {
    Language.EN: "Nothing kept outside the database was compared: an older database, or a log rewritten with "
    "the stolen key, would not be noticed.",
    Language.ZH: "未与数据库之外的任何证据比对：数据库被换成旧副本，或用被盗密钥整体改写，将无法发现。",
}


def finding_as_json(finding: Finding) -> dict[str, object]:
    """Write a finding for programs."""
    kind = tampering_kinds()[finding.kind]
    return {
        "kind": finding.kind.value,
        "first_entry": finding.first,
        "last_entry": finding.last,
        "is_exact": finding.is_exact,
        "message_id": finding.message_id,
        "checkpoint_size": finding.size,
        "count": finding.count,
        "detail": finding.detail,
        "meaning": {language.value: kind.meaning[language] for language in Language},
        "cure": {language.value: kind.cure[language] for language in Language},
    }
