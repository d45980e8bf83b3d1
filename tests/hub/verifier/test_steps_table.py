# SPDX-License-Identifier: Apache-2.0
"""The table of steps, the code that runs them, and the page that explains them say the same."""

from __future__ import annotations

import io
import re
import tokenize
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.preservation import verification as records
from hub.verifier import bundles, containers, entries, exchanges, foreign_verification

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[3]
TABLE = tomllib.loads((ROOT / "hub/verifier/steps.toml").read_text(encoding="utf-8"))["step"]
PAGE = (ROOT / "docs/verifier.md").read_text(encoding="utf-8")
MODULES = {
    "envelope": containers,
    "evidence record": records,
    "evidence bundle": bundles,
    "exchange": exchanges,
    "log proof": entries,
    "foreign container": foreign_verification,
}


def constants(module: ModuleType) -> list[str]:
    """Return the names of steps a module defines, in their order."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    return re.findall(r'^[A-Z_]+ = "([A-Z][^"]+)"$', source, re.MULTILINE)


@pytest.mark.parametrize("kind", MODULES)
def test_the_table_has_the_steps_of_the_code_in_their_order(kind: str) -> None:
    assert [row["name"] for row in TABLE if row["kind"] == kind] == constants(MODULES[kind])


def test_every_row_has_a_clause_and_a_name_in_chinese() -> None:
    for row in TABLE:
        assert set(row) == {"kind", "name", "zh", "source"}
        assert all(row.values())
        assert re.search(r"[\u4e00-\u9fff]", row["zh"])


def test_one_name_has_one_translation() -> None:
    names = {(row["name"], row["zh"]) for row in TABLE}

    assert len(names) == len({name for name, _ in names})


def test_the_page_explains_every_step_with_its_clause() -> None:
    lines = [line for line in PAGE.split("\n") if line.startswith("| ")]

    for row in TABLE:
        found = [line for line in lines if line.startswith(f"| {row['name']} |")]
        assert any(line.endswith(f"| {row['source']} |") for line in found), row


def code_lines(file: Path) -> int:
    """Count lines with code on them; blank lines, comments and docstrings do not count."""
    lines: set[int] = set()
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}:
            begins = True
        elif token.type not in {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}:
            if not (begins and token.type == tokenize.STRING):
                lines.update(range(token.start[0], token.end[0] + 1))
            begins = False
    return len(lines)


def test_the_package_can_be_read_in_an_hour() -> None:
    """Containers of other producers are apart; what a hub leaves behind is verified by the rest."""
    files = [file for file in (ROOT / "hub/verifier").glob("*.py") if not file.name.startswith("foreign")]

    assert sum(map(code_lines, files)) < 1550
