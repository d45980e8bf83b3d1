# SPDX-License-Identifier: Apache-2.0
"""Expressions of a mapping, compiled once: a plain path is followed here, the rest is `zen-engine`'s.

A path like `item.证件号码` is followed in Python, because the engine's grammar knows no Chinese names outside
brackets and because values that are only handed on should not be converted twice. Numbers come back from the
engine as binary floats, so `exact_text` asks the engine itself to write its decimal as text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import zen

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.ports import JsonValue

_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORDS = frozenset({"true", "false", "null", "not", "and", "or", "in"})


class Expression:
    """One expression over named values.

    Args:
        source: a path, or an expression in the language of `zen-engine`.

    Raises:
        ValueError: the source is not an expression.
    """

    def __init__(self, source: str) -> None:
        self.source = source.strip()
        self._steps: tuple[str, ...] = ()
        if _PATH.fullmatch(self.source) and not _WORDS & set(self.source.split(".")):
            self._steps = tuple(self.source.split("."))
            return
        self._names = frozenset(_NAME.findall(self.source))
        self._plain = _compile(self.source)
        # The engine writes null as the text "null"; a missing value has to stay missing.
        self._text = _compile(f"({self.source}) == null ? null : string({self.source})")

    @property
    def path(self) -> tuple[str, ...]:
        """The steps of a plain path; empty for anything else."""
        return self._steps

    def evaluate(self, scope: Mapping[str, JsonValue], *, at: str) -> JsonValue:
        """Return the expression's value; whole numbers as int, missing things as None.

        Args:
            scope: what each name stands for. Only the names the source mentions reach the engine.
            at: the place in the result that is being filled, for the error's detail.

        Raises:
            AdapterError: `adapter.mapping_failed`, naming the place but no value.
        """
        if self._steps:
            return _follow(self._steps, scope)
        return cast("JsonValue", _without_floats(self._run(self._plain, scope, at), at))

    def exact_text(self, scope: Mapping[str, JsonValue], *, at: str) -> JsonValue:
        """Return the value with a number written as exact decimal text; otherwise as `evaluate`.

        Raises:
            AdapterError: `adapter.mapping_failed`, naming the place but no value.
        """
        if self._steps:
            return _follow(self._steps, scope)
        return cast("JsonValue", self._run(self._text, scope, at))

    def _run(self, program: Any, scope: Mapping[str, JsonValue], at: str) -> Any:
        try:
            return program.evaluate({name: scope[name] for name in self._names if name in scope})
        except Exception as exc:
            # The engine's own message may quote a person's value, so it stays in the cause only.
            raise AdapterError("adapter.mapping_failed", f"{at}: cannot evaluate {self.source!r}") from exc


def _compile(source: str) -> Any:
    try:
        return zen.compile_expression(source)
    except RuntimeError as exc:
        reason = str(exc).partition("\n")[0]
        raise ValueError(f"not an expression: {source!r} ({reason})") from exc


def _follow(steps: tuple[str, ...], scope: Mapping[str, JsonValue]) -> JsonValue:
    value: JsonValue = scope
    for step in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _without_floats(value: Any, at: str) -> Any:
    """Turn the engine's floats into whole numbers.

    Raises:
        AdapterError: a number has a fraction, and a binary float would not be exact.
    """
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > 2**53:
            raise AdapterError(
                "adapter.mapping_failed", f"{at}: a number with a fraction needs type: decimal"
            )
        return int(value)
    if isinstance(value, list):
        return [_without_floats(element, at) for element in value]
    if isinstance(value, dict):
        return {name: _without_floats(element, at) for name, element in value.items()}
    return value
