# SPDX-License-Identifier: Apache-2.0
"""Writes docs/alarms.md from `hub/alarms/alarms.toml`: `python -m tests.alarms_page`."""

from __future__ import annotations

from pathlib import Path

from hub.alarms import AlarmKind, Severity, alarm_kinds
from hub.errors import Language

PAGE = Path(__file__).parents[1] / "docs" / "alarms.md"

_HEAD = """\
# Alarms / 告警

Written from `hub/alarms/alarms.toml`; `.venv/bin/python -m tests.alarms_page` writes it anew. Codes are never
renamed or reused. 本页由`hub/alarms/alarms.toml`生成；代码不更名、不复用。

An alarm is known by its code and its subject. It is raised once, counted while it lasts, and cleared by
itself when its cause is gone; acknowledging it only says who takes care. How to read them: [for
operators](users/operator.md#alarms-告警).

| code | presses | what is the matter, and what cures it | 情况及处理 |
|---|---|---|---|
"""
_WORDS = {Severity.INFO: "info 提示", Severity.WARNING: "warning 警告", Severity.CRITICAL: "critical 严重"}


def alarms_page() -> str:
    """Return the page."""
    return _HEAD + "".join(_row(alarm_kinds()[code]) for code in sorted(alarm_kinds()))


def _row(kind: AlarmKind) -> str:
    texts = (f"{kind.message[language]}<br>{kind.cure[language]}" for language in (Language.EN, Language.ZH))
    return f"| `{kind.code}` | {_WORDS[kind.severity]} | {' | '.join(texts)} |\n"


if __name__ == "__main__":
    PAGE.write_text(alarms_page(), encoding="utf-8")
