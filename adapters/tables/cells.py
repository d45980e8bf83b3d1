# SPDX-License-Identifier: Apache-2.0
"""A database's values as JSON, and JSON as a column's values: exactly, or not at all."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from sqlalchemy.types import TypeEngine

    from adapters.ports import JsonValue


def to_json(value: Any, zone: ZoneInfo, *, trims: bool = False) -> JsonValue:
    """Return a value of a result row as JSON.

    Decimals become exact text, dates and times ISO 8601, instants with their offset from UTC, bytes base64.

    Args:
        value: as the driver gave it.
        zone: of instants that say no offset.
        trims: whether blanks at the end of a text are left out.

    Raises:
        ValueError: the value has no JSON form; the message names its type only.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.rstrip(" ") if trims else value
    if isinstance(value, list | tuple):
        return [to_json(each, zone, trims=trims) for each in value]
    if isinstance(value, dict):
        return {str(name): to_json(each, zone, trims=trims) for name, each in value.items()}
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value, zone)
    raise ValueError(f"a value of type {type(value).__name__}")


def _number(value: Decimal, _zone: ZoneInfo) -> str:
    if not value.is_finite():
        raise ValueError("a number that is none")
    return f"{value:f}"


def _iso(value: dt.date | dt.time, _zone: ZoneInfo) -> str:
    return value.isoformat()


def _iso_instant(value: dt.datetime, zone: ZoneInfo) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=zone)).isoformat()


def _base64(value: bytes | bytearray | memoryview, _zone: ZoneInfo) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


def _clock_time(value: dt.timedelta, _zone: ZoneInfo) -> str:
    """Return what PyMySQL makes of a TIME column, which may be longer than a day or negative."""
    seconds = int(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


# An instant is a date too, so it stands before it.
_WRITERS: dict[type, Callable[[Any, ZoneInfo], JsonValue]] = {
    Decimal: _number,
    float: lambda value, zone: _number(Decimal(repr(value)), zone),
    dt.datetime: _iso_instant,
    dt.date: _iso,
    dt.time: _iso,
    dt.timedelta: _clock_time,
    bytes: _base64,
    bytearray: _base64,
    memoryview: _base64,
    uuid.UUID: lambda value, _zone: str(value),
}


def to_cell(value: JsonValue, column_type: TypeEngine[Any], zone: ZoneInfo) -> object:
    """Return a JSON value as a column of that type takes it.

    Raises:
        ValueError: it is not of that type. The message never holds the value.
    """
    if value is None:
        return None
    try:
        wanted = column_type.python_type
    except NotImplementedError:
        return value
    if wanted is dt.datetime and getattr(column_type, "timezone", False):
        return _moment(value, zone)
    convert = _CONVERTERS.get(wanted)
    return value if convert is None else convert(value, zone)


def _text(value: JsonValue, _zone: ZoneInfo) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("is not text")


def _integer(value: JsonValue, _zone: ZoneInfo) -> int:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("is not a whole number")
    return int(text)


def _decimal(value: JsonValue, _zone: ZoneInfo) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation as exc:
        raise ValueError("is not a number") from exc
    if number is None or not number.is_finite():
        raise ValueError("is not a number")
    return number


def _boolean(value: JsonValue, _zone: ZoneInfo) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("is not true or false")


def _date(value: JsonValue, _zone: ZoneInfo) -> dt.date:
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("is not a date") from None


def _moment(value: JsonValue, zone: ZoneInfo) -> dt.datetime:
    """Return what a column with offsets takes."""
    try:
        instant = dt.datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("is not an instant") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _instant(value: JsonValue, zone: ZoneInfo) -> dt.datetime:
    """Return what a column without offsets takes: the time on the database's clock."""
    return _moment(value, zone).astimezone(zone).replace(tzinfo=None)


def _time(value: JsonValue, _zone: ZoneInfo) -> dt.time:
    try:
        return dt.time.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("is not a time of day") from None


def _bytes(value: JsonValue, _zone: ZoneInfo) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "-", validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None


_CONVERTERS: dict[type, Callable[[JsonValue, ZoneInfo], object]] = {
    str: _text,
    int: _integer,
    Decimal: _decimal,
    float: lambda value, zone: float(_decimal(value, zone)),
    bool: _boolean,
    dt.date: _date,
    dt.datetime: _instant,
    dt.time: _time,
    bytes: _bytes,
}
