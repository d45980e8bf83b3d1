# SPDX-License-Identifier: Apache-2.0
"""A mapping as a table people fill in: one row a place; and back into the nodes of a description.

A table says less than the nodes can (`adapters.nodes`): no grouping, no single element of an array. Mappings
that need more are written as YAML, and the table says so instead of losing anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from adapters.values import ValueType
from adapters.wizard.places import PlaceKind, below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapters.wizard.places import Place

_FIELD_KEYS = {"from", "type", "format", "list", "optional", "nullable"}
_EACH_KEYS = {"each", "as", "where", "optional"}


class Missing(StrEnum):
    """What a value that is not there becomes."""

    ERROR = "error"
    LEFT_OUT = "optional"
    NULL = "nullable"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What fills one place.

    Attributes:
        source: an expression; of a list the one whose elements it has.
        format: of dates and instants as the system writes them, a pattern of `strptime`.
        code_list: the code list that translates the value; empty for none.
        where: of a list, the condition that its elements meet; empty for all.
    """

    source: str
    type: ValueType = ValueType.TEXT
    format: str = ""
    code_list: str = ""
    missing: Missing = Missing.ERROR
    where: str = ""


class NotATableError(Exception):
    """A mapping says more than a table can show."""


def rows_of(node: Mapping[str, Any] | None) -> dict[str, Row]:
    """Return the rows of a mapping, by pointer.

    Args:
        node: an object node, as a description has it; None for none.

    Raises:
        NotATableError: it has nodes that no row stands for.
    """
    rows: dict[str, Row] = {}
    if node is not None:
        _read(node, "", rows)
    return rows


def node_of(places: Sequence[Place], rows: Mapping[str, Row]) -> dict[str, Any]:
    """Return the object node that rows describe; places without a row are left out."""
    node: dict[str, Any] = _object(places, rows, "") or {"object": {}}
    return node


def _read(node: Any, pointer: str, rows: dict[str, Row]) -> None:
    if isinstance(node, str):
        node = {"from": node}
    if not isinstance(node, dict):
        raise NotATableError(pointer)
    if set(node) == {"object"} and node["object"]:
        for name, child in node["object"].items():
            if name == "*":
                raise NotATableError(pointer)
            _read(child, below(pointer, name), rows)
    elif "from" in node and set(node) <= _FIELD_KEYS:
        rows[pointer] = _value_row(node)
    elif set(node) == {"value"} and isinstance(node["value"], str | int | bool | None):
        text = json.dumps(node["value"], ensure_ascii=False)
        is_null = node["value"] is None
        rows[pointer] = Row(
            source=text, type=ValueType.ANY, missing=Missing.NULL if is_null else Missing.ERROR
        )
    elif {"each", "as"} <= set(node) <= _EACH_KEYS:
        missing = Missing.LEFT_OUT if node.get("optional") else Missing.ERROR
        rows[pointer] = Row(source=node["each"], where=node.get("where", ""), missing=missing)
        _read(node["as"], below(pointer, "*"), rows)
    elif pointer or node != {"object": {}}:
        raise NotATableError(pointer)


def _value_row(node: Mapping[str, Any]) -> Row:
    missing = Missing.ERROR
    if node.get("optional"):
        missing = Missing.LEFT_OUT
    elif node.get("nullable"):
        missing = Missing.NULL
    return Row(
        source=node["from"],
        type=ValueType(node.get("type", ValueType.TEXT)),
        format=node.get("format") or "",
        code_list=node.get("list") or "",
        missing=missing,
    )


def _object(places: Sequence[Place], rows: Mapping[str, Row], pointer: str) -> dict[str, Any] | None:
    depth = pointer.count("/")
    members: dict[str, Any] = {}
    for place in places:
        if place.depth == depth and place.pointer.startswith(f"{pointer}/"):
            child = _node(place, places, rows)
            if child is not None:
                members[place.name] = child
    return {"object": members} if members else None


def _node(place: Place, places: Sequence[Place], rows: Mapping[str, Row]) -> Any:
    row = rows.get(place.pointer)
    if place.kind is PlaceKind.OBJECT and row is None:
        return _object(places, rows, place.pointer)
    if row is None or not row.source:
        return None
    if place.kind is not PlaceKind.LIST:
        return _value_node(row)
    inner = next((each for each in places if each.pointer == below(place.pointer, "*")), None)
    element = None if inner is None else _node(inner, places, rows)
    if element is None:
        # Nothing says what becomes of the elements, so they stay what they are.
        return {"from": row.source, "type": ValueType.ANY.value, **_absence(row)}
    node: dict[str, Any] = {"each": row.source, "as": element}
    if row.where:
        node["where"] = row.where
    return node | ({"optional": True} if row.missing is Missing.LEFT_OUT else {})


def _value_node(row: Row) -> Any:
    node: dict[str, Any] = {"from": row.source}
    if row.code_list:
        node["list"] = row.code_list
    elif row.type is not ValueType.TEXT:
        node["type"] = row.type.value
    if row.format and row.type in {ValueType.DATE, ValueType.MONTH, ValueType.INSTANT}:
        node["format"] = row.format
    node |= _absence(row)
    return row.source if set(node) == {"from"} else node


def _absence(row: Row) -> dict[str, Any]:
    return {} if row.missing is Missing.ERROR else {row.missing.value: True}
