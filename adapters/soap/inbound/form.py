# SPDX-License-Identifier: Apache-2.0
"""A contract's JSON Schema as a form of XML: which element stands for which value, in both directions.

Objects are sequences of elements in the order of their properties, arrays repeat their element, null is
`xsi:nil`. Values of no fixed shape travel as JSON in the element's text. Names that XML does not allow are
written with `_xHHHH_` for each letter that is not allowed.

Source: JSON Schema 2020-12; W3C XML Schema 1.0 Part 1 section 2.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from lxml import etree

from adapters.soap.wsdl.names import is_element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.contracts import JsonValue

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{XSI}}}nil"
_FIRST = re.compile(r"[^A-Za-z_\u4e00-\u9fff]")
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.\u4e00-\u9fff-]")
_DEEPEST = 40
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")


class FormError(Exception):
    """XML that is not of its form; the text names the element and no value."""


class Kind(StrEnum):
    """What a value is."""

    OBJECT = "object"
    ARRAY = "array"
    TEXT = "string"
    INTEGER = "integer"
    NUMBER = "decimal"
    BOOLEAN = "boolean"
    JSON = "json"


@dataclass(frozen=True)
class Form:
    """One place of a document.

    Attributes:
        fields: of an object: name, form, and whether it has to be there.
        items: of an array.
        codes: the only values, where they are listed.
        about: what the contract says of it.
    """

    kind: Kind
    fields: tuple[tuple[str, Form, bool], ...] = ()
    items: Form | None = None
    codes: tuple[str, ...] = ()
    is_nullable: bool = False
    about: str = ""


def form_of(schema: Mapping[str, JsonValue]) -> Form:
    """Return the form of a schema."""
    return _form(cast("JsonValue", schema), schema, 0)


def element_name(name: str) -> str:
    """Return a property's name as XML allows it."""
    text = _NOT_ALLOWED.sub(lambda match: f"_x{ord(match[0]):04X}_", name)
    return text if not _FIRST.match(text) else f"_{text}"


def write(parent: etree._Element, name: str, value: JsonValue, form: Form, space: str) -> None:
    """Append a value to an element, as one element or, of an array, as several."""
    if form.kind is Kind.ARRAY and form.items is not None and isinstance(value, list):
        for item in value:
            inner = etree.SubElement(parent, f"{{{space}}}{name}")
            if form.items.kind is Kind.ARRAY:
                write(inner, "item", item, form.items, space)
            else:
                fill(inner, item, form.items, space)
        return
    fill(etree.SubElement(parent, f"{{{space}}}{name}"), value, form, space)


def fill(node: etree._Element, value: JsonValue, form: Form, space: str) -> None:
    """Write a value into an element."""
    if value is None and form.kind is not Kind.JSON:
        node.set(_NIL, "true")
    elif form.kind is Kind.OBJECT and isinstance(value, dict):
        for name, inner, _ in form.fields:
            if name in value:
                write(node, element_name(name), value[name], inner, space)
    elif form.kind is Kind.BOOLEAN:
        node.text = "true" if value else "false"
    elif form.kind in {Kind.JSON, Kind.OBJECT, Kind.ARRAY}:
        node.text = json.dumps(value, ensure_ascii=False)
    else:
        node.text = value if isinstance(value, str) else json.dumps(value)


def read(node: etree._Element, form: Form) -> JsonValue:
    """Return the value an element holds.

    Raises:
        FormError: it is not of this form.
    """
    if node.get(_NIL) in {"true", "1"}:
        return None
    if form.kind is Kind.OBJECT:
        return _read_object(node, form)
    if any(is_element(child) for child in node):
        raise FormError(f"{etree.QName(node).localname}: has elements where a value is expected")
    return _read_text(node, (node.text or ""), form)


def _read_text(node: etree._Element, text: str, form: Form) -> JsonValue:
    name, trimmed = etree.QName(node).localname, text.strip()
    if form.kind is Kind.INTEGER and _INTEGER.fullmatch(trimmed):
        return int(trimmed)
    if form.kind is Kind.NUMBER and _NUMBER.fullmatch(trimmed) and math.isfinite(float(trimmed)):
        return int(trimmed) if _INTEGER.fullmatch(trimmed) else float(trimmed)
    if form.kind is Kind.BOOLEAN and trimmed in {"true", "1", "false", "0"}:
        return trimmed in {"true", "1"}
    if form.kind in {Kind.JSON, Kind.ARRAY}:
        try:
            return cast("JsonValue", json.loads(text))
        except (ValueError, RecursionError) as exc:
            raise FormError(f"{name}: is not JSON") from exc
    if form.kind is Kind.TEXT:
        return text
    raise FormError(f"{name}: is no {form.kind}")


