# SPDX-License-Identifier: Apache-2.0
"""Writes docs/refusals.md from `hub/trust/refusals/*.toml`: `python -m tests.refusals_page`."""

from __future__ import annotations

import tomllib
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import Language
from hub.trust.refusals import reasons

if TYPE_CHECKING:
    from hub.trust.refusals import Reason

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "refusals.md"
TABLES = sorted((PROJECT / "hub" / "trust" / "refusals").glob("*.toml"))

_HEAD = """\
# Why certificates are refused / 证书未获信任的原因

Written from `hub/trust/refusals/`; `.venv/bin/python -m tests.refusals_page` writes it anew. It has the
name of its reason (`reason_id`), the certificate, the clause and the time it was checked for;
`heliograph trust explain` draws them. Words in braces are the facts of the case. How decisions are made is in
[trust.md](trust.md), the codes in [errors.md](errors.md).
本页由`hub/trust/refusals/`生成。每次拒绝均给出原因名称、所涉证书、标准条款、核验时点和处理办法，
可用`heliograph trust explain`查看；花括号内为具体情况。
"""


def refusals_page() -> str:
    """Return the page: a section a table, and in it the reasons by the code they lead to."""
    found = reasons()
    sections = [
        _section(table.stem, [found[name] for name in tomllib.loads(table.read_text(encoding="utf-8"))])
        for table in TABLES
    ]
    return _HEAD + "".join(sections)


def _section(name: str, rows: list[Reason]) -> str:
    rows.sort(key=lambda row: row.code)
    parts = [f"\n## {name}\n"]
    for code, group in groupby(rows, key=lambda row: row.code):
        head = "| reason | by | what was found, and what cures it | 情况及处理 |\n|---|---|---|---|\n"
        parts.append(f"\n### {name}: `{code}`\n\n{head}{''.join(map(_row, group))}")
    return "".join(parts)


def _row(row: Reason) -> str:
    texts = (f"{row.words[language]}<br>{row.cure[language]}" for language in (Language.EN, Language.ZH))
    return f"| `{row.id}` | {row.clause} | {' | '.join(texts)} |\n"


if __name__ == "__main__":
    PAGE.write_text(refusals_page(), encoding="utf-8")
