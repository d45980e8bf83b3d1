# SPDX-License-Identifier: Apache-2.0
"""A description's schemas as JSON Schema 2020-12 in one document, for who judges or invents values by them.

What the dialects say otherwise is translated, what stands in other files is brought in, and what cannot be
used (a broken reference, a pattern that is none) asks for nothing.

Source: OpenAPI 3.0.4 section 4.7.24; OpenAPI 3.1.1 section 4.8.24; JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs

if TYPE_CHECKING:
    from adapters.openapi.documents import Documents, Spot
    from adapters.ports import JsonObject, JsonValue

_MOST_DEPTH = 60
_TYPES = frozenset(("string", "integer", "number", "boolean", "object", "array", "null"))
_SINGLE = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
_LISTS = ("allOf", "oneOf", "anyOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_COUNTS = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")
_PLAIN = ("title", "format", "default", "example", "examples", "uniqueItems", "multipleOf", "const")


class SchemaBundle:
    """Schemas of one direction, with all they refer to.

    Args:
        documents: where references are followed.
        is_request: whether what is only read, or what is only written, is left out.
    """

    def __init__(self, documents: Documents, *, is_request: bool) -> None:
        self._documents = documents
        self._hidden = "readOnly" if is_request else "writeOnly"
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}
        self.definitions: dict[str, JsonValue] = {}

    def schema(self, spot: Spot | None) -> JsonObject:
        """Return a schema; its references lead to `#/$defs`, which `whole` puts beside it."""
        translated = self._translated(spot, 0) if spot is not None else {}
        return translated if isinstance(translated, dict) else {}

    def whole(self, schema: JsonObject) -> JsonObject:
        """Return a schema that stands by itself."""
        return {**schema, "$defs": self.definitions}

    def validator(self, schema: JsonObject) -> jsonschema_rs.Validator:
        """Return what judges values by a schema of this bundle."""
        return cast(
            "jsonschema_rs.Validator",
            jsonschema_rs.Draft202012Validator(dict(self.whole(schema)), validate_formats=True),
        )

    def _translated(self, referring: Spot, depth: int) -> JsonValue:
        value = referring.value
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict) or depth > _MOST_DEPTH:
            return {}
        if "$ref" in value:
            return self._reference(referring)
        schema: dict[str, JsonValue] = {name: value[name] for name in _PLAIN if name in value}
        _types(value, schema)
        _limits(value, schema)
        self._parts(referring, schema, depth)
        self._members(referring, schema, depth)
        return _nullable(schema) if value.get("nullable") is True else schema

    def _parts(self, referring: Spot, schema: dict[str, JsonValue], depth: int) -> None:
        for name in _SINGLE:
            child = referring.get(name)
            if child is not None and isinstance(child.value, dict | bool):
                schema[name] = self._translated(child, depth + 1)
        for name in _LISTS:
            children = referring.get(name)
            if children is not None and children.value and isinstance(children.value, list):
                # A discriminator says which alternative is meant, also where a value keeps to several.
                said = "anyOf" if name == "oneOf" and referring.get("discriminator") is not None else name
                schema[said] = [self._translated(each, depth + 1) for each in children.elements()]

    def _reference(self, referring: Spot) -> JsonValue:
        spot = self._documents.resolve(referring)
        if spot.value == {}:
            return {}
        if spot.key not in self._names:
            name = f"{len(self._names)}-{spot.steps[-1] if spot.steps else spot.page.name}"
            self._names[spot.key] = name = name.replace("/", "-").replace("~", "-").replace("%", "-")
            self.definitions[name] = {}
            self.definitions[name] = self._translated(spot, 0)
        return {"$ref": f"#/$defs/{self._names[spot.key]}"}

    def _members(self, spot: Spot, schema: dict[str, JsonValue], depth: int) -> None:
        assert isinstance(spot.value, dict)  # noqa: S101 - the caller has looked
        hidden: set[str] = set()
        for name in _MAPS:
            children = spot.get(name)
            if children is None:
                continue
            if name == "properties":
                hidden = {each for each, child in children.members() if self._is_hidden(child)}
            schema[name] = {
                each: self._translated(child, depth + 1)
                for each, child in children.members()
                if each not in hidden
            }
        required = spot.value.get("required")
        if isinstance(required, list):
            names = [name for name in required if isinstance(name, str) and name not in hidden]
            if names:
                schema["required"] = list(dict.fromkeys(names))

    def _is_hidden(self, child: Spot) -> bool:
        return child.is_set(self._hidden) or self._documents.resolve(child).is_set(self._hidden)


def _types(value: dict[str, Any], schema: dict[str, JsonValue]) -> None:
    named = value.get("type")
    types = [each for each in (named if isinstance(named, list) else [named]) if each in _TYPES]
    if types:
        schema["type"] = types if len(types) > 1 else types[0]
    codes = value.get("enum")
    if isinstance(codes, list) and codes:
        schema["enum"] = codes
    for name in _COUNTS:
        if isinstance(value.get(name), int) and not isinstance(value[name], bool):
            schema[name] = value[name]


def _limits(value: dict[str, Any], schema: dict[str, JsonValue]) -> None:
    """Take over limits; OpenAPI 3.0 says beside a limit whether it is itself excluded."""
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        number, is_excluded = value.get(limit), value.get(exclusive)
        if is_excluded is True and _is_number(number):
            schema[exclusive] = number
            continue
        if _is_number(number):
            schema[limit] = number
        if _is_number(is_excluded):
            schema[exclusive] = is_excluded
    pattern = value.get("pattern")
    if isinstance(pattern, str) and _is_pattern(pattern):
        schema["pattern"] = pattern
    if not _is_number(schema.get("multipleOf", 1)) or schema.get("multipleOf") == 0:
        schema.pop("multipleOf")
    for name, kind in (("title", str), ("format", str), ("uniqueItems", bool), ("examples", list)):
        if not isinstance(schema.get(name, kind()), kind):
            schema.pop(name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pattern(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except (jsonschema_rs.ValidationError, ValueError):
        # Such a pattern is a finding where the file is read; here it asks for nothing.
        return False
    return True


def _nullable(schema: dict[str, JsonValue]) -> JsonValue:
    named = schema.get("type")
    if isinstance(named, str) and not any(name in schema for name in ("enum", "const", *_LISTS)):
        return {**schema, "type": [named, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}
