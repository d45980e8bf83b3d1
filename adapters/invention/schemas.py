# SPDX-License-Identifier: Apache-2.0
"""One schema out of several: references followed, `allOf` put together, one branch of every choice taken.

Source: JSON Schema 2020-12 Core sections 8.2.3 and 10.2; OpenAPI 3.0.3 section 4.7.24 (`nullable`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

Schema: TypeAlias = "Mapping[str, Any]"
"""A schema as read from JSON or YAML; the place where foreign data has any type."""

_LARGEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SMALLEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_MOST_STEPS = 64


def flat(schema: object, root: Schema, chance: Random) -> dict[str, Any]:
    """Return a schema without references, compositions and conditions; chance takes one branch of each.

    Args:
        schema: true, false or an object.
        root: the document its references point into.
        chance: chooses among `oneOf`, `anyOf`, and `then` and `else`.

    Raises:
        ValueError: a reference leads nowhere, in a circle, or out of the document.
    """
    merged: dict[str, Any] = {}
    waiting, steps = [schema], 0
    while waiting:
        steps += 1
        if steps > _MOST_STEPS:
            raise ValueError("references in a circle")
        each = waiting.pop(0)
        if not isinstance(each, dict):
            continue
        own = {
            name: value
            for name, value in each.items()
            if name not in {"$ref", "allOf", "oneOf", "anyOf", "if", "then", "else", "not"}
        }
        merged = merge(merged, own)
        if isinstance(each.get("$ref"), str):
            waiting.append(resolve(each["$ref"], root))
        waiting += each.get("allOf") or []
        waiting += [
            chance.choice(branches) for name in ("oneOf", "anyOf") if (branches := _branches(each.get(name)))
        ]
        if "if" in each:
            condition = [each["if"], each.get("then", True)]
            waiting += condition if chance.random() < 0.5 else [each.get("else", True)]
    return merged


def _branches(found: object) -> list[Any]:
    """Return what a choice offers; a branch that only asks for null comes last, as nobody learns from it."""
    branches = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    telling = [
        each for each in branches if each.get("type") != "null" and each.get("enum") not in ([None], [""])
    ]
    return telling or branches


def resolve(reference: str, root: Schema) -> object:
    """Return what a reference within the document points to.

    Raises:
        ValueError: it leads nowhere, or out of the document.
    """
    if not reference.startswith("#"):
        raise ValueError("a reference out of the document")
    place: Any = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
        try:
            place = place[int(name)] if isinstance(place, list) else place[name]
        except (KeyError, IndexError, ValueError, TypeError) as exc:
            raise ValueError("a reference to what is not there") from exc
    found: object = place
    return found


def merge(one: Schema, other: Schema) -> dict[str, Any]:
    """Return a schema that asks what both ask, as far as that can be written in one."""
    merged = dict(one)
    for name, value in other.items():
        if name not in merged:
            merged[name] = value
        elif name == "properties":
            merged[name] = _both_properties(merged[name], value)
        elif name == "required" and isinstance(value, list):
            merged[name] = list(dict.fromkeys([*merged[name], *value]))
        elif name == "type":
            merged[name] = _both_types(merged[name], value)
        elif name == "enum":
            merged[name] = [each for each in merged[name] if each in value] or value
        elif name in _LARGEST and isinstance(value, int | float):
            merged[name] = max(merged[name], value)
        elif name in _SMALLEST and isinstance(value, int | float):
            merged[name] = min(merged[name], value)
        else:
            merged[name] = value
    return merged


def _both_properties(one: Any, other: Any) -> dict[str, Any]:
    both = dict(one)
    for name, value in other.items():
        mine = both.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            # Kept apart, so that references of either are followed when the member is invented.
            both[name] = {"allOf": [mine, value]}
        else:
            both[name] = value
    return both


def _both_types(one: Any, other: Any) -> Any:
    mine, theirs = ([each] if isinstance(each, str) else list(each) for each in (one, other))
    common = [each for each in mine if each in theirs]
    if "number" in mine and "integer" in theirs and "integer" not in common:
        common.append("integer")
    return common or theirs
