# SPDX-License-Identifier: Apache-2.0
"""zeep's result as plain JSON: dates and exact decimals as text, bytes as base64."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lxml import etree
from zeep import xsd

# zeep publishes no types, so at this edge it is Any.
_Duration: Any = xsd.Duration

if TYPE_CHECKING:
    from adapters.ports import JsonValue


def to_json(value: Any) -> JsonValue:  # noqa: PLR0911 - one return for each kind of value reads best
    """Return a serialised zeep result as JSON.

    Raises:
        ValueError: the result holds something no mapping could use, such as an element of unknown schema.
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
    raise ValueError(f"a {type(value).__name__} in the result")
