# SPDX-License-Identifier: Apache-2.0
"""The summary as one HTML file: no script, nothing loaded, its style named by digest.

Source: HTML Living Standard; Content Security Policy Level 3 section 8.2 (hashes).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from hub.bundles.page import Commands, Facts, Paragraph, Table, Words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.bundles.page import Block, Cell, Page


def write_html(page: Page) -> bytes:
    """Write a page as HTML."""
    style = resources.files("hub.bundles").joinpath("summary.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    sections = "\n".join(
        f"<section>\n<h2>{_both(section.title)}</h2>\n{_lines(map(_block, section.blocks))}\n</section>"
        for section in page.sections
    )
    state = "complete" if page.is_complete else "incomplete"
    return f"""<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title.zh)} {escape(page.title.en)}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{_both(page.title)}</h1>
<p class="state {state}">{_both(page.state)}</p>
<p class="lead">{_both(page.lead)}</p>
{sections}
<footer>{_both(page.foot)}</footer>
</main>
</body>
</html>
""".encode()


def _block(block: Block) -> str:
    match block:
        case Facts():
            rows = "".join(
                f"<tr><th scope='row'>{_both(label)}</th><td>{_cells(cells)}</td></tr>"
                for label, cells in block.rows
            )
            return f"<table class='facts'>{rows}</table>"
        case Table():
            return _table(block)
        case Paragraph():
            return f"<p class='pair'>{_both(block.text)}</p>"
        case Commands():
            items = "".join(
                f"<li>{_both(words)}<pre><code>{escape(line)}</code></pre></li>"
                for words, line in block.lines
            )
            return f"<ol>{items}</ol>"


def _table(table: Table) -> str:
    heads = "".join(f"<th scope='col'>{_both(head)}</th>" for head in table.heads)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<table class='rows'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(cells: Iterable[Cell]) -> str:
    return "".join(f"<div>{_cell(cell)}</div>" for cell in cells)


def _cell(cell: Cell) -> str:
    return _both(cell) if isinstance(cell, Words) else f"<span class='plain'>{escape(cell)}</span>"


def _both(words: Words) -> str:
    return f"<span lang='zh-CN'>{escape(words.zh)}</span> <span lang='en'>{escape(words.en)}</span>"


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)
