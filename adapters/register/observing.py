# SPDX-License-Identifier: Apache-2.0
"""A mapping that takes notes: what each field gave, what was wrong with it, and what was lost on the way.

It runs the very code of `adapters.mapping`; only where that would stop at the first error, the field is left
out and the next one looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from adapters.mapping import LEFT_OUT, ObjectMapping, day_of, is_true
from adapters.nodes import ConstantNode, FieldNode
from adapters.values import ValueType
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.mapping import LeftOut
    from adapters.nodes import EachNode, Node, OneNode
    from adapters.ports import JsonValue
    from adapters.register.reading import Places

_WRITTEN = {ValueType.DATE: "%Y-%m-%d", ValueType.MONTH: "%Y-%m"}


class LossReason(StrEnum):
    """How something of the sample is dropped."""

    ELEMENT_DROPPED = "element_dropped"
    """No array takes this element: every `where` leaves it out."""
    TIME_DROPPED = "time_dropped"
    """Of a time, only the day remains."""
    DAY_DROPPED = "day_dropped"
    """Of a day, only the month or year remains."""
    ZEROS_DROPPED = "zeros_dropped"
    """Leading zeros vanish, since the text becomes a number."""
    CODES_MERGED = "codes_merged"
    """Another code becomes the same value."""


@dataclass(frozen=True)
class Loss:
    """A place where something is dropped.

    Attributes:
        pointer: in the sample; empty where the value comes from more than one place.
        into: the place in the result; empty for what has none.
    """

    pointer: str
    into: str
    reason: LossReason


@dataclass(frozen=True)
class MappedField:
    """One field of the result.

    Attributes:
        pointer: in the result.
        expression: where its value comes from; empty for a constant.
        has_value: whether it got one; a null is none.
        problem: what is wrong with it, without the value.
    """

    pointer: str
    expression: str
    has_value: bool
    problem: str | None = None


@dataclass
class Notes:
    """What was seen."""

    fields: list[MappedField] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    @property
    def all_losses(self) -> tuple[Loss, ...]:
        """The losses, elements that nobody took included."""
        lost = (Loss(each, "", LossReason.ELEMENT_DROPPED) for each in sorted(self.dropped - self.taken))
        return (*self.losses, *lost)


class ObservedMapping(ObjectMapping):
    """The same mapping as `mapping`, observed.

    Args:
        mapping: the one in use.
        places: the sample it is tried on.
        notes: what is seen is added here.
    """

    def __init__(self, mapping: ObjectMapping, places: Places, notes: Notes) -> None:
        super().__init__(mapping.root, mapping.code_lists)
        self._places = places
        self._notes = notes

    def _apply(self, node: Node, scope: Mapping[str, JsonValue], at: str) -> JsonValue | LeftOut:
        if isinstance(node, ConstantNode):
            self._notes.fields.append(MappedField(at, "", node.value is not None))
        return super()._apply(node, scope, at)

    def _field(self, node: FieldNode, scope: Mapping[str, JsonValue], at: str) -> JsonValue | LeftOut:
        self._places.note(node.source, scope)
        if node.on_date is not None:
            self._places.note(node.on_date, scope)
        source = node.source.source
        try:
            value = super()._field(node, scope, at)
        except AdapterError as error:
            self._notes.fields.append(MappedField(at, source, has_value=False, problem=error.detail))
            return LEFT_OUT
        has_value = value is not LEFT_OUT and value is not None
        self._notes.fields.append(MappedField(at, source, has_value))
        if has_value:
            reason = self._loss(node, scope, at, value)
            if reason is not None:
                place = self._places.place_of(node.source, scope) or ""
                self._notes.losses.append(Loss(place, at, reason))
        return value

    def _each(self, node: EachNode, scope: Mapping[str, JsonValue], at: str) -> JsonValue | LeftOut:
        try:
            outer = {**scope, **{name: each.evaluate(scope, at=at) for name, each in node.names.items()}}
            self._walk(node, outer, at)
            return super()._each(node, scope, at)
        except AdapterError as error:
            self._notes.fields.append(
                MappedField(at, node.each.source, has_value=False, problem=error.detail)
            )
            return LEFT_OUT

    def _one(self, node: OneNode, scope: Mapping[str, JsonValue], at: str) -> JsonValue | LeftOut:
        try:
            self._walk(node, scope, at)
            return super()._one(node, scope, at)
        except AdapterError as error:
            self._notes.fields.append(MappedField(at, node.one.source, has_value=False, problem=error.detail))
            return LEFT_OUT

    def _walk(self, node: EachNode | OneNode, scope: Mapping[str, JsonValue], at: str) -> None:
        """Take note of what an array is made of, and of the elements that its condition leaves out."""
        source = node.one if hasattr(node, "one") else node.each
        self._places.note_elements(source, scope)
        for named in getattr(node, "names", {}).values():
            self._places.note_elements(named, scope)
        elements = source.evaluate(scope, at=at)
        for element in elements if isinstance(elements, list) else ():
            inner = {**scope, "item": element}
            for looked_at in (node.where, *getattr(node, "group", ())):
                if looked_at is not None:
                    self._places.note(looked_at, inner)
            place = self._places.pointer_of(element)
            if place is not None:
                is_taken = node.where is None or is_true(node.where, inner, at=at)
                (self._notes.taken if is_taken else self._notes.dropped).add(place)

    def _loss(
        self, node: FieldNode, scope: Mapping[str, JsonValue], at: str, result: JsonValue | LeftOut
    ) -> LossReason | None:
        if node.list is not None:
            codes = self.code_lists[node.list]
            code = node.source.exact_text(scope, at=at)
            if not node.reverse and codes.merges(code, day_of(node, scope, at=at)):
                return LossReason.CODES_MERGED
            return None
        text = str(node.source.evaluate(scope, at=at)) if node.type in _WRITTEN else ""
        if node.type is ValueType.INTEGER:
            text = str(node.source.exact_text(scope, at=at)).strip()
            return LossReason.ZEROS_DROPPED if text.lstrip("-").startswith("0") and text != "0" else None
        if node.type in _WRITTEN and node.format is not None:
            return _shortened(text, node.format, str(result), node.to or _WRITTEN[node.type])
        return None


def _shortened(text: str, read_as: str, result: str, written_as: str) -> LossReason | None:
    """Compare a time with what became of it, both read as they are written."""
    try:
        before = datetime.strptime(text, read_as)  # noqa: DTZ007 - compared with one of the same zone
        after = datetime.strptime(result, written_as)  # noqa: DTZ007 - likewise
    except ValueError:
        # A pattern such as %y%j that cannot be read back tells nothing about what was lost.
        return None
    if before.date() != after.date():
        return LossReason.DAY_DROPPED
    return LossReason.TIME_DROPPED if before.time() != after.time() else None
