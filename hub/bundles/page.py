# SPDX-License-Identifier: Apache-2.0
"""The summary as a page in two languages, whatever it is written as; so HTML and PDF say the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One statement in both languages."""

    zh: str
    en: str


Cell = str | Words
"""Something that reads the same in both languages, or a statement in each."""


@dataclass(frozen=True)
class Facts:
    """Lines of a label and what it says."""

    rows: tuple[tuple[Words, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Table:
    """Rows below a head; `widths` are the columns' shares of the page."""

    heads: tuple[Words, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Paragraph:
    """A statement by itself."""

    text: Words


@dataclass(frozen=True)
class Commands:
    """What to type, each with what it does."""

    lines: tuple[tuple[Words, str], ...]


Block = Facts | Table | Paragraph | Commands


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: Words
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole.

    Attributes:
        title: of the page.
        lead: the one sentence for who reads no further.
        state: whether everything is there.
        is_complete: the same for the page's colour.
        sections: the rest.
        foot: what counts and what does not.
    """

    title: Words
    lead: Words
    state: Words
    is_complete: bool
    sections: tuple[Section, ...]
    foot: Words
