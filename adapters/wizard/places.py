# SPDX-License-Identifier: Apache-2.0
"""The places a mapping can fill: those of a contract's schema, or of what a system wants to be asked.

A pointer names a place; a step `*` stands for every element of a list. Places come in the order of their
source, what holds others before what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from adapters.sources import ShapeType
from adapters.values import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.ports import JsonValue
    from adapters.sources import Shape

_DEEPEST = 12
_MOST_PLACES = 500
_SCHEMA_TYPES = {
    "string": ValueType.TEXT,
    "integer": ValueType.INTEGER,
    "number": ValueType.DECIMAL,
    "boolean": ValueType.BOOLEAN,
}
_SCHEMA_FORMATS = {"calendar-day": ValueType.DATE, "instant": ValueType.INSTANT}
_SHAPE_TYPES = {
    ShapeType.TEXT: ValueType.TEXT,
    ShapeType.INTEGER: ValueType.INTEGER,
    ShapeType.DECIMAL: ValueType.DECIMAL,
    ShapeType.BOOLEAN: ValueType.BOOLEAN,
    ShapeType.DATE: ValueType.DATE,
    ShapeType.INSTANT: ValueType.INSTANT,
    ShapeType.BYTES: ValueType.TEXT,
}


class PlaceKind(StrEnum):
    """What stands at a place."""

    VALUE = "value"
    OBJECT = "object"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place.

    Attributes:
        pointer: RFC 6901, with `*` for every element of a list.
        type: what a value there has to be, as far as a mapping can make it.
        is_required: whether what holds it has to have it.
        is_nullable: whether null may stand there.
        about: what the source says about it.
        codes: the only values, as text, where they are listed.
    """

    pointer: str
    kind: PlaceKind
    type: ValueType = ValueType.ANY
    is_required: bool = True
    is_nullable: bool = False
    about: str = ""
    codes: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The names and stars that lead to it."""
        return steps_of(self.pointer)

    @property
    def name(self) -> str:
        """Its own name."""
        return self.steps[-1]

    @property
    def depth(self) -> int:
        """How many others hold it."""
        return len(self.steps) - 1


def steps_of(pointer: str) -> tuple[str, ...]:
    """Take a pointer apart."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def below(pointer: str, step: str) -> str:
    """Return the pointer of a member of what stands at `pointer`."""
    return f"{pointer}/{step.replace('~', '~0').replace('/', '~1')}"


def places_of_schema(schema: Mapping[str, JsonValue]) -> tuple[Place, ...]:
    """Return the places of an object that a JSON Schema describes."""
    return _first(_members(schema, schema, "", 0))


def places_of_shape(shape: Shape) -> tuple[Place, ...]:
    """Return the places of an object of a source."""
    return _first(place for child in shape.children for place in _of_shape(child, "", 0))


def _first(places: Iterator[Place]) -> tuple[Place, ...]:
    return tuple(place for place, _ in zip(places, range(_MOST_PLACES), strict=False))


def _members(schema: Any, root: Any, pointer: str, depth: int) -> Iterator[Place]:
    required = set(schema.get("required", ()))
    for name, child in schema.get("properties", {}).items():
        yield from _of_schema(child, root, below(pointer, name), depth, is_required=name in required)


def _of_schema(
    schema: Any, root: Any, pointer: str, depth: int, *, is_required: bool = True
) -> Iterator[Place]:
    schema = _resolved(schema, root)
    stated = schema.get("type", [])
    types = set(stated if isinstance(stated, list) else [stated])
    kind, type_ = PlaceKind.VALUE, ValueType.ANY
    if "array" in types:
        kind = PlaceKind.LIST
    elif schema.get("properties") and depth < _DEEPEST:
        kind = PlaceKind.OBJECT
    else:
        names = types - {"null"}
        type_ = _SCHEMA_FORMATS.get(schema.get("format", ""), ValueType.ANY)
        if type_ is ValueType.ANY and len(names) == 1:
            type_ = _SCHEMA_TYPES.get(names.pop(), ValueType.ANY)
    options = schema.get("enum", [])
    yield Place(
        pointer=pointer,
        kind=kind,
        type=type_,
        is_required=is_required,
        is_nullable="null" in types or None in options,
        about=str(schema.get("description", "")),
        codes=tuple(str(option) for option in options if option is not None),
    )
    if kind is PlaceKind.OBJECT:
        yield from _members(schema, root, pointer, depth + 1)
    elif kind is PlaceKind.LIST and depth < _DEEPEST:
        yield from _of_schema(schema.get("items", {}), root, below(pointer, "*"), depth + 1)


def _resolved(schema: Any, root: Any) -> Any:
    """Follow references within the schema; one that leads nowhere describes nothing."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        found: Any = root
        for step in steps_of(reference[1:]):
            found = found.get(step, {}) if isinstance(found, dict) else {}
        schema = found
    return schema if isinstance(schema, dict) and "$ref" not in schema else {}


def _of_shape(shape: Shape, parent: str, depth: int) -> Iterator[Place]:
    pointer = below(parent, shape.name)
    if shape.is_list:
        yield Place(pointer=pointer, kind=PlaceKind.LIST, is_required=shape.is_required, about=shape.about)
        pointer, depth = below(pointer, "*"), depth + 1
    is_object = bool(shape.children) and depth < _DEEPEST
    yield Place(
        pointer=pointer,
        kind=PlaceKind.OBJECT if is_object else PlaceKind.VALUE,
        type=_SHAPE_TYPES.get(ShapeType(shape.type), ValueType.ANY),
        is_required=shape.is_required or shape.is_list,
        about=shape.about,
        codes=shape.codes,
    )
    if is_object:
        for child in shape.children:
            yield from _of_shape(child, pointer, depth + 1)
