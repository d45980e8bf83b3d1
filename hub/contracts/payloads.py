# SPDX-License-Identifier: Apache-2.0
"""JSON read strictly, so that two readers of the same bytes cannot see two different things.

Source: RFC 8259, narrowed as in RFC 7493 (I-JSON): UTF-8 without a mark, unique names, finite numbers,
no lone surrogates.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn, TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
MAX_DEPTH = 64
"""Levels of nesting that are read; the deepest contract has seven."""


class PayloadSyntaxError(ValueError):
    """The bytes are not JSON of the strict kind; the text names no value of the payload."""


def parse_json(raw: bytes) -> JsonValue:
    """Read one JSON text.

    Args:
        raw: the whole payload, UTF-8.

    Raises:
        PayloadSyntaxError: the text is not JSON, or is ambiguous: a name twice in one object, a number that
            is not finite, a lone surrogate, nesting deeper than `MAX_DEPTH`.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PayloadSyntaxError(f"not UTF-8 at byte {exc.start}") from exc
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
        )
    except PayloadSyntaxError:
        raise
    except json.JSONDecodeError as exc:
        # The decoder's own message may quote nothing of the text, so only its place is told.
        raise PayloadSyntaxError(f"not JSON at line {exc.lineno} column {exc.colno}") from exc
    except RecursionError as exc:
        raise PayloadSyntaxError("nested too deeply") from exc
    except ValueError as exc:
        # Python refuses whole numbers of more than 4300 digits.
        raise PayloadSyntaxError("a number is too long") from exc
    _refuse_deep(value)
    if _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise PayloadSyntaxError("an object has the same name twice")
    return made


def _refuse_constant(_name: str) -> NoReturn:
    raise PayloadSyntaxError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise PayloadSyntaxError("a number is too large")
    return number


def _refuse_deep(value: JsonValue) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise PayloadSyntaxError("nested too deeply")


def _children(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return []


def _refuse_lone_surrogates(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise PayloadSyntaxError("a text holds half a surrogate pair") from exc