def _read_object(node: etree._Element, form: Form) -> JsonValue:
    known = {element_name(name): (name, inner, required) for name, inner, required in form.fields}
    lists: dict[str, list[JsonValue]] = {}
    result: dict[str, JsonValue] = {}
    for child in node:
        if not is_element(child):
            continue
        local = etree.QName(child).localname
        if local not in known:
            raise FormError(f"{etree.QName(node).localname}: the element {local[:60]} is unknown")
        name, inner, _ = known[local]
        if inner.kind is Kind.ARRAY and inner.items is not None:
            lists.setdefault(name, []).append(_read_item(child, inner.items))
        elif name in result:
            raise FormError(f"{etree.QName(node).localname}: the element {local[:60]} is there twice")
        else:
            result[name] = read(child, inner)
    for name, inner, is_required in form.fields:
        if inner.kind is Kind.ARRAY and inner.items is not None and (name in lists or is_required):
            result[name] = lists.get(name, [])
    return result


def _read_item(node: etree._Element, form: Form) -> JsonValue:
    if form.kind is Kind.ARRAY and form.items is not None:
        return [_read_item(child, form.items) for child in node if is_element(child)]
    return read(node, form)


def _form(schema: JsonValue, root: Mapping[str, JsonValue], depth: int) -> Form:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return Form(Kind.JSON)
    return _form_of_object(_resolved(schema, root), root, depth)


def _form_of_object(schema: Mapping[str, JsonValue], root: Mapping[str, JsonValue], depth: int) -> Form:
    about = str(schema.get("description", schema.get("title", "")))
    types = _types(schema)
    is_nullable = "null" in types
    types = [each for each in types if each != "null"]
    if len(types) != 1:
        return _alternatives(schema, root, depth, about, is_nullable=is_nullable)
    [kind] = types
    if kind == "object":
        fields = _fields(schema, root, depth)
        open_ended = not fields and schema.get("additionalProperties") is not False
        return Form(Kind.JSON if open_ended else Kind.OBJECT, fields, is_nullable=is_nullable, about=about)
    if kind == "array":
        return Form(Kind.ARRAY, items=_form(schema.get("items"), root, depth + 1), about=about)
    codes = tuple(str(code) for code in _list(schema.get("enum")) if code is not None)
    if "const" in schema:
        codes = (str(schema["const"]),)
    number = {"string": Kind.TEXT, "integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
    chosen = number.get(kind, Kind.JSON)
    return Form(chosen, codes=codes if chosen is Kind.TEXT else (), is_nullable=is_nullable, about=about)


def _resolved(schema: Mapping[str, JsonValue], root: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        place: JsonValue = cast("JsonValue", root)
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            return {}
        schema = {**place, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {}


def _types(schema: Mapping[str, JsonValue]) -> list[str]:
    stated = schema.get("type")
    if isinstance(stated, str):
        return [stated]
    if isinstance(stated, list):
        return [str(each) for each in stated]
    if "properties" in schema:
        return ["object"]
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if values and all(isinstance(value, str) or value is None for value in values):
        return ["string", *(["null"] if None in values else [])]
    return []


def _fields(
    schema: Mapping[str, JsonValue], root: Mapping[str, JsonValue], depth: int
) -> tuple[tuple[str, Form, bool], ...]:
    properties: dict[str, JsonValue] = {}
    required: set[str] = {str(name) for name in _list(schema.get("required"))}
    listed = schema.get("properties")
    properties.update(listed if isinstance(listed, dict) else {})
    for part in _list(schema.get("allOf")):
        inner = _resolved(part, root) if isinstance(part, dict) else {}
        more = inner.get("properties")
        properties.update(
            {
                name: each
                for name, each in (more if isinstance(more, dict) else {}).items()
                if name not in properties
            }
        )
        required |= {str(name) for name in _list(inner.get("required"))}
    return tuple((name, _form(each, root, depth + 1), name in required) for name, each in properties.items())


def _alternatives(
    schema: Mapping[str, JsonValue],
    root: Mapping[str, JsonValue],
    depth: int,
    about: str,
    *,
    is_nullable: bool,
) -> Form:
    """Return one form for several alternatives: the common kind with all fields, or JSON."""
    choices = [
        _form(each, root, depth + 1)
        for key in ("oneOf", "anyOf")
        for each in _list(schema.get(key))
        if not (isinstance(each, dict) and each.get("type") == "null")
    ]
    has_null = any(
        isinstance(each, dict) and each.get("type") == "null"
        for key in ("oneOf", "anyOf")
        for each in _list(schema.get(key))
    )
    kinds = {choice.kind for choice in choices}
    if kinds == {Kind.OBJECT}:
        fields: dict[str, Form] = {}
        for choice in choices:
            for name, form, _ in choice.fields:
                fields.setdefault(name, form)
        always = set.intersection(*({name for name, _, needed in c.fields if needed} for c in choices))
        merged = tuple((name, form, name in always) for name, form in fields.items())
        return Form(Kind.OBJECT, merged, is_nullable=is_nullable or has_null, about=about)
    if len(choices) == 1 or (len(kinds) == 1 and not kinds & {Kind.ARRAY, Kind.JSON}):
        first = choices[0]
        codes = first.codes if len(choices) == 1 else ()
        return Form(first.kind, first.fields, first.items, codes, is_nullable or has_null, about)
    return Form(Kind.JSON, about=about)


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()
