# SPDX-License-Identifier: Apache-2.0
"""Every alarm code in the source stands in the table, and every row of the table is raised somewhere."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from hub.alarms import LoggedAlarms, alarm_kinds
from hub.errors import Language, error_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[3]
SOURCES = sorted(
    source
    for folder in ("hub", "adapters")
    for source in (PROJECT / folder).rglob("*.py")
    if (PROJECT / "hub" / "alarms") not in source.parents
)


def calls(source: Path) -> Iterator[ast.Call]:
    """Return the calls that raise or clear an alarm."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_clearing = node.func.attr == "clear" and len(node.args) == 2
            if node.func.attr == "raise_alarm" or is_clearing:
                yield node


def codes(source: Path) -> set[str]:
    """Return the alarm codes of a file: those its calls name, directly or by a constant of the file."""
    constants = {
        target.id: node.value.value
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for call in calls(source):
        match call.args[0] if call.args else None:
            case ast.Constant(value=str(code)):
                found.add(code)
            case ast.Name(id=name) if isinstance(constants.get(name), str):
                found.add(str(constants[name]))
    return found


def test_every_alarm_raised_or_cleared_stands_in_the_table() -> None:
    used = {code: source.name for source in SOURCES for code in codes(source)}
    assert {code: name for code, name in used.items() if code not in alarm_kinds()} == {}


def test_every_row_of_the_table_is_raised_somewhere() -> None:
    used = {code for source in SOURCES for code in codes(source)}
    assert sorted(alarm_kinds().keys() - used) == []


def test_every_alarm_speaks_both_languages() -> None:
    for kind in alarm_kinds().values():
        for texts in (kind.message, kind.cure):
            assert texts[Language.EN].endswith(".")
            assert texts[Language.ZH].endswith("。")
            assert any("\u4e00" <= sign <= "\u9fff" for sign in texts[Language.ZH])


def test_an_alarm_and_an_error_of_one_name_speak_of_one_thing() -> None:
    # What is unknown refuses a certificate, or is let pass with an alarm; a list past its day likewise.
    # A database that is not the one whose log was published refuses to sign, and operators have to hear it.
    common = {
        "log.forked",
        "log.rolled_back",
        "log.witness_disagrees",
        "log.witness_unreachable",
        "trust.revocation_unknown",
        "trust.trust_list_outdated",
    }
    assert alarm_kinds().keys() & error_kinds().keys() == common


def test_the_sink_without_a_database_takes_every_code() -> None:
    alarms = LoggedAlarms()
    for code in alarm_kinds():
        alarms.raise_alarm(code, "subject", "detail")
        alarms.clear(code, "subject")
