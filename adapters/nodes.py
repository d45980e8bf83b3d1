# SPDX-License-Identifier: Apache-2.0
"""The nodes a mapping is written with, in YAML beside the service it belongs to.

    a text                   short for {from: text}
    {from: expression, ...}  one value: its type, date format, code list, and whether it may be missing
    {value: constant}        the same value always
    {object: {name: node}}   an object
    {each: expression, as: node, where:, group:, with:}   an array, one element after the other
    {one: expression, as: node}   the only element of an array; none is not found, several are ambiguous

What a node does stands in `adapters.mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from adapters.expressions import Expression
from adapters.values import ValueForm, ValueType


def _to_expression(source: object) -> Expression:
    if not isinstance(source, str):
        raise ValueError("an expression is text")  # noqa: TRY004 - pydantic gathers ValueError only
    return Expression(source)


CompiledExpression = Annotated[Expression, BeforeValidator(_to_expression)]
"""An expression, compiled while the description is read."""


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class FieldNode(_Node):
    """One value, taken from an expression.

    Attributes:
        absent: texts that mean "no value" in the legacy system, such as `00000000` for a date.
        list: the code list that translates the value; the list's value is the result as it stands.
        reverse: whether the list is read from the contract's value to the legacy code.
        on_date: the day on which the code is looked up, as `2026-03-01` or `20260301`; today without it.
        optional: a missing value leaves the field out.
        nullable: a missing value becomes null.
    """

    source: CompiledExpression = Field(alias="from")
    type: Annotated[ValueType, Field(strict=False)] = ValueType.TEXT
    format: str | None = None
    to: str | None = None
    places: Annotated[int, Field(ge=0, le=12)] | None = None
    list: str | None = None
    reverse: bool = False
    on_date: CompiledExpression | None = None
    absent: tuple[str, ...] = Field(default=("",), strict=False)
    optional: bool = False
    nullable: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        is_time = self.type in {ValueType.DATE, ValueType.MONTH, ValueType.INSTANT}
        if (self.format or self.to) and not is_time:
            raise ValueError("format and to belong to dates, months and instants")
        if self.places is not None and self.type is not ValueType.DECIMAL:
            raise ValueError("places belongs to decimals")
        if self.optional and self.nullable:
            raise ValueError("a missing value is either left out (optional) or null (nullable)")
        if self.list is None and (self.reverse or self.on_date is not None):
            raise ValueError("reverse and on_date belong to code lists")
        return self

    @property
    def form(self) -> ValueForm:
        """The described form of the value."""
        return ValueForm(self.type, self.format, self.to, self.places)


class ConstantNode(_Node):
    """The same value always."""

    value: Any


class ObjectNode(_Node):
    """An object with named members."""

    object: dict[str, Node]


class EachNode(_Node):
    """An array, made element by element.

    Attributes:
        where: elements for which this is not true are left out.
        group: elements that agree in all of these become one; `item` is the first of them, `group` all.
        names: further names for the element's node, evaluated once outside of it.
    """

    each: CompiledExpression
    element: Node = Field(alias="as")
    where: CompiledExpression | None = None
    group: tuple[CompiledExpression, ...] = Field(default=(), strict=False)
    names: dict[str, CompiledExpression] = Field(default={}, alias="with")
    optional: bool = False


class OneNode(_Node):
    """The only element of an array."""

    one: CompiledExpression
    element: Node = Field(alias="as")
    where: CompiledExpression | None = None


_KINDS = {"from": "field", "value": "constant", "object": "object", "each": "each", "one": "one"}


def _kind_of(node: object) -> str | None:
    if isinstance(node, _Node):
        return {FieldNode: "field", ConstantNode: "constant", ObjectNode: "object", EachNode: "each"}.get(
            type(node), "one"
        )
    keys = [kind for key, kind in _KINDS.items() if isinstance(node, Mapping) and key in node]
    return keys[0] if len(keys) == 1 else None


def _expand(node: object) -> object:
    return {"from": node} if isinstance(node, str) else node


Node: TypeAlias = Annotated[
    Annotated[
        Annotated[FieldNode, Tag("field")]
        | Annotated[ConstantNode, Tag("constant")]
        | Annotated[ObjectNode, Tag("object")]
        | Annotated[EachNode, Tag("each")]
        | Annotated[OneNode, Tag("one")],
        Discriminator(
            _kind_of,
            custom_error_type="mapping_node",
            custom_error_message="a node has exactly one of: from, value, object, each, one",
        ),
    ],
    BeforeValidator(_expand),
]

for _model in (ObjectNode, EachNode, OneNode):
    _model.model_rebuild()
