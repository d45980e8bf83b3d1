# SPDX-License-Identifier: Apache-2.0
"""Where a description departs from its standard; nothing of it stands in the way of reading what can be read.

What the standard's objects may have is data: `structure.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from adapters.openapi.endpoints import Dialect
from adapters.sources import found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.openapi.documents import Spot
    from adapters.sources import SourceFinding

_MOST_OF_A_CODE = 20
"""Findings of one code; a file that errs in one way does it everywhere."""

_FIELD = re.compile(r"(?P<name>[^\s!]+)(?P<required>!?) (?P<kind>.+)")
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|XX)|default")
# Where OpenAPI 3.1 lets a schema say more than 3.0.
_OTHER_IN_31 = frozenset({"type", "exclusiveMinimum", "exclusiveMaximum"})
_SCALARS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "text": ("text", (str,)),
    "boolean": ("true or false", (bool,)),
    "number": ("a number", (int, float)),
    "count": ("a whole number", (int,)),
}


@dataclass(frozen=True)
class _Field:
    kind: str
    is_required: bool


@cache
def _table(version: str) -> Mapping[str, Mapping[str, _Field] | None]:
    rows = tomllib.loads(resources.files("adapters.openapi").joinpath("structure.toml").read_text("utf-8"))
    table: dict[str, Mapping[str, _Field] | None] = {}
    for name, text in rows[version].items():
        matches = [_FIELD.fullmatch(part.strip()) for part in text.split(";")] if text != "*" else []
        fields = {each["name"]: _Field(each["kind"], bool(each["required"])) for each in matches if each}
        table[name] = fields or None
    return table


def departures(root: Spot, dialect: Dialect) -> tuple[SourceFinding, ...]:
    """Return where the description is not as its standard asks, at most a few of each kind."""
    walk = _Walk(dialect)
    counted: Counter[str] = Counter()
    kept: list[SourceFinding] = []
    for finding in walk.object("root", root):
        counted[finding.code] += 1
        if counted[finding.code] <= _MOST_OF_A_CODE:
            kept.append(finding)
    for code, count in counted.items():
        if count > _MOST_OF_A_CODE:
            kept.append(
                found("openapi.more_of_these", root.page.name, named=code, count=count - _MOST_OF_A_CODE)
            )
    return tuple(kept)


class _Walk:
    """Goes through one description once, whatever refers to what."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._table = _table("two" if dialect is Dialect.SWAGGER_2 else "three")
        self._met: set[tuple[str, int]] = set()

    def object(self, name: str, spot: Spot) -> Iterator[SourceFinding]:
        """Yield what is wrong with one of the standard's objects and all below it."""
        value = spot.value
        if name == "schema" and isinstance(value, bool) and self._dialect is Dialect.OPENAPI_31:
            return
        if not isinstance(value, dict):
            yield found("openapi.wrong_type", spot.at, expected="object")
        elif (name, id(value)) not in self._met:
            self._met.add((name, id(value)))
            if "$ref" in value and name != "path_item":
                yield from self._reference(name, spot)
            else:
                yield from self._fields(name, spot)
                yield from self._rules(name, spot)

    def _fields(self, name: str, spot: Spot) -> Iterator[SourceFinding]:
        fields = self._table[name]
        if fields is None:
            return
        is_open = name == "schema" and self._dialect is Dialect.OPENAPI_31
        for field, child in spot.members():
            if field in fields and not (is_open and field in _OTHER_IN_31):
                yield from self._value(fields[field].kind, child)
            elif not field.startswith("x-") and field not in fields and not is_open:
                yield found("openapi.field_unknown", child.at, field=field)
        for field, described in fields.items():
            if described.is_required and spot.get(field) is None and not self._may_miss(name, field):
                yield found("openapi.field_missing", spot.at, field=field)

    def _may_miss(self, name: str, field: str) -> bool:
        return (name, field) == ("operation", "responses") and self._dialect is Dialect.OPENAPI_31

    def _reference(self, name: str, spot: Spot) -> Iterator[SourceFinding]:
        assert isinstance(spot.value, dict)  # noqa: S101 - the caller has looked
        if not isinstance(spot.value["$ref"], str):
            yield found("openapi.wrong_type", spot.at, expected="text")
        beside = sorted(set(spot.value) - {"$ref"})
        is_known = self._dialect is Dialect.OPENAPI_31 and (
            name == "schema" or set(beside) <= {"summary", "description"}
        )
        if beside and not is_known:
            yield found("openapi.beside_reference", spot.at, fields=", ".join(beside))

    def _value(self, kind: str, spot: Spot) -> Iterator[SourceFinding]:
        if "|" in kind:
            kinds = kind.split("|")
            kind = next((each for each in kinds if _is_of(each, spot.value)), kinds[0])
        if kind.startswith("@"):
            yield from self.object(kind[1:], spot)
        elif kind.startswith("[") or kind == "texts":
            yield from self._array("text" if kind == "texts" else kind[1:-1], spot)
        elif kind.startswith("{"):
            yield from self._map(kind[1:-1], spot)
        elif kind.startswith("="):
            if spot.value not in kind[1:].split(","):
                yield found("openapi.value_unknown", spot.at, expected=kind[1:].replace(",", ", "))
        elif kind != "any" and not _is_scalar(kind, spot.value):
            yield found("openapi.wrong_type", spot.at, expected=_SCALARS[kind][0])

    def _array(self, kind: str, spot: Spot) -> Iterator[SourceFinding]:
        if not isinstance(spot.value, list):
            yield found("openapi.wrong_type", spot.at, expected="array")
        for each in spot.elements():
            yield from self._value(kind, each)

    def _map(self, kind: str, spot: Spot) -> Iterator[SourceFinding]:
        if not isinstance(spot.value, dict):
            yield found("openapi.wrong_type", spot.at, expected="object")
        for name, each in spot.members():
            if not name.startswith("x-"):
                yield from self._value(kind, each)

    def _rules(self, name: str, spot: Spot) -> Iterator[SourceFinding]:
        if name == "operation":
            yield from _statuses(spot)
        elif name == "root":
            is_whole = any(spot.get(part) for part in ("components", "webhooks"))
            if spot.get("paths") is None and not (self._dialect is Dialect.OPENAPI_31 and is_whole):
                yield found("openapi.field_missing", spot.at, field="paths")
        elif name == "parameter":
            yield from self._parameter(spot)
        elif name == "schema":
            yield from self._schema(spot)
        elif name == "scheme":
            yield from self._scheme(spot)

    def _parameter(self, spot: Spot) -> Iterator[SourceFinding]:
        if spot.text("in") == "path" and not spot.is_set("required"):
            yield found("openapi.path_optional", spot.at, name=spot.text("name"))
        if self._dialect is not Dialect.SWAGGER_2 and spot.get("schema") and spot.get("content"):
            yield found("openapi.one_of_two", spot.at, fields="schema, content")
        if spot.get("example") is not None and spot.get("examples") is not None:
            yield found("openapi.one_of_two", spot.at, fields="example, examples")

    def _schema(self, spot: Spot) -> Iterator[SourceFinding]:
        if (
            spot.text("type") == "array"
            and spot.get("items") is None
            and self._dialect is not Dialect.OPENAPI_31
        ):
            yield found("openapi.field_missing", spot.at, field="items")
        for field in ("required", "enum"):
            listed = spot.get(field)
            if listed is not None and listed.value == [] and self._dialect is not Dialect.OPENAPI_31:
                yield found("openapi.empty_list", listed.at, field=field)
        pattern = spot.get("pattern")
        if pattern is not None and isinstance(pattern.value, str):
            try:
                re.compile(pattern.value)
            except (re.error, RecursionError, OverflowError):
                # Patterns of ECMA-262 that Python does not know are right all the same.
                if not re.search(r"\\[pPuc]|\(\?<", pattern.value):
                    yield found("openapi.pattern_invalid", pattern.at)

    def _scheme(self, spot: Spot) -> Iterator[SourceFinding]:
        wanted = {
            "apiKey": ("name", "in"),
            "http": ("scheme",),
            "openIdConnect": ("openIdConnectUrl",),
            "oauth2": ("flow",) if self._dialect is Dialect.SWAGGER_2 else ("flows",),
        }.get(spot.text("type"), ())
        for field in wanted:
            if spot.get(field) is None:
                yield found("openapi.field_missing", spot.at, field=field)


def _statuses(spot: Spot) -> Iterator[SourceFinding]:
    listed = spot.get("responses")
    if listed is None:
        return
    if listed.value == {}:
        yield found("openapi.empty_list", listed.at, field="responses")
    for status, each in listed.members():
        if not status.startswith("x-") and not _STATUS.fullmatch(status):
            yield found("openapi.status_unknown", each.at, status=status)


def _is_of(kind: str, value: object) -> bool:
    if kind.startswith(("@", "{")):
        return isinstance(value, dict)
    return isinstance(value, list) if kind.startswith("[") else _is_scalar(kind, value)


def _is_scalar(kind: str, value: object) -> bool:
    types = _SCALARS[kind][1]
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) and not (kind == "count" and isinstance(value, int) and value < 0)
