# SPDX-License-Identifier: Apache-2.0
"""What could fill a place: the paths of a sample, and among them the one of the same name.

A suggestion is a text in a field that a person still has to look at; nothing is mapped by its name alone.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING

from adapters.wizard.places import PlaceKind
from adapters.wizard.rows import Missing, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapters.ports import JsonValue
    from adapters.wizard.places import Place

_MOST_PATHS = 300
_MOST_STEPS = 3000
_MOST_ELEMENTS = 3
_DEEPEST = 12
_PLAIN = re.compile(r"[^\W\d]\w*")
_CALL = ("call.message_id", "call.sender", "call.purpose.case", "call.purpose.item", "call.retrieved_at")
_OWN = {"retrievedat": "call.retrieved_at", "messageid": "call.message_id"}


def paths_of(scope: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Return the expressions that lead to the values of a sample, `item…` for those within lists.

    Args:
        scope: what each name stands for, such as `answer`.
    """
    found: dict[str, None] = {}
    for name, value in scope.items():
        for path in islice(_paths(value, name, _DEEPEST), _MOST_STEPS):
            if len(found) < _MOST_PATHS:
                found[path] = None
    return (*found, *_CALL)


def suggested(places: Sequence[Place], paths: Sequence[str]) -> dict[str, Row]:
    """Return a row for every place that some path has the name of."""
    rows: dict[str, Row] = {}
    for place in places:
        if place.kind is PlaceKind.OBJECT:
            continue
        is_inside = "*" in place.steps
        wanted = _folded(place.name)
        fitting = [path for path in paths if path.startswith("item") == is_inside]
        source = next((path for path in fitting if _folded(_last(path)) == wanted), _OWN.get(wanted))
        if source:
            rows[place.pointer] = row_for(place, source)
    return rows


def row_for(place: Place, source: str) -> Row:
    """Return the row that has an expression fill a place, in the form the place asks for."""
    otherwise = Missing.ERROR if place.is_required else Missing.LEFT_OUT
    missing = Missing.NULL if place.is_nullable else otherwise
    return Row(source=source, type=place.type, missing=missing)


def _paths(value: JsonValue, path: str, deepest: int) -> Iterator[str]:
    """Yield the paths below one; lists begin anew with `item`, but not their depth."""
    if deepest == 0:
        return
    if isinstance(value, dict):
        for name, child in value.items():
            inner = _step(path, name)
            yield inner
            yield from _paths(child, inner, deepest - 1)
    elif isinstance(value, list):
        for child in value[:_MOST_ELEMENTS]:
            if not isinstance(child, dict | list):
                yield "item"
            yield from _paths(child, "item", deepest - 1)


def _step(path: str, name: str) -> str:
    """Write a member's path; names that are no words go into brackets."""
    return f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}[{json.dumps(name, ensure_ascii=False)}]"


def _last(path: str) -> str:
    return re.split(r"[.\[]", path)[-1].strip('"]')


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
