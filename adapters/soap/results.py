# SPDX-License-Identifier: Apache-2.0
"""zeep's result as plain JSON: dates and exact decimals as text, bytes as base64."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lxml import etree
from zeep import xsd

from adapters.soap.wsdl.names import is_element

# zeep publishes no types, so at this edge it is Any.
_Duration: Any = xsd.Duration

if TYPE_CHECKING:
    from adapters.ports import JsonValue

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def to_json(value: Any) -> JsonValue:  # noqa: C901, PLR0911 - one return for each kind of value reads best
    """Return a serialised zeep result as JSON.

    Raises:
        ValueError: the result holds something no mapping could use.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case dict():
            return {str(name): to_json(member) for name, member in value.items()}
        case list():
            return [to_json(element) for element in value]
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case float():
            return repr(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case timedelta():
            return str(_Duration().xmlvalue(value))
        case etree.QName():
            return str(value.text)
        case etree._Element():  # noqa: SLF001 - lxml has no other name for it
            return _unknown(value)
    raise ValueError(f"a {type(value).__name__} in the result")


def _unknown(node: etree._Element) -> JsonValue:
    """Return an element of no known type: its text, or its children and attributes by local name.

    What stands there several times is a list; attributes begin with `@`, text beside children is `#text`.
    """
    children = [child for child in node if is_element(child)]
    text = (node.text or "").strip()
    attributes = {
        f"@{etree.QName(key).localname}": str(value)
        for key, value in node.attrib.items()
        if etree.QName(key).namespace != _XSI
    }
    if not children and not attributes:
        return node.text or ""
    grouped: dict[str, list[JsonValue]] = {}
    for child in children:
        grouped.setdefault(etree.QName(child).localname, []).append(_unknown(child))
    members = {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}
    return {**attributes, **members, **({"#text": text} if text else {})}
