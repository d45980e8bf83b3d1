# SPDX-License-Identifier: Apache-2.0
"""An explanation drawn for people: the chain as a tree, the root at the top, each check at its certificate.

Lines are at most 80 columns wide, with Chinese characters counted as two; colour only on a terminal.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC
from typing import IO, TYPE_CHECKING, TextIO, cast

from rich.console import Console, Group
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from hub.clock import CHINA
from hub.errors import Language
from hub.findings import printable, spoken_instant, with_spoken_instants
from hub.trust import (
    NOT_CHECKED,
    answer_to_json,
    cures,
    describe_key,
    describe_signature,
    failures,
    failures_of,
    issuer_of,
    spoken,
    subject_of,
    title_of,
    validity_of,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509
    from rich.console import RenderableType

    from hub.errors import Finding
    from hub.trust import Authority, ExplainedCertificate, Explanation, RevocationAnswer

_COLUMNS = 80
_STEP = 3
_DIM = Style(dim=True)
_TRAILING = re.compile(r" +(?=\n)")
_REVOCATION_CODES = frozenset({"trust.certificate_revoked", "trust.revocation_unknown"})
_WORDS = {
    Language.EN: {
        "subject": "subject",
        "issuer": "issuer",
        "serial": "serial",
        "days": "valid",
        "key": "key",
        "signed with": "; signed with ",
        "list": "trust list",
        "not listed": "not on the trust list",
        "revocation": "revocation",
        "not asked": "not asked, because an earlier check failed",
        "root": "root of the trust list",
        "approved": "approved",
        "from": "from",
        "until": "until",
        "open": "further notice",
        "as of": "as of",
        "next": "next",
        "no next": "no date for the next",
        "by": "by",
        "good": "good",
        "revoked": "REVOKED",
        "unknown": "unknown",
        "cure": "What to do",
    },
    Language.ZH: {
        "subject": "持有者",
        "issuer": "签发者",
        "serial": "序列号",
        "days": "有效期",
        "key": "密钥",
        "signed with": "；签名算法：",
        "list": "信任列表",
        "not listed": "未列入",
        "revocation": "吊销状态",
        "not asked": "未查询（此前已有检查未通过）",
        "root": "根证书",
        "approved": "已批准",
        "from": "自",
        "until": "至",
        "open": "另行通知",
        "as of": "状态时间",
        "next": "下次更新",
        "no next": "未说明下次更新时间",
        "by": "应答方",
        "good": "正常",
        "revoked": "已吊销",
        "unknown": "未知",
        "cure": "处理办法",
    },
}


def draw(explanation: Explanation, language: Language, *, heading: str = "") -> None:
    """Print an explanation: the chain, then the verdict, then for each failed check what to do.

    Args:
        explanation: what to draw.
        language: for people.
        heading: what it is about, such as a file's name.
    """
    console = _console()
    if heading:
        console.print(Text(printable(heading), style="bold"))
    has_asked = all(each.code in _REVOCATION_CODES for each in failures(explanation))
    last = len(explanation.path) - 1
    for depth, one in enumerate(reversed(explanation.path)):
        issuer = explanation.path[last - depth + 1] if depth else None
        _print_node(
            console, one, depth, _body(one, issuer, language, has_asked=has_asked), is_last=depth == last
        )
    _print_verdict(console, explanation, language)


def _print_verdict(console: Console, explanation: Explanation, language: Language) -> None:
    """Print what was decided, each failed check again with its certificate's name, and what to do."""
    style = "bold green" if explanation.is_believed else "bold red"
    console.print(Text(verdict(explanation, language), style=style))
    colon = "：" if language is Language.ZH else ": "
    for one in explanation.path:
        for finding in failures_of(one):
            text = Text(f"{printable(title_of(one.certificate))}{colon}").append(_words_of(finding, language))
            console.print(_hanging("✗", text, style="bold red", indent=1))
    told = cures(explanation, language)
    if told:
        console.print(Text(_WORDS[language]["cure"], style="bold"))
    for number, cure in enumerate(told, 1):
        console.print(_hanging(f"{number}.", Text(printable(cure)), indent=1))


