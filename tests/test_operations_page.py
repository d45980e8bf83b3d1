# SPDX-License-Identifier: Apache-2.0
"""docs/operations.md says what to do about every alarm, and about everything that can stand in the way."""

from __future__ import annotations

import re
from pathlib import Path

from hub.alarms import alarm_kinds
from hub.telemetry import needs

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
_ROW = re.compile(r"^\| `([a-z._]+)` \| (.+) \|$", re.MULTILINE)


def rows_of(heading: str) -> dict[str, list[str]]:
    """Return the rows of the tables under a heading whose first cell is a name."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in _ROW.findall(text)}


def test_every_alarm_stands_on_the_page_with_what_to_do() -> None:
    rows = rows_of("Alarms 告警")
    assert sorted(rows) == sorted(alarm_kinds())
    assert all(len(cells) == 2 and all(len(cell) > 3 for cell in cells) for cells in rows.values())


def test_every_check_of_readiness_stands_on_the_page() -> None:
    rows = rows_of("Watching 监控")
    assert sorted(name for name in rows if not name.startswith("/")) == sorted(needs())
