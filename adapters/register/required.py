# SPDX-License-Identifier: Apache-2.0
"""What the other side requires and a mapping never fills, found without any sample.

Of a schema with alternatives, only what every alternative requires counts.

Source: JSON Schema 2020-12; sections 10.2 and 10.3 of its core, 6.5.3 of its validation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.nodes import EachNode, ObjectNode, OneNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.nodes import Node
    from adapters.sources import Shape

_DEEPEST = 40


def unfilled_of_schema(schema: Mapping[str, Any], node: Node) -> tuple[str, ...]:
    """Return the pointers a contract's schema requires and a mapping does not fill; `*` is every element."""
    return tuple(dict.fromkeys(_missing(schema, schema, node, "")))


def unfilled_of_shape(shape: Shape, node: Node) -> tuple[str, ...]:
    """Return the pointers a legacy operation requires and a mapping does not fill."""
    return tuple(dict.fromkeys(_missing_children(shape, node, "")))


def _missing(root: Mapping[str, Any], schema: Mapping[str, Any], node: Node, at: str) -> Iterator[str]:
    match node:
        case ObjectNode():
            for name in sorted(_required(root, schema) - node.object.keys()):
                yield f"{at}/{_escaped(name)}"
            for name, child in node.object.items():
                inner = _property(root, schema, name)
                if inner is not None:
                    yield from _missing(root, inner, child, f"{at}/{_escaped(name)}")
        case EachNode():
            for each in _branches(root, schema):
                if isinstance(each.get("items"), dict):
                    yield from _missing(root, each["items"], node.element, f"{at}/*")
        case OneNode():
            yield from _missing(root, schema, node.element, at)
        case _:
            # A value or a constant: what it holds is seen when it is tried on a sample.
            return


def _branches(
    root: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0
) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all it is combined with, references followed."""
    if depth > _DEEPEST:
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        found = _at(root, reference[1:])
        if found is not None:
            yield from _branches(root, found, depth + 1)
    for word in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(word, ()):
            if isinstance(each, dict):
                yield from _branches(root, each, depth + 1)


def _required(root: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> set[str]:
    if depth > _DEEPEST:
        return set()
    names = {name for name in schema.get("required", ()) if isinstance(name, str)}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        names |= _required(root, _at(root, reference[1:]) or {}, depth + 1)
    for each in schema.get("allOf", ()):
        names |= _required(root, each, depth + 1) if isinstance(each, dict) else set()
    for word in ("anyOf", "oneOf"):
        choices = [
            _required(root, each, depth + 1) for each in schema.get(word, ()) if isinstance(each, dict)
        ]
        if choices:
            names |= set.intersection(*choices)
    return names


def _property(root: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    for each in _branches(root, schema):
        properties = each.get("properties")
        if isinstance(properties, dict) and isinstance(properties.get(name), dict):
            found: Mapping[str, Any] = properties[name]
            return found
    return None


def _at(root: Mapping[str, Any], pointer: str) -> Mapping[str, Any] | None:
    """Return the part of a schema a pointer names; None where there is none."""
    value: Any = root
    for step in pointer.split("/")[1:]:
        value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _missing_children(shape: Shape, node: Node, at: str) -> Iterator[str]:
    match node:
        case ObjectNode():
            for child in shape.children:
                place = f"{at}/{_escaped(child.name)}"
                if child.name in node.object:
                    yield from _missing_children(child, node.object[child.name], place)
                elif child.is_required:
                    yield place
        case EachNode():
            yield from _missing_children(shape, node.element, f"{at}/*")
        case OneNode():
            yield from _missing_children(shape, node.element, at)
        case _:
            return


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
