# SPDX-License-Identifier: Apache-2.0
"""Declarative mapping between the contract's JSON and a legacy system's words.

A mapping is a tree of `adapters.nodes`, compiled once when the gateway starts. It is pure: it sees the
names it is given and nothing else. Errors name the place in the result, the expression or the code list,
never a person's value.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, TypeAlias, cast

from adapters.codelists import CodeList
from adapters.expressions import Expression
from adapters.nodes import ConstantNode, EachNode, FieldNode, Node, ObjectNode, OneNode
from adapters.values import ValueType, convert
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapters.codelists import CodeValue, DescribedCode
    from adapters.ports import JsonObject, JsonValue

CodeLists: TypeAlias = "Mapping[str, CodeList | Mapping[str, CodeValue] | Sequence[DescribedCode]]"
"""Tables between a legacy system's codes and the contract's values (`adapters.codelists`)."""

_ANY_DAY = date(2000, 1, 1)


class LeftOut:
    """The result of an optional node that found nothing."""


LEFT_OUT = LeftOut()
_Scope: TypeAlias = "Mapping[str, JsonValue]"


_TODAY = Expression("call.on_date")


class ObjectMapping:
    """A mapping whose result is a JSON object.

    Args:
        root: the tree of nodes.
        code_lists: the tables its fields name.

    Raises:
        ValueError: a field names a code list that is not there, or one that cannot be read backwards.
    """

    def __init__(self, root: ObjectNode, code_lists: CodeLists) -> None:
        self._root = root
        self._code_lists = {name: _code_list(name, each) for name, each in code_lists.items()}
        for name, is_reversed in _lists_of(root):
            if name not in code_lists:
                raise ValueError(f"the code list {name!r} is not described")
            if is_reversed:
                try:
                    self._code_lists[name].require_reversible()
                except ValueError as exc:
                    raise ValueError(f"the code list {name!r} backwards: {exc}") from exc

    @property
    def root(self) -> ObjectNode:
        """The tree of nodes."""
        return self._root

    @property
    def code_lists(self) -> Mapping[str, CodeList]:
        """The tables its fields name."""
        return self._code_lists

    def apply(self, scope: JsonObject) -> JsonObject:
        """Return the mapped object.

        Args:
            scope: the named values the expressions start from, for example `answer`, `request` and `call`.

        Raises:
            AdapterError: `adapter.mapping_failed`; `adapter.record_not_found` and `adapter.record_ambiguous`
                where a node wants exactly one record.
        """
        return cast("JsonObject", self._apply(self._root, scope, ""))

    def _apply(self, node: Node, scope: _Scope, at: str) -> JsonValue | LeftOut:
        match node:
            case FieldNode():
                return self._field(node, scope, at)
            case ConstantNode():
                return cast("JsonValue", node.value)
            case ObjectNode():
                members = (
                    (name, self._apply(child, scope, f"{at}/{name}")) for name, child in node.object.items()
                )
                return {name: value for name, value in members if not isinstance(value, LeftOut)}
            case EachNode():
                return self._each(node, scope, at)
            case OneNode():
                return self._one(node, scope, at)

    def _field(self, node: FieldNode, scope: _Scope, at: str) -> JsonValue | LeftOut:
        is_exact = node.type in {ValueType.INTEGER, ValueType.DECIMAL} or node.list is not None
        value = node.source.exact_text(scope, at=at) if is_exact else node.source.evaluate(scope, at=at)
        if value is None or (isinstance(value, str) and value.strip() in node.absent):
            if node.optional:
                return LEFT_OUT
            if node.nullable:
                return None
            raise AdapterError("adapter.mapping_failed", f"{at}: {node.source.source!r} has no value")
        if node.list is not None:
            return self._translate(value, node.list, node, scope, at)
        try:
            return convert(value, node.form)
        except ValueError as exc:
            raise AdapterError("adapter.mapping_failed", f"{at}: {node.source.source!r} {exc}") from exc

    def _translate(self, value: JsonValue, name: str, node: FieldNode, scope: _Scope, at: str) -> JsonValue:
        codes = self._code_lists[name]
        on = day_of(node, scope, at=at) if codes.is_dated else _ANY_DAY
        try:
            return codes.reverse(value, on) if node.reverse else codes.translate(value, on)
        except KeyError:
            # The code itself may tell something about a person, so only the list is named.
            raise AdapterError("adapter.mapping_failed", f"{at}: a code that list {name!r} lacks") from None

    def _each(self, node: EachNode, scope: _Scope, at: str) -> JsonValue | LeftOut:
        if node.optional and node.each.evaluate(scope, at=at) is None:
            return LEFT_OUT
        names = {name: source.evaluate(scope, at=at) for name, source in node.names.items()}
        outer = {**scope, **names}
        elements = list(_elements(node.each, node.where, outer, at))
        scopes = (
            _group(elements, node.group, outer, at)
            if node.group
            else [{**outer, "item": e} for e in elements]
        )
        mapped = (self._apply(node.element, inner, f"{at}/{index}") for index, inner in enumerate(scopes))
        return [value for value in mapped if not isinstance(value, LeftOut)]

    def _one(self, node: OneNode, scope: _Scope, at: str) -> JsonValue | LeftOut:
        elements = list(_elements(node.one, node.where, scope, at))
        if len(elements) != 1:
            code = "adapter.record_ambiguous" if elements else "adapter.record_not_found"
            raise AdapterError(code, f"{at or '/'}: {len(elements)} records in {node.one.source!r}")
        return self._apply(node.element, {**scope, "item": elements[0]}, at)


def _elements(source: Expression, where: Expression | None, scope: _Scope, at: str) -> Iterator[JsonValue]:
    elements = source.evaluate(scope, at=at)
    if not isinstance(elements, list):
        raise AdapterError("adapter.mapping_failed", f"{at}: {source.source!r} is not an array")
    for index, element in enumerate(elements):
        if where is None or is_true(where, {**scope, "item": element}, at=f"{at}/{index}"):
            yield element


def day_of(node: FieldNode, scope: JsonObject, *, at: str) -> date:
    """Return the day on which a field's code is looked up: the field's own, or today's in China.

    Raises:
        AdapterError: there is none.
    """
    text = (node.on_date or _TODAY).evaluate(scope, at=at)
    try:
        return date.fromisoformat(text[:10] if isinstance(text, str) else "")
    except ValueError:
        # The message would quote the value, which may be a person's.
        raise AdapterError("adapter.mapping_failed", f"{at}: no day on which the list is read") from None


def is_true(condition: Expression, scope: JsonObject, *, at: str) -> bool:
    """Tell whether a condition holds.

    Raises:
        AdapterError: it is neither true nor false.
    """
    value = condition.evaluate(scope, at=at)
    if not isinstance(value, bool):
        raise AdapterError("adapter.mapping_failed", f"{at}: {condition.source!r} is neither true nor false")
    return value


def _group(
    elements: list[JsonValue], keys: tuple[Expression, ...], outer: _Scope, at: str
) -> list[dict[str, JsonValue]]:
    groups: dict[tuple[str, ...], list[JsonValue]] = {}
    for index, element in enumerate(elements):
        scope = {**outer, "item": element}
        key = tuple(repr(source.evaluate(scope, at=f"{at}/{index}")) for source in keys)
        groups.setdefault(key, []).append(element)
    return [{**outer, "item": group[0], "group": group} for group in groups.values()]


def _code_list(
    name: str, described: CodeList | Mapping[str, CodeValue] | Sequence[DescribedCode]
) -> CodeList:
    try:
        return described if isinstance(described, CodeList) else CodeList(described)
    except ValueError as exc:
        raise ValueError(f"the code list {name!r}: {exc}") from exc


def _lists_of(node: Node) -> Iterator[tuple[str, bool]]:
    """Yield the code lists a tree of nodes names, and whether each is read backwards."""
    match node:
        case FieldNode():
            if node.list is not None:
                yield node.list, node.reverse
        case ObjectNode():
            for child in node.object.values():
                yield from _lists_of(child)
        case EachNode() | OneNode():
            yield from _lists_of(node.element)
        case ConstantNode():
            pass
