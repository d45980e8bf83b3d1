# SPDX-License-Identifier: Apache-2.0
"""How single values are read from a legacy system's words and written in the contract's.

Contract side: text, whole numbers, exact decimals as text, dates `2026-03-01`, months `2026-03`, instants
`2026-03-01T08:00:00.000Z`. Nothing is guessed: a value that is not of the described form is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.clock import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.ports import JsonValue

_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class ValueType(StrEnum):
    """What a mapped value is in the result."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    MONTH = "month"
    INSTANT = "instant"
    ANY = "any"


@dataclass(frozen=True)
class ValueForm:
    """The described form of one value.

    Attributes:
        type: what the result is.
        read_as: `strptime` pattern of the incoming date, month or instant.
        write_as: `strftime` pattern of the outgoing one, where it is not the contract's.
        places: fraction digits a decimal is written with; digits are added, never dropped.
    """

    type: ValueType
    read_as: str | None = None
    write_as: str | None = None
    places: int | None = None


def convert(value: JsonValue, form: ValueForm) -> JsonValue:
    """Return `value` in the described form.

    Raises:
        ValueError: it is not of that form. The message never holds the value.
    """
    return _CONVERTERS[form.type](value, form)


def _text(value: JsonValue, _form: ValueForm) -> JsonValue:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("is not text")


def _integer(value: JsonValue, _form: ValueForm) -> JsonValue:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise ValueError("is not a whole number")


def _decimal(value: JsonValue, form: ValueForm) -> JsonValue:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("is not a decimal number")
    if form.places is None:
        return text
    whole, _, fraction = text.partition(".")
    if fraction[form.places :].strip("0"):
        raise ValueError(f"has more than {form.places} fraction digits")
    fraction = fraction[: form.places].ljust(form.places, "0")
    return f"{Decimal(whole):f}.{fraction}" if fraction else f"{Decimal(whole):f}"


def _boolean(value: JsonValue, _form: ValueForm) -> JsonValue:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("is not true or false")


def _date(value: JsonValue, form: ValueForm) -> JsonValue:
    return _read(value, form.read_as or "%Y-%m-%d").strftime(form.write_as or "%Y-%m-%d")


def _month(value: JsonValue, form: ValueForm) -> JsonValue:
    return _read(value, form.read_as or "%Y-%m").strftime(form.write_as or "%Y-%m")


def _instant(value: JsonValue, form: ValueForm) -> JsonValue:
    if form.read_as:
        instant = _read(value, form.read_as)
    elif isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError as exc:
            raise ValueError("is not an ISO 8601 instant") from exc
    else:
        raise ValueError("is not an instant")
    if instant.tzinfo is None:
        raise ValueError("says no offset from UTC")
    return instant.astimezone(UTC).strftime(form.write_as) if form.write_as else format_instant(instant)


def _read(value: JsonValue, pattern: str) -> datetime:
    """Read a date strictly: `strptime` alone would take `2026-3-1` for `%Y-%m-%d`.

    Raises:
        ValueError: the text has another form, or names no real day.
    """
    text = str(value) if isinstance(value, str | int) else ""
    try:
        instant = datetime.strptime(text, pattern)  # noqa: DTZ007 - legacy dates carry no zone, or %z
    except ValueError as exc:
        # The interpreter's message quotes the value, which may be a person's.
        raise ValueError(f"is not a date of the form {pattern}") from exc
    if "%z" not in pattern and instant.strftime(pattern) != text:
        raise ValueError(f"is not a date of the form {pattern}")
    return instant


def _any(value: JsonValue, _form: ValueForm) -> JsonValue:
    return value


_CONVERTERS: dict[ValueType, Callable[[JsonValue, ValueForm], JsonValue]] = {
    ValueType.TEXT: _text,
    ValueType.INTEGER: _integer,
    ValueType.DECIMAL: _decimal,
    ValueType.BOOLEAN: _boolean,
    ValueType.DATE: _date,
    ValueType.MONTH: _month,
    ValueType.INSTANT: _instant,
    ValueType.ANY: _any,
}
