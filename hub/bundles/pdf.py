# SPDX-License-Identifier: Apache-2.0
"""The summary as PDF/A-2b, the same page as `html` writes."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from hub.bundles.page import Commands, Facts, Paragraph, Table, Words

if TYPE_CHECKING:
    from datetime import datetime

    from hub.bundles.page import Block, Cell, Page


def write_pdf(page: Page, made_at: datetime) -> bytes:
    """Write a page as PDF.

    Raises:
        DocumentError: `document.font_missing`, `document.typesetting_failed`.
    """
    from hub.documents import typeset  # noqa: PLC0415 - its libraries are large, and few processes read documents

    template = resources.files("hub.bundles").joinpath("summary.typ").read_bytes()
    shown = {
        "title": _words(page.title),
        "lead": _words(page.lead),
        "state": _words(page.state),
        "complete": page.is_complete,
        "sections": [
            {"title": _words(section.title), "blocks": [_block(block) for block in section.blocks]}
            for section in page.sections
        ],
        "foot": _words(page.foot),
    }
    inputs = {"page": json.dumps(shown)}
    return typeset(template, inputs, made_at.replace(microsecond=0), "a-2b")


def _words(words: Words) -> dict[str, str]:
    return {"zh": words.zh, "en": words.en}


def _cell(cell: Cell) -> dict[str, str]:
    return _words(cell) if isinstance(cell, Words) else {"plain": cell}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Facts():
            rows = [{"label": _words(label), "cells": [*map(_cell, cells)]} for label, cells in block.rows]
            return {"kind": "facts", "rows": rows}
        case Table():
            return {
                "kind": "table",
                "heads": [*map(_words, block.heads)],
                "widths": list(block.widths),
                "rows": [[*map(_cell, row)] for row in block.rows],
            }
        case Paragraph():
            return {"kind": "paragraph", "text": _words(block.text)}
        case Commands():
            lines = [{"words": _words(words), "line": line} for words, line in block.lines]
            return {"kind": "commands", "lines": lines}
