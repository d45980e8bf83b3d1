# SPDX-License-Identifier: Apache-2.0
"""Every error code in the source stands in the table, and every row of the table is raised somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.entry import OutcomeCode
from hub.alarms import alarm_kinds
from hub.errors import error_kinds
from hub.registry import ENTRY_TYPES
from hub.trust.refusals import reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
FAMILIES = sorted({code.split(".")[0] for code in error_kinds()})
_CODE = re.compile(rf"(?:{'|'.join(FAMILIES)})\.[a-z0-9_]+")

# Events of the log file and names of files, which only look like codes.
NO_CODES = frozenset(
    {
        "alarm.cleared",
        "exchange.announcement_refused",
        "alarm.not_written",
        "alarm.raised",
        "bundle.json",
        "exchange.failed",
        "exchange.interrupted",
        "exchange.own_service_refused",
        "exchange.refused",
        "log.html",
        "log.cosignature_damaged",
        "log.not_cosigned",
        "log.head_missing",
        "log.not_stamped",
        "log.stamps_coalesced",
        "log.witness_forgot",
        "portal.acted",
        "pages.css",
        "portal.sign_in_refused",
        "portal.signed_in",
        "portal.signed_out",
        "registry.not_refreshed",
        "vault.archive_left_alone",
        "wire.application_failed",
        "wire.handshake_failed",
        "wire.refused",
        "vault.not_looked_after",
        "registry.yaml",
        "serving.ended",
        "serving.ending",
        "serving.process_ended",
        "serving.process_started",
        "vault.erased_by_request",
        "vault.hold_placed",
        "vault.hold_released",
    }
)

# Codes whose last part is computed: the mapping's outcomes, and "unknown" of each kind of registry entry.
COMPUTED = {f"adapter.{outcome}" for outcome in OutcomeCode} | {
    f"registry.{name.replace('-', '_')}_unknown" for name in ENTRY_TYPES
}


def texts(source: Path) -> Iterator[str]:
    """Return the string constants of a file that are no docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    spoken = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield node.value


def used_codes() -> dict[str, str]:
    """Return the codes the source names, each with a file that does."""
    return {
        text: str(source.relative_to(PROJECT))
        for folder in ("hub", "adapters")
        for source in sorted((PROJECT / folder).rglob("*.py"))
        for text in texts(source)
        if _CODE.fullmatch(text) and text not in NO_CODES
    }


def test_every_code_used_stands_in_the_table() -> None:
    used = used_codes()
    known = error_kinds().keys() | alarm_kinds().keys()
    assert {code: file for code, file in used.items() if code not in known} == {}


def test_every_row_of_the_table_is_used() -> None:
    used = set(used_codes()) | COMPUTED | {reason.code for reason in reasons().values()}
    assert sorted(set(error_kinds()) - used) == []
