# SPDX-License-Identifier: Apache-2.0
r"""Texts that match a regular expression, as JSON Schema and XML Schema write them.

What schemas use is understood: alternatives, groups, classes with ranges, negation and subtraction,
`\d \w \s`, `\i \c`, `\p{…}`, anchors and repetitions. Look-around and back references are not: the caller
holds every text against the pattern anyway, and tries again.

Source: ECMA-262 section 22.2 (JSON Schema 2020-12 Validation section 6.3.3); XML Schema Part 2 appendix F.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from random import Random

_MORE = 3
"""How many repetitions beyond the least an open repetition takes, at most."""
_MOST_REPEATED = 4_000
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HAN = frozenset("中华人民共和国成都市成华区示例数据")
_PUNCTUATION = frozenset("-._~!@#$%^&*()+=[]{}|;:',/?\"<>\\`")
_SPACES = frozenset(" \t\n")
_UNIVERSE = _DIGITS | _LETTERS | _HAN | _PUNCTUATION | _SPACES
_PLAIN = sorted(_LETTERS | _DIGITS)
_ESCAPES = {
    "d": _DIGITS,
    "w": _LETTERS | _DIGITS | {"_"},
    "s": _SPACES,
    "i": _LETTERS | {"_"},
    "c": _LETTERS | _DIGITS | {"_", "-", "."},
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_CATEGORIES = {
    "L": _LETTERS | _HAN,
    "Lu": frozenset(c for c in _LETTERS if c.isupper()),
    "Ll": frozenset(c for c in _LETTERS if c.islower()),
    "N": _DIGITS,
    "Nd": _DIGITS,
    "P": _PUNCTUATION,
    "Z": frozenset(" "),
    "Zs": frozenset(" "),
    "IsBasicLatin": _LETTERS | _DIGITS | _PUNCTUATION | {" "},
    "Han": _HAN,
}


class PatternNotUnderstoodError(ValueError):
    """The pattern uses something this module does not invent texts for."""


@dataclass(frozen=True)
class _Choice:
    characters: tuple[str, ...]


@dataclass(frozen=True)
class _Repeated:
    node: _Node
    least: int
    most: int | None


@dataclass(frozen=True)
class _Sequence:
    nodes: tuple[_Node, ...]


@dataclass(frozen=True)
class _Alternatives:
    nodes: tuple[_Node, ...]


_Node: TypeAlias = "_Choice | _Repeated | _Sequence | _Alternatives"


def text_matching(pattern: str, chance: Random, *, length: tuple[int, int | None] = (0, None)) -> str:
    """Return a text the pattern matches as a whole.

    Args:
        pattern: anchored or not.
        chance: decides.
        length: fewest and most characters wanted; open repetitions are stretched to reach the fewest.

    Raises:
        PatternNotUnderstoodError: it uses what is not understood.
    """
    tree = _parse(pattern)
    least, most = length
    text = ""
    for stretch in (_MORE, 0, 1, least, 2 * least, 8):
        text = "".join(_write(tree, chance, stretch, _MOST_REPEATED))
        if least <= len(text) and (most is None or len(text) <= most):
            break
    return text


def _write(node: _Node, chance: Random, stretch: int, budget: int) -> list[str]:
    """Write one text; `budget` bounds repetitions within repetitions, which would multiply without end."""
    match node:
        case _Choice():
            return [chance.choice(node.characters)]
        case _Sequence():
            return [part for each in node.nodes for part in _write(each, chance, stretch, budget)]
        case _Alternatives():
            return _write(chance.choice(node.nodes), chance, stretch, budget)
        case _Repeated():
            open_end = node.least + max(stretch, 1 if node.least == 0 else 0)
            most = min(open_end if node.most is None else min(node.most, open_end), budget)
            least = most if stretch > _MORE else node.least
            times = chance.randint(min(least, most), most)
            inner = budget // max(times, 1)
            return [part for _ in range(times) for part in _write(node.node, chance, stretch, inner)]


@lru_cache(maxsize=512)
def _parse(pattern: str) -> _Node:
    reader = _Reader(pattern)
    tree = reader.alternatives()
    if reader.rest():
        raise PatternNotUnderstoodError("an unbalanced parenthesis")
    return tree


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def rest(self) -> str:
        return self._pattern[self._at :]

    def alternatives(self) -> _Node:
        branches = [self._sequence()]
        while self._takes("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _Alternatives(tuple(branches))

    def _sequence(self) -> _Node:
        nodes: list[_Node] = []
        while self._at < len(self._pattern) and self._peek() not in "|)":
            atom = self._atom()
            if atom is not None:
                nodes.append(self._repeated(atom))
        return _Sequence(tuple(nodes))

    def _atom(self) -> _Node | None:
        if self._takes("^") or self._takes("$"):
            return None
        if self._takes("("):
            return self._group()
        if self._takes("["):
            return _choice(self._class())
        if self._takes("."):
            return _choice(_UNIVERSE - _SPACES)
        if self._takes("\\"):
            escaped = self._escape()
            return None if escaped is None else _choice(escaped)
        return _Choice((self._next(),))

    def _group(self) -> _Node:
        if self._takes("?"):
            is_named = self._takes("P") or self._peek() == "<"
            if is_named and self._takes("<") and self._peek() not in "=!":
                while self._next() != ">":
                    pass
            elif not self._takes(":"):
                raise PatternNotUnderstoodError("look-around")
        inner = self.alternatives()
        if not self._takes(")"):
            raise PatternNotUnderstoodError("an unbalanced parenthesis")
        return inner

    def _repeated(self, atom: _Node) -> _Node:
        least, most = 1, 1
        marks: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        found: tuple[int, int | None] = (least, most)
        if self._peek() in marks:
            found = marks[self._next()]
        elif self._peek() == "{":
            inner, _, after = self._pattern[self._at + 1 :].partition("}")
            low, comma, high = inner.partition(",")
            if not low.isdigit() or (high and not high.isdigit()):
                return atom
            found = (int(low), (int(high) if high else None) if comma else int(low))
            self._at = len(self._pattern) - len(after)
        else:
            return atom
        # Lazy and possessive marks change what is captured, not what matches.
        if self._peek() in {"?", "+"}:
            self._next()
        return _Repeated(atom, *found)

    def _class(self) -> frozenset[str]:
        is_negated = self._takes("^")
        found: set[str] = set()
        taken: frozenset[str] = frozenset()
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] == "[" and found:
                self._at += 2
                taken = self._class()
                continue
            start = self._member()
            ranges = self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in {"]", "["}
            if len(start) == 1 and ranges:
                self._next()
                [first], end = start, self._member()
                found |= _between(first, max(end))
            else:
                found |= start
        self._next()
        result = (_UNIVERSE - found) if is_negated else found
        return frozenset(result) - taken

    def _member(self) -> frozenset[str]:
        return (self._escape() or frozenset("\b")) if self._takes("\\") else frozenset(self._next())

    def _escape(self) -> frozenset[str] | None:
        mark = self._next()
        if mark in {"b", "B", "A", "Z", "z"}:
            return None
        if mark in {"p", "P"}:
            return self._category(is_negated=mark == "P")
        if mark.lower() in _ESCAPES:
            wanted = _ESCAPES[mark.lower()]
            return wanted if mark.islower() else _UNIVERSE - wanted
        if mark in {"u", "x"}:
            digits = 4 if mark == "u" else 2
            code = self._pattern[self._at : self._at + digits]
            self._at += digits
            return frozenset(chr(int(code, 16)))
        if mark in "123456789":
            raise PatternNotUnderstoodError("a back reference")
        return frozenset(_CONTROLS.get(mark, mark))

    def _category(self, *, is_negated: bool) -> frozenset[str]:
        name = self._next()
        if name == "{":
            inner, _, after = self.rest().partition("}")
            name, self._at = inner, len(self._pattern) - len(after)
        name = name.rpartition("=")[2]
        wanted = _CATEGORIES.get(name) or (_CATEGORIES.get(name[:1]) if len(name) == 2 else None)
        if wanted is None:
            raise PatternNotUnderstoodError("a category of characters")
        return _UNIVERSE - wanted if is_negated else wanted

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1] or "\x00"

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise PatternNotUnderstoodError("it ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _takes(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True


def _between(first: str, last: str) -> set[str]:
    # A range over all of Unicode is a choice among its first few hundred characters.
    return {chr(code) for code in range(ord(first), min(ord(last), ord(first) + 400) + 1)}


def _choice(characters: frozenset[str]) -> _Choice:
    """Prefer letters and digits: what is legal and unreadable helps nobody who looks at a sample."""
    plain = [one for one in _PLAIN if one in characters]
    if not plain and not characters:
        raise PatternNotUnderstoodError("a class without a character")
    return _Choice(tuple(plain or sorted(characters)))
