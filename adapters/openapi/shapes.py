# SPDX-License-Identifier: Apache-2.0
"""Schemas as shapes: what people map from and to, with references followed and alternatives put side by side.

Source: OpenAPI 3.0.4 section 4.7.24, OpenAPI 3.1.1 section 4.8.24 (Schema Object); JSON Schema 2020-12.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from adapters.sources import Shape, ShapeType, found

if TYPE_CHECKING:
    from adapters.openapi.documents import Documents, Spot

_MOST_DEPTH = 12
_MOST_SHAPES = 4_000
_MOST_CODES = 500
_MOST_ABOUT = 400
_BY_TYPE = {
    "string": ShapeType.TEXT,
    "integer": ShapeType.INTEGER,
    "number": ShapeType.DECIMAL,
    "boolean": ShapeType.BOOLEAN,
    "object": ShapeType.OBJECT,
    "file": ShapeType.BYTES,
    "null": ShapeType.ANY,
}
_BY_FORMAT = {
    "date": ShapeType.DATE,
    "date-time": ShapeType.INSTANT,
    "binary": ShapeType.BYTES,
    "byte": ShapeType.BYTES,
    "base64": ShapeType.BYTES,
}
# What people write who mean one of the types there are.
_MEANT = {
    "int": "integer",
    "int32": "integer",
    "int64": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "bool": "boolean",
    "str": "string",
    "text": "string",
    "date": "string",
    "datetime": "string",
    "date-time": "string",
    "uuid": "string",
    "list": "array",
    "dict": "object",
    "map": "object",
}


@dataclass
class _Gathered:
    """What a schema and all it is composed of say together.

    Attributes:
        is_open: alternatives of several types, of which none can be told beforehand.
        met: the schemas that have been added, each of which says it once.
    """

    types: list[str] = field(default_factory=list)
    format: str = ""
    properties: dict[str, list[Spot]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    items: list[Spot] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    about: str = ""
    is_hidden: bool = False
    is_open: bool = False
    met: set[int] = field(default_factory=set)


class ShapeReader:
    """Reads shapes of one direction; one for each operation.

    Args:
        documents: where references are followed, and findings kept.
        is_request: whether what is only read, or what is only written, is left out.
    """

    def __init__(self, documents: Documents, *, is_request: bool) -> None:
        self._documents = documents
        self._hidden = "readOnly" if is_request else "writeOnly"
        self._left = _MOST_SHAPES

    def shape(self, name: str, schema: Spot | None, *, is_required: bool = True, about: str = "") -> Shape:
        """Return the shape of what keeps to a schema; of anything without one."""
        if schema is None:
            return Shape(name, ShapeType.ANY, is_required=is_required, about=about)
        shape = self._shape(name, [schema], (), is_required=is_required)
        return replace(shape, about=_short(about)) if about else shape

    def _shape(
        self,
        name: str,
        schemas: list[Spot],
        above: tuple[object, ...],
        *,
        is_required: bool,
    ) -> Shape:
        self._left -= 1
        keys = tuple(self._documents.resolve(spot).key for spot in schemas)
        if keys in above or len(above) > _MOST_DEPTH or self._left < 0:
            if self._left < 0:
                self._documents.report(found("openapi.shape_cut", schemas[0].page.name, limit=_MOST_SHAPES))
            return Shape(name, ShapeType.ANY, is_required=is_required)
        gathered = _Gathered()
        for spot in schemas:
            self._gather(spot, gathered, 0)
        inner = (*above, keys)
        kind = self._type(schemas[0], gathered)
        if kind == "array":
            element = self._shape(name, gathered.items, inner, is_required=True) if gathered.items else None
            return _as_list(name, element, is_required=is_required, about=_short(gathered.about))
        children = tuple(
            self._shape(child, spots, inner, is_required=child in gathered.required)
            for child, spots in gathered.properties.items()
            if not self._is_hidden(spots)
        )
        shape_type = _BY_TYPE.get(kind, ShapeType.ANY)
        if shape_type is ShapeType.TEXT:
            shape_type = _BY_FORMAT.get(gathered.format, ShapeType.TEXT)
        codes = tuple(gathered.codes[:_MOST_CODES])
        about = _short(gathered.about)
        return Shape(name, shape_type, is_required=is_required, children=children, codes=codes, about=about)

    def _is_hidden(self, spots: list[Spot]) -> bool:
        return any(
            spot.is_set(self._hidden) or self._documents.resolve(spot).is_set(self._hidden) for spot in spots
        )

    def _gather(self, referring: Spot, into: _Gathered, depth: int) -> None:
        """Add what a schema says; its alternatives are put side by side, none of their members required."""
        spot = self._documents.resolve(referring)
        if depth > _MOST_DEPTH or not isinstance(spot.value, dict) or id(spot.value) in into.met:
            return
        into.met.add(id(spot.value))
        self._own(spot, into)
        into.about = (
            referring.text("description") or into.about or spot.text("description") or spot.text("title")
        )
        both = spot.get("allOf")
        for part in both.elements() if both is not None else ():
            self._gather(part, into, depth + 1)
        for word in ("oneOf", "anyOf"):
            choice = spot.get(word)
            parts = [part for part in choice.elements() if not self._is_null(part)] if choice else []
            required, before = set(into.required), list(into.types)
            for part in parts:
                self._gather(part, into, depth + 1)
            if len(parts) > 1:
                into.required = required
                if len({each for each in into.types if each not in before}) > 1:
                    into.is_open = True

    def _is_null(self, part: Spot) -> bool:
        value = self._documents.resolve(part).value
        return isinstance(value, dict) and (
            value.get("type") == "null" or value.get("enum") in ([None], [""])
        )

    def _own(self, spot: Spot, into: _Gathered) -> None:
        assert isinstance(spot.value, dict)  # noqa: S101 - the caller has looked
        named = spot.value.get("type")
        types = named if isinstance(named, list) else [named]
        into.types += [each.lower() for each in types if isinstance(each, str) and each not in into.types]
        into.format = spot.text("format").lower() or into.format
        properties = spot.get("properties")
        for name, child in properties.members() if properties is not None else ():
            into.properties.setdefault(name, []).append(child)
        required = spot.value.get("required")
        if isinstance(required, list):
            into.required |= {name for name in required if isinstance(name, str)}
        items = spot.get("items") or spot.get("prefixItems", "0")
        if items is not None and isinstance(items.value, dict):
            into.items.append(items)
        codes = spot.value.get("enum", [spot.value["const"]] if "const" in spot.value else [])
        if isinstance(codes, list):
            into.codes += [code for each in codes if (code := _code(each)) not in ("", *into.codes)]

    def _type(self, spot: Spot, gathered: _Gathered) -> str:
        telling = [each for each in gathered.types if each != "null"]
        if gathered.is_open and not gathered.properties:
            return "any"
        if not telling:
            if gathered.properties:
                return "object"
            if gathered.items:
                return "array"
            return "string" if gathered.codes else "any"
        named = telling[0]
        if named in _BY_TYPE or named == "array":
            return named if len(set(telling)) == 1 or gathered.properties else "any"
        meant = _MEANT.get(named, "any")
        at = self._documents.resolve(spot).at
        self._documents.report(found("openapi.type_unknown", at, type=named, instead=meant))
        if named in {"date", "datetime", "date-time"}:
            gathered.format = "date" if named == "date" else "date-time"
        return meant


def _as_list(name: str, element: Shape | None, *, is_required: bool, about: str) -> Shape:
    if element is None:
        return Shape(name, ShapeType.ANY, is_list=True, is_required=is_required, about=about)
    if element.is_list:
        # A list of lists has no shape of its own; the mapping takes it as it is.
        return Shape(name, ShapeType.ANY, is_list=True, is_required=is_required, about=about)
    return replace(element, is_list=True, is_required=is_required, about=about or element.about)


def _code(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MOST_ABOUT else f"{plain[:_MOST_ABOUT]}…"
