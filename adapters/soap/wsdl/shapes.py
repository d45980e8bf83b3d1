# SPDX-License-Identifier: Apache-2.0
"""What a WSDL's types look like to a mapping: the JSON that is sent and that comes back, as shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeep import xsd
from zeep.xsd.elements.indicators import Indicator
from zeep.xsd.types.any import AnyType
from zeep.xsd.types.collection import ListType
from zeep.xsd.types.simple import AnySimpleType

from adapters.soap.wsdl.names import Name
from adapters.sources import Shape, ShapeType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# zeep publishes no types, so at this edge it is Any.
_xsd: Any = xsd

_DEEPEST = 12
_MOST_FIELDS = 3000


class ShapeReader:
    """Turns zeep's types into shapes.

    Args:
        codes: the listed values of simple types, by name.
    """

    def __init__(self, codes: Mapping[Name, tuple[str, ...]]) -> None:
        self._codes = codes
        self._fields = 0

    def of_request(self, message: Any) -> Shape:
        """Return what an operation is asked with; headers stand under `_soapheaders`."""
        self._fields = 0
        body = message.body
        children = () if body is None else self._fields_of(body.type, ())
        if body is not None and not isinstance(body.type, _xsd.ComplexType):
            children = (self._shape("value", body, ()),)
        header = message.header.type if message.header is not None else None
        headers = () if header is None else self._fields_of(header, ())
        if headers:
            children += (Shape("_soapheaders", ShapeType.OBJECT, is_required=False, children=headers),)
        return Shape("request", ShapeType.OBJECT, children=children)

    def of_answer(self, message: Any) -> Shape:
        """Return what is answered, without the wrappers that zeep takes off.

        Where the answer has headers, it is an object of `header` and `body`.
        """
        self._fields = 0
        if message is None or message.body is None:
            return Shape("answer", ShapeType.ANY, is_required=False)
        body = self._shape("answer", message.body, ())
        headers = self._fields_of(message.header.type, ()) if message.header is not None else ()
        if headers:
            inner = Shape("body", body.type, children=body.children, codes=body.codes)
            header = Shape("header", ShapeType.OBJECT, is_required=False, children=headers)
            return Shape("answer", ShapeType.OBJECT, children=(header, inner))
        return _unwrapped(body, message.body.type)

    def _fields_of(self, type_: Any, above: tuple[str, ...]) -> tuple[Shape, ...]:
        if not isinstance(type_, _xsd.ComplexType):
            return ()
        return (*self._elements(type_.elements_nested, above), *self._attributes(type_, above))

    def _elements(self, nested: Any, above: tuple[str, ...]) -> Iterator[Shape]:
        for name, element in nested:
            if not isinstance(element, Indicator):
                yield self._shape(getattr(element, "attr_name", None) or name or "_value_1", element, above)
            elif element.accepts_multiple and name:
                inner = tuple(self._elements(_children(element), above))
                yield Shape(name, ShapeType.OBJECT, is_list=True, is_required=False, children=inner)
            else:
                yield from self._elements(_children(element), above)

    def _attributes(self, type_: Any, above: tuple[str, ...]) -> Iterator[Shape]:
        for name, attribute in type_.attributes:
            if hasattr(attribute, "type"):
                shape = self._shape(name, attribute, above)
                yield Shape(name, shape.type, is_required=bool(attribute.required), codes=shape.codes)

    def _shape(self, name: str, element: Any, above: tuple[str, ...]) -> Shape:
        self._fields += 1
        type_ = getattr(element, "type", None)
        is_list = bool(getattr(element, "accepts_multiple", False)) or isinstance(type_, ListType)
        is_required = not getattr(element, "is_optional", True)
        mark = f"{type(type_).__qualname__}:{getattr(type_, 'qname', None)}:{id(type_)}"
        if isinstance(type_, _xsd.ComplexType):
            if mark in above or len(above) >= _DEEPEST or self._fields > _MOST_FIELDS:
                return Shape(name, ShapeType.ANY, is_list, is_required)
            children = self._fields_of(type_, (*above, mark))
            return Shape(name, ShapeType.OBJECT, is_list, is_required, children)
        item = type_.item_type if isinstance(type_, ListType) else type_
        return Shape(name, _simple(item), is_list, is_required, codes=self._codes_of(item))

    def _codes_of(self, type_: Any) -> tuple[str, ...]:
        qname = getattr(type_, "qname", None)
        return () if qname is None else self._codes.get(Name(qname.namespace or "", qname.localname), ())


def _children(indicator: Any) -> Any:
    if hasattr(indicator, "elements_nested"):
        nested = indicator.elements_nested
        # A group within itself says so by its own child.
        return [(name, child) for name, child in nested if child is not indicator]
    return indicator.elements


def _unwrapped(shape: Shape, type_: Any) -> Shape:
    if shape.type != ShapeType.OBJECT or len(shape.children) != 1:
        return shape
    [only] = shape.children
    elements = getattr(type_, "elements", ())
    inner = elements[0][1].type if elements and hasattr(elements[0][1], "type") else None
    if only.type == ShapeType.OBJECT and not only.is_list and len(only.children) == 1:
        has_attributes = bool(getattr(inner, "attributes", ()))
        if not has_attributes:
            [only] = only.children
    return Shape("answer", only.type, only.is_list, only.is_required, only.children, only.codes, only.about)


def _simple(type_: Any) -> ShapeType:
    for kind, shape in (
        (_xsd.Boolean, ShapeType.BOOLEAN),
        (_xsd.Integer, ShapeType.INTEGER),
        (_xsd.Decimal, ShapeType.DECIMAL),
        (_xsd.Double, ShapeType.DECIMAL),
        (_xsd.Float, ShapeType.DECIMAL),
        (_xsd.DateTime, ShapeType.INSTANT),
        (_xsd.Date, ShapeType.DATE),
        (_xsd.Base64Binary, ShapeType.BYTES),
        (_xsd.HexBinary, ShapeType.BYTES),
        (AnySimpleType, ShapeType.TEXT),
    ):
        if isinstance(type_, kind):
            return shape
    return ShapeType.ANY if type_ is None or isinstance(type_, AnyType) else ShapeType.TEXT
