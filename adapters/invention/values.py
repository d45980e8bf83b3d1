# SPDX-License-Identifier: Apache-2.0
"""Invents a value that keeps to a JSON Schema, the same for the same seed.

Values look like what they mean: people have names and valid numbers, spans end after they begin, and what
the question said is said again by the answer. Each result is held against the schema; what does not fit is
invented anew, and what never fits is an error and not a wrong sample.

Source: JSON Schema 2020-12; contracts/README.md (formats); OpenAPI 3.0.3 and 3.1 section 4.8.24.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from adapters.invention.patterns import PatternNotUnderstoodError, text_matching
from adapters.invention.schemas import Schema, flat
from adapters.invention.wording import meant_by, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from adapters.ports import JsonValue

_ATTEMPTS = 60
_DEEPEST = 7
_SOME_ITEMS = 3
_TEXT_RULES = ("pattern", "minLength", "maxLength")
_NOW = datetime(2026, 3, 2, 4, 0, 0, tzinfo=UTC)
_SPANS = (("_from", "_to"), ("from", "to"), ("start", "end"), ("begin", "eind"), ("ksrq", "jsrq"))


class NothingFitsError(ValueError):
    """No value was found that keeps to the schema."""


@dataclass(frozen=True)
class Asked:
    """What a question said, so that its answer can be about the same.

    Attributes:
        by_name: the scalars of the question by the name they had.
        by_format: its texts by what they are, such as `resident-id`.
    """

    by_name: Mapping[str, tuple[JsonValue, ...]] = field(default_factory=dict)
    by_format: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def asked(question: JsonValue, formats: Mapping[str, Callable[[str], bool]]) -> Asked:
    """Gather what a question said."""
    by_name: dict[str, list[JsonValue]] = {}
    by_format: dict[str, list[str]] = {}
    for name, value in _scalars(question, ""):
        by_name.setdefault(name, []).append(value)
        for kind, holds in formats.items():
            if isinstance(value, str) and holds(value):
                by_format.setdefault(kind, []).append(value)
    return Asked(
        {name: tuple(values) for name, values in by_name.items()},
        {kind: tuple(values) for kind, values in by_format.items()},
    )


def _scalars(value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _scalars(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from _scalars(member, name)
    elif value is not None:
        yield name, value


@dataclass(frozen=True, kw_only=True)
class Inventor:
    """Invents values for the schemas of one document.

    Args:
        root: the document references point into; the schema itself for a contract's.
        seed: the same seed gives the same values.
        now: what instants say and the last day that days say.
        formats: checks of the texts that formats name; an unknown format is not checked.
        is_nobody: whether people and companies are of the reserved area, whom no system knows.
    """

    root: Schema
    seed: str = "0"
    now: datetime = _NOW
    formats: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)
    is_nobody: bool = False
    most_items: int = _SOME_ITEMS

    def invent(self, schema: Schema, about: Asked | None = None) -> JsonValue:
        """Return a value that keeps to the schema.

        Args:
            schema: a schema of the document.
            about: what was asked; its values are said again where names or formats agree.

        Raises:
            NothingFitsError: no value was found, or the schema cannot be used.
        """
        try:
            judge = self._judge(schema)
            for attempt in range(_ATTEMPTS):
                # What was asked may not fit everywhere; the later attempts do without.
                known = about if about is not None and attempt < _ATTEMPTS // 2 else Asked()
                effort = _Effort(self, Random(f"{self.seed}/{attempt}"), known)  # noqa: S311 - reproducible
                value = effort.value(schema, "", 0)
                if judge.is_valid(value):
                    found: JsonValue = value
                    return found
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise NothingFitsError(f"the schema cannot be used: {exc}") from exc
        raise NothingFitsError("no value was found that keeps to the schema")

    def _judge(self, schema: Schema) -> Any:
        """Return what holds values against the schema, with its references into the document."""
        whole = dict(schema)
        for name in ("components", "definitions", "$defs"):
            if name in self.root and name not in whole:
                whole[name] = self.root[name]
        return jsonschema_rs.validator_for(
            _modern(whole), formats=dict(self.formats), validate_formats=True, ignore_unknown_formats=True
        )


def _modern(value: Any, depth: int = 0) -> Any:
    """Return a schema of OpenAPI 3.0 or Swagger 2 as JSON Schema says the same."""
    if isinstance(value, list):
        return [_modern(each, depth + 1) for each in value]
    if not isinstance(value, dict):
        return value
    modern = {name: _modern(each, depth + 1) for name, each in value.items()}
    if modern.get("nullable") is True:
        modern.pop("nullable")
        modern = {"anyOf": [{"type": "null"}, modern]}
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if modern.get(exclusive) is True:
            modern[exclusive] = modern.pop(limit)
        elif modern.get(exclusive) is False:
            modern.pop(exclusive)
    return modern


@dataclass
class _Effort:
    """One attempt at one value.

    Attributes:
        used: how many values of each format of the question have been said.
        path: the names from the outermost object to the value in hand.
    """

    inventor: Inventor
    chance: Random
    about: Asked
    used: dict[str, int] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)

    def value(self, schema: object, name: str, depth: int) -> Any:
        self.path.append(name)
        try:
            return self._value(schema, name, depth)
        finally:
            self.path.pop()

    def _value(self, schema: object, name: str, depth: int) -> Any:
        asks = flat(schema, self.inventor.root, self.chance)
        if "const" in asks:
            return asks["const"]
        if asks.get("enum"):
            telling = [each for each in asks["enum"] if each is not None] or asks["enum"]
            return self.chance.choice(telling)
        makers: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(asks, depth),
            "array": lambda: self._array(asks, name, depth),
            "integer": lambda: self._whole(asks, name),
            "number": lambda: self._number(asks, name),
            "boolean": lambda: self.chance.random() < 0.5,
            "null": lambda: None,
        }
        return makers.get(_type_of(asks, self.chance), lambda: self._text(asks, name))()

    def _object(self, asks: dict[str, Any], depth: int) -> dict[str, Any]:
        wanted = asks.get("required")
        required = wanted if isinstance(wanted, list) else []
        members: dict[str, Any] = {}
        for name, schema in (asks.get("properties") or {}).items():
            is_wanted = name in required or (depth < _DEEPEST and self.chance.random() < 0.8)
            if is_wanted:
                members[name] = self.value(schema, name, depth + 1)
        if not members and isinstance(asks.get("additionalProperties"), dict) and depth < _DEEPEST:
            members["example"] = self.value(asks["additionalProperties"], "example", depth + 1)
        _order(members)
        return members

    def _array(self, asks: dict[str, Any], name: str, depth: int) -> list[Any]:
        least = int(asks.get("minItems", 0))
        most = int(asks.get("maxItems", max(least, self.inventor.most_items)))
        wanted = max(least, 0 if depth >= _DEEPEST else 1)
        count = min(self.chance.randint(wanted, max(wanted, min(most, self.inventor.most_items))), most)
        items = asks.get("items", True)
        found: list[Any] = []
        for _ in range(count * 4):
            if len(found) == count:
                break
            each = self.value(items, name, depth + 1)
            if not (asks.get("uniqueItems") and each in found):
                found.append(each)
        return found

    def _whole(self, asks: dict[str, Any], name: str) -> int:
        low, high = _limits(asks, 0, 100)
        said = self._said(name, lambda value: isinstance(value, int) and low <= value <= high)
        if isinstance(said, int):
            return said
        step = asks.get("multipleOf")
        if isinstance(step, int) and step > 0:
            return -(-int(low) // step) * step
        if name.lower() in {"year", "nd", "jaar", "nian"} and low <= self.inventor.now.year <= high:
            return self.inventor.now.year
        return self.chance.randint(int(-(-low // 1)), int(min(high, max(low, 0) + 100) // 1))

    def _number(self, asks: dict[str, Any], name: str) -> float | int:
        low, high = _limits(asks, 0, 1000)
        said = self._said(name, lambda value: isinstance(value, int | float) and low <= value <= high)
        if isinstance(said, int | float):
            return said
        step = asks.get("multipleOf")
        if isinstance(step, int | float) and step >= 1:
            return int(-(-low // step) * step)
        return round(self.chance.uniform(low, high), 2)

    def _said(self, name: str, fits: Callable[[JsonValue], bool]) -> JsonValue:
        values = [
            each for each in self.about.by_name.get(name, ()) if not isinstance(each, bool) and fits(each)
        ]
        return values[0] if values else None

    def _text(self, asks: dict[str, Any], name: str) -> str:
        kind = str(asks.get("format", ""))
        said = self._said_text(kind, name)
        candidates = [said] if said is not None else []
        candidates += [each for each in asks.get("examples") or [] if isinstance(each, str)][:1]
        if isinstance(asks.get("example"), str):
            candidates.append(asks["example"])
        candidates += texts_of(kind, self.chance, self.inventor.now, is_nobody=self.inventor.is_nobody)
        pattern = asks.get("pattern")
        if not kind and (not isinstance(pattern, str) or "[^" in pattern):
            candidates.append(meant_by(" ".join(self.path[-3:]), self.chance))
        if "month" in name.lower() or "YF" in name:
            candidates.append(f"{self.inventor.now:%Y}-{self.chance.randrange(1, 13):02d}")
        for each in candidates:
            if self._fits(each, asks):
                return each
        length = int(asks.get("minLength", 0)), asks.get("maxLength")
        if isinstance(pattern, str):
            try:
                return text_matching(pattern, self.chance, length=length)
            except PatternNotUnderstoodError:
                return candidates[0] if candidates else ""
        return _of_length(candidates[-1] if candidates else "示例", *length)

    def _said_text(self, kind: str, name: str) -> str | None:
        values = [each for each in self.about.by_name.get(name, ()) if isinstance(each, str)]
        if not kind:
            return values[0] if values else None
        known = self.about.by_format.get(kind, ())
        texts = [each for each in known if each in values] or list(known)
        if not texts or kind in {"instant", "calendar-day", "date", "date-time"}:
            return None
        number = self.used.get(kind, 0)
        self.used[kind] = number + 1
        return texts[number % len(texts)]

    def _fits(self, text: str, asks: dict[str, Any]) -> bool:
        rules: dict[str, Any] = {name: asks[name] for name in _TEXT_RULES if name in asks}
        return not rules or bool(jsonschema_rs.is_valid(rules, text))


def _type_of(asks: dict[str, Any], chance: Random) -> str:
    named = asks.get("type")
    if isinstance(named, list):
        telling = [each for each in named if each != "null"]
        # Most samples show what a value looks like, some that it may be missing.
        return "null" if not telling or ("null" in named and chance.random() < 0.2) else str(telling[0])
    if isinstance(named, str):
        return named
    if "properties" in asks or "required" in asks or isinstance(asks.get("additionalProperties"), dict):
        return "object"
    if "items" in asks:
        return "array"
    return "integer" if "minimum" in asks or "maximum" in asks else "string"


def _limits(asks: dict[str, Any], low: float, span: float) -> tuple[float, float]:
    least, most = asks.get("minimum"), asks.get("maximum")
    above, below = asks.get("exclusiveMinimum"), asks.get("exclusiveMaximum")
    if isinstance(above, int | float) and not isinstance(above, bool):
        least = above + 1 if least is None else max(least, above + 1)
    if isinstance(below, int | float) and not isinstance(below, bool):
        most = below - 1 if most is None else min(most, below - 1)
    if least is None:
        least = low if most is None else min(low, most)
    return least, max(least, most if most is not None else least + span)


def _of_length(text: str, least: int, most: int | None) -> str:
    while len(text) < least:
        text += "示例文字"
    return text if most is None else text[: max(most, 0)]


def _order(members: dict[str, Any]) -> None:
    """Let spans end after they begin."""
    for name, start in list(members.items()):
        for first, last in _SPANS:
            other = name[: len(name) - len(first)] + last
            end = members.get(other) if name.endswith(first) else None
            if isinstance(start, str) and isinstance(end, str) and len(start) == len(end) and end < start:
                members[name], members[other] = end, start
