# SPDX-License-Identifier: Apache-2.0
"""Writes docs/errors.md from `hub/errors.toml`: `python -m tests.errors_page`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from hub.errors import Culprit, ErrorKind, Language, error_kinds
from hub.problems import status_of

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"

_HEAD = """\
# Error codes / 错误代码

Written from `hub/errors.toml`; `.venv/bin/python -m tests.errors_page` writes it anew. Programs decide by
the code and by whether to try again; codes are never renamed or reused.
本页由`hub/errors.toml`生成。程序应依据代码和可否重试判断；代码不更名、不复用。

Who acts 责任方: sender 发送方, hub 平台, answering department 应答部门.
Again 可否重试: whether the same message may succeed later, unchanged.
HTTP: the status at the hub's interface.
"""
_WHO = {Culprit.SENDER: "sender 发送方", Culprit.HUB: "hub 平台", Culprit.RECIPIENT: "department 应答部门"}


def errors_page() -> str:
    """Return the page."""
    kinds = sorted(error_kinds().values(), key=lambda kind: kind.code.partition(".")[0])
    families = groupby(kinds, key=lambda kind: kind.code.partition(".")[0])
    return _HEAD + "".join(_family(name, list(rows)) for name, rows in families)


def _family(name: str, kinds: list[ErrorKind]) -> str:
    head = "| code | who acts | again | HTTP | what happened, and what cures it | 情况及处理 |\n"
    return f"\n## {name}\n\n{head}{'|---' * 6}|\n" + "".join(map(_row, kinds))


def _row(kind: ErrorKind) -> str:
    texts = (f"{kind.message[language]}<br>{kind.cure[language]}" for language in (Language.EN, Language.ZH))
    again = "yes 是" if kind.retryable else "no 否"
    status = status_of(kind.code, kind.culprit)
    return f"| `{kind.code}` | {_WHO[kind.culprit]} | {again} | {status} | {' | '.join(texts)} |\n"


if __name__ == "__main__":
    PAGE.write_text(errors_page(), encoding="utf-8")