class _WithoutTrailingSpaces:
    """A stream to a file or pipe: the columns that fill a line up are for terminals only."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write whole lines, as rich does."""
        self._file.write(_TRAILING.sub("", text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        self._file.flush()


def _console() -> Console:
    file = sys.stdout if sys.stdout.isatty() else _WithoutTrailingSpaces(sys.stdout)
    wide = Console(file=cast("IO[str]", file))
    return Console(
        file=cast("IO[str]", file),
        force_terminal=sys.stdout.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
        width=min(wide.width, _COLUMNS),
    )


def _print_node(
    console: Console, one: ExplainedCertificate, depth: int, body: RenderableType, *, is_last: bool
) -> None:
    """Print one certificate: its name at the end of its branch, what was found beside the next branch."""
    name = printable(title_of(one.certificate))
    title = Text(name, style="bold" if all(each.is_passed for each in one.findings) else "bold red")
    outer = " " * _STEP * (depth - 1) + "└─ " if depth else ""
    inner = " " * _STEP * depth + ("   " if is_last else "│  ")
    for prefix, part in ((outer, title), (inner, body)):
        options = console.options.update(width=console.width - len(inner))
        for line in console.render_lines(part, options):
            console.print(Segments([Segment(prefix, _DIM), *line, Segment.line()]))
    console.print(Text("" if is_last else inner, style="dim"))


def _body(
    one: ExplainedCertificate, issuer: ExplainedCertificate | None, language: Language, *, has_asked: bool
) -> RenderableType:
    certificate, words = one.certificate, _WORDS[language]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in (
        ("subject", _spaced(subject_of(certificate))),
        ("issuer", _issuer(one, issuer)),
        ("serial", f"{certificate.serial_number:x}"),
        ("days", _days(certificate, language)),
        ("key", f"{describe_key(certificate)}{words['signed with']}{describe_signature(certificate)}"),
        *_list_facts(one, language),
        *_revocation_facts(one, language, has_asked=has_asked),
    ):
        grid.add_row(words[name], Text(printable(value)))
    return Group(grid, *(_check(each, language) for each in one.findings))


def _spaced(name: str) -> str:
    """Let a long name break between its parts."""
    return re.sub(r"(?<!\\),", ", ", name)


def _issuer(one: ExplainedCertificate, issuer: ExplainedCertificate | None) -> str:
    """Name the issuer; one that is drawn just above, or is the certificate itself, in short."""
    if issuer is not None and subject_of(issuer.certificate) == issuer_of(one.certificate):
        return title_of(issuer.certificate)
    if one.role == "anchor":
        return title_of(one.certificate)
    return _spaced(issuer_of(one.certificate))


def _days(certificate: x509.Certificate, language: Language) -> str:
    """Write a validity by its days, in China or in UTC; a check that fails tells the second."""
    validity = validity_of(certificate)
    if validity is None:
        return "?"
    zone, joint = (CHINA, "至") if language is Language.ZH else (UTC, " to ")
    return joint.join(f"{instant.astimezone(zone):%Y-%m-%d}" for instant in validity)


def _list_facts(one: ExplainedCertificate, language: Language) -> Iterator[tuple[str, str]]:
    words = _WORDS[language]
    if one.approval is not None:
        yield "list", _approval(one.approval, language)
    elif one.role != "leaf":
        yield "list", words["not listed"]


def _approval(row: Authority, language: Language) -> str:
    words = _WORDS[language]
    uses = [spoken(use, language) for use in sorted(row.uses)]
    name = row.name or title_of(row.certificate)
    begin = f"{row.approved_from:%Y-%m-%d}"
    end = f"{row.approved_until:%Y-%m-%d}" if row.approved_until else words["open"]
    if language is Language.ZH:
        what = "、".join([*([words["root"]] if row.is_anchor else []), *uses])
        return f"{name}（{what}），{begin}至{end}"
    what = ", ".join([*([words["root"]] if row.is_anchor else []), *uses])
    return f"{name} ({what}), {begin} to {end}"


def _revocation_facts(
    one: ExplainedCertificate, language: Language, *, has_asked: bool
) -> Iterator[tuple[str, str]]:
    for answer in one.answers:
        yield "revocation", _answer(answer, one, language)
    is_told = any(each.code in _REVOCATION_CODES or each.reason_id == NOT_CHECKED for each in one.findings)
    if not one.answers and not is_told and not has_asked and one.role != "anchor":
        yield "revocation", _WORDS[language]["not asked"]


def _answer(answer: RevocationAnswer, one: ExplainedCertificate, language: Language) -> str:
    words, told = _WORDS[language], answer_to_json(answer, one.certificate)
    this = spoken_instant(answer.this_update, language)
    following = (
        f"{words['next']} {spoken_instant(answer.next_update, language)}"
        if answer.next_update
        else words["no next"]
    )
    status, separator = words[told["status"] or "unknown"], "；" if language is Language.ZH else "; "
    parts = (f"{answer.kind.value.upper()} {status}", f"{words['as of']} {this}", following)
    return separator.join([*parts, f"{words['by']} {told['by']}"])


def _check(finding: Finding, language: Language) -> RenderableType:
    """Write one check: whether it holds, what was found, by which clause."""
    sign, style = ("✓", "green") if finding.is_passed else ("✗", "bold red")
    if finding.reason_id == NOT_CHECKED:
        sign, style = "–", "dim"
    return _hanging(sign, _words_of(finding, language), style=style)


def _words_of(finding: Finding, language: Language) -> Text:
    text = Text(printable(with_spoken_instants(finding.reason[language], language)))
    return text.append(f" [{finding.clause}]", style="dim") if finding.clause else text


def _hanging(sign: str, text: Text, *, indent: int = 0, style: str = "") -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style=style, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(sign, text)
    return Padding(grid, (0, 0, 0, indent))
