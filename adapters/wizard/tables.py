# SPDX-License-Identifier: Apache-2.0
"""The table of a mapping as its page shows it: places, what fills them, and what a sample gives there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.values import ValueType
from adapters.wizard.places import Place, PlaceKind, below, places_of_schema, places_of_shape, steps_of
from adapters.wizard.rows import Missing, Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapters.ports import JsonValue
    from adapters.register.preview import Side
    from adapters.sources import Operation
    from hub.contracts import Contract, Violation
    from hub.errors import Language

_NUMBER = re.compile(r"/[0-9]+(?=/|$)")
_LONGEST_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        row: what fills the place; None for nothing.
        shown: what a sample gives there, as text; empty for nothing.
        problems: what is wrong with it, in words.
        is_unfilled: whether it has to be filled, and is not.
    """

    place: Place
    row: Row | None
    shown: str = ""
    problems: tuple[str, ...] = ()
    is_unfilled: bool = False

    @property
    def id(self) -> str:
        """Its name within the page."""
        return "at" + re.sub(r"[^A-Za-z0-9]", "-", self.place.pointer)


def places_of_contract(contract: Contract) -> tuple[Place, ...]:
    """Return the places of a contract's answer."""
    schema = next((part.schema for part in contract.response if part.schema is not None), None)
    return () if schema is None else places_of_schema(schema)


def places_of_question(operation: Operation | None, node: Mapping[str, Any] | None) -> tuple[Place, ...]:
    """Return the places of what a system is asked: its operation's, and those a mapping fills already."""
    known = () if operation is None else places_of_shape(operation.request)
    there = {place.pointer for place in known}
    return (*known, *(place for place in _places_of_rows(rows_of(node)) if place.pointer not in there))


def lines_of(
    places: Sequence[Place],
    rows: Mapping[str, Row],
    side: Side | None,
    language: Language,
    *,
    result_violations: bool,
) -> tuple[Line, ...]:
    """Return the lines of a table.

    Args:
        places: in their order.
        rows: what fills them, by pointer.
        side: what a sample gives; None for none.
        language: of what is wrong.
        result_violations: whether the side's violations are about its result.
    """
    told = _told(side, language, result_violations=result_violations)
    unmapped = set() if side is None else set(side.unmapped)
    result = None if side is None else side.result
    return tuple(
        Line(
            place=place,
            row=rows.get(place.pointer),
            shown=_shown(result, place) if place.kind is PlaceKind.VALUE else "",
            problems=tuple(told.get(place.pointer, ())),
            is_unfilled=place.pointer in unmapped,
        )
        for place in places
    )


def rows_of_form(places: Sequence[Place], form: Mapping[str, str]) -> dict[str, Row]:
    """Return the rows of a form that the table was sent with."""
    rows: dict[str, Row] = {}
    for place in places:
        source = form.get(f"from{place.pointer}", "").strip()
        if source:
            rows[place.pointer] = Row(
                source=source,
                type=_member(ValueType, form.get(f"type{place.pointer}"), place.type),
                format=form.get(f"format{place.pointer}", "").strip(),
                code_list=form.get(f"list{place.pointer}", "").strip(),
                missing=_member(Missing, form.get(f"missing{place.pointer}"), Missing.ERROR),
                where=form.get(f"where{place.pointer}", "").strip(),
            )
    return rows


def _member(kind: Any, text: str | None, otherwise: Any) -> Any:
    return kind(text) if text in set(kind) else otherwise


def _told(side: Side | None, language: Language, *, result_violations: bool) -> dict[str, list[str]]:
    """Gather what is wrong by place; elements of lists speak for all of their kind."""
    told: dict[str, list[str]] = {}

    def tell(pointer: str, text: str) -> None:
        texts = told.setdefault(_NUMBER.sub("/*", pointer), [])
        if text not in texts:
            texts.append(text)

    if side is not None:
        for each in side.fields:
            if each.problem:
                tell(each.pointer, each.problem)
        for violation in side.violations if result_violations else ():
            tell(_place_of(violation), violation.describe(language))
    return told


def _place_of(violation: Violation) -> str:
    if violation.keyword == "required":
        return below(violation.pointer, violation.limit)
    return violation.pointer


def _shown(value: JsonValue, place: Place) -> str:
    """Return what stands at a place of a result; of a list what its first element has."""
    for step in place.steps:
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _places_of_rows(rows: Mapping[str, Row]) -> list[Place]:
    """Return the places that rows fill, and those that hold them."""
    places: dict[str, Place] = {}
    for pointer, row in rows.items():
        held = ""
        for step in steps_of(pointer)[:-1]:
            held = below(held, step)
            places.setdefault(held, Place(pointer=held, kind=PlaceKind.OBJECT, is_required=False))
        is_list = any(each.startswith(f"{pointer}/*") for each in rows)
        kind = PlaceKind.LIST if is_list else PlaceKind.VALUE
        places[pointer] = Place(pointer=pointer, kind=kind, type=row.type, is_required=False)
    return list(places.values())


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a sample shows of a whole side, beyond its single places.

    Attributes:
        refusal: why production would give nothing, in the language of the page.
        elsewhere: what is wrong at places that no line stands for.
    """

    is_sound: bool = False
    is_tried: bool = False
    refusal: str = ""
    code: str = ""
    elsewhere: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    lossy: tuple[Any, ...] = ()
    result: str = ""
    unmapped: tuple[str, ...] = field(default=())


def report_of(
    side: Side | None, places: Sequence[Place], language: Language, *, result_violations: bool
) -> Report:
    """Return what a page says about a side as a whole."""
    if side is None:
        return Report()
    known = {place.pointer for place in places}
    told = _told(side, language, result_violations=result_violations)
    return Report(
        is_sound=side.is_sound,
        is_tried=side.is_tried,
        refusal=side.refusal.detail if side.refusal else "",
        code=side.refusal.code if side.refusal else "",
        elsewhere=tuple(text for pointer, texts in told.items() if pointer not in known for text in texts),
        unread=side.unread,
        lossy=side.lossy,
        result="" if side.result is None else json.dumps(side.result, ensure_ascii=False, indent=2),
        unmapped=side.unmapped,
    )
